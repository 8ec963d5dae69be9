// Files that are no model, or no longer one: an Error of kind input or a model, whatever they hold.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <torch/csrc/jit/serialization/pickle.h>
#include <unistd.h>

#include <caffe2/serialize/inline_container.h>

#include <map>
#include <sstream>

#include "../../src/model/archive.hpp"
#include "../../src/model/plain/zip_directory.hpp"
#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::model {
namespace {

namespace fs = std::filesystem;
using test::error_text;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

Loaded load_file(const fs::path& path) { return load({"m", path.string(), test::fixture_input(), {}}, "flags"); }

std::string load_error(const fs::path& path) {
  return error_text([&] { (void)load_file(path); });
}

/// What `work` does to a process of its own: 0 fine, 1 an Error of kind input, else what must not happen.
int outcome_of(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);  // what waits for ever ends here
    try {
      work();
    } catch (const Error& error) {
      ::_exit(error.kind() == ErrorKind::kInput ? 1 : 2);
    } catch (...) {
      ::_exit(3);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int outcome_of_load(const test::TempFolder& folder, const std::string& bytes) {
  test::write_text(folder / "m.pt", bytes);
  return outcome_of([&] { (void)load_file(folder / "m.pt"); });
}

// Invariant 6 of docs/internals/contracts.md, the reader of archives. Each in a process of its own: a crash is one
// failure, not the end.
TEST(Damaged, ATruncatedArchiveIsAnInputError) {
  const test::TempFolder folder;
  for (const std::string name : {"small", "shuffle.traced"}) {
    const std::string whole = test::read_text(test::fixture_path(name));
    for (std::size_t i = 0; i < 20; ++i) {
      const std::size_t size = whole.size() * i / 20;
      EXPECT_EQ(outcome_of_load(folder, whole.substr(0, size)), 1) << name << " cut to " << size << " bytes";
    }
  }
}

std::string flipped(std::string bytes, std::size_t at, unsigned bit) {
  bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << bit));
  return bytes;
}

/// Whether the byte at `at` is one of a record's content, of one that is stored as it is: the last byte of a deflated
/// one may end in bits that nothing reads.
bool in_a_stored_record(const std::string& archive, std::size_t at) {
  const auto records = read_zip_directory(archive, "fixture");
  return std::any_of(records.begin(), records.end(), [&](const ZipRecord& record) {
    const std::string_view bytes = stored_bytes(archive, record, "fixture");
    const auto begin = static_cast<std::size_t>(bytes.data() - archive.data());
    return !record.deflated && begin <= at && at - begin < bytes.size();
  });
}

// Padding, dates and local headers' copies are nobody's business; what records hold is under their checksums.
TEST(Damaged, AFlippedBitIsAnInputErrorOrHarmless) {
  constexpr std::uint64_t kSeed = 17;
  const test::TempFolder folder;
  test::Random random(kSeed);
  for (const std::string name : {"small", "counter", "small.traced"}) {
    const std::string whole = test::read_text(test::fixture_path(name));
    for (int round = 0; round < 100; ++round) {
      const auto at = static_cast<std::size_t>(random.below(static_cast<std::int64_t>(whole.size())));
      const auto bit = static_cast<unsigned>(random.below(8));
      const int outcome = outcome_of_load(folder, flipped(whole, at, bit));
      const std::string flip =
          name + ": bit " + std::to_string(bit) + " of byte " + std::to_string(at) + ", seed " + std::to_string(kSeed);
      if (in_a_stored_record(whole, at)) {
        EXPECT_EQ(outcome, 1) << flip;
      } else {
        EXPECT_LE(outcome, 1) << flip;
      }
    }
  }
}

/// Where the bytes of the fixture's record lie, and how many they are.
std::pair<std::size_t, std::size_t> place_of(const std::string& archive, const std::string& record) {
  for (const ZipRecord& found : read_zip_directory(archive, "fixture")) {
    if (!found.name.ends_with("/" + record)) continue;
    const std::string_view bytes = stored_bytes(archive, found, "fixture");
    return {static_cast<std::size_t>(bytes.data() - archive.data()), found.packed_bytes};
  }
  ADD_FAILURE() << "no record " << record;
  return {0, 1};
}

// Torch loads this without a word: one weight of the first convolution would be another.
TEST(Damaged, AFlippedBitOfAWeightIsNoticed) {
  const test::TempFolder folder;
  const std::string whole = test::read_text(test::fixture_path("small"));
  test::write_text(folder / "m.pt", flipped(whole, place_of(whole, "data/0").first + 100, 0));
  EXPECT_NO_THROW((void)torch::jit::load((folder / "m.pt").string()));
  EXPECT_THAT(load_error(folder / "m.pt"), AllOf(HasSubstr("the checksum of"), HasSubstr("data/0' differs")));
}

TEST(Damaged, AFlippedBitOfTheCodeIsNoticed) {
  const test::TempFolder folder;
  const std::string whole = test::read_text(test::fixture_path("small"));
  const auto [begin, bytes] = place_of(whole, "code/__torch__/torch/nn/functional.py");
  for (std::size_t i = 0; i < bytes; i += 50) {
    EXPECT_EQ(outcome_of_load(folder, flipped(whole, begin + i, 3)), 1) << "byte " << i << " of " << bytes;
  }
}

// The reader of directories against the one in torch, on all that torch has written.
TEST(Damaged, DirectoriesAreReadAsTorchReadsThem) {
  for (const auto& entry : fs::directory_iterator(test::fixture_path("small").parent_path())) {
    if (entry.path().extension() != ".pt") continue;
    const std::string bytes = test::read_text(entry.path());
    caffe2::serialize::PyTorchStreamReader reader(entry.path().string());
    std::map<std::string, std::uint64_t> expected, found;
    for (const std::string& record : reader.getAllRecords()) expected[record] = reader.getRecordSize(record);
    for (const ZipRecord& record : read_zip_directory(bytes, entry.path().string())) {
      found[record.name.substr(record.name.find('/') + 1)] = record.unpacked_bytes;
    }
    EXPECT_EQ(found, expected) << entry.path();
  }
}

// None of the checks before Torch's reader refuses what Torch reads.
TEST(Damaged, WhatTorchOpensIsOpened) {
  int opened = 0;
  for (const auto& entry : fs::recursive_directory_iterator(test::fixture_path("small").parent_path())) {
    if (entry.path().extension() != ".pt") continue;
    try {
      (void)torch::jit::load(entry.path().string());
    } catch (const std::exception&) {
      continue;
    }
    ++opened;
    EXPECT_NO_THROW((void)read_archive(entry.path().string(), "m")) << entry.path();
  }
  EXPECT_GT(opened, 60);
}

// What repsim checks has to be what Torch then reads: of archives with changed directories, too.
TEST(Damaged, ChangedDirectoriesAreReadAsTorchReadsThemOrNotAtAll) {
  constexpr int kFiles = 4000;
  const std::string whole = test::read_text(test::fixture_path("nan"));
  const std::size_t directory = whole.find("PK\x01\x02");
  int both = 0;
  for (int i = 0; i < kFiles; ++i) {
    test::Random random(static_cast<std::uint64_t>(i));
    std::string bytes = whole;
    for (std::int64_t changes = 1 + random.below(2); changes > 0; --changes) {
      const std::size_t begin = random.below(4) == 0 ? 0 : directory;
      const std::size_t at =
          begin + static_cast<std::size_t>(random.below(static_cast<std::int64_t>(bytes.size() - begin)));
      const auto byte = static_cast<char>(random.below(256));
      switch (random.below(6)) {
        case 0:
          bytes.insert(at, 1, byte);
          break;
        case 1:
          bytes.erase(at, 1);
          break;
        case 2:
          bytes += bytes.substr(at);  // a second end
          break;
        default:
          bytes[at] = byte;
      }
    }
    std::map<std::string, std::uint64_t> own, torchs;
    try {
      for (const ZipRecord& record : read_zip_directory(bytes, "m.pt"))
        own[record.name.substr(record.name.find('/') + 1)] = record.unpacked_bytes;
      std::istringstream stream(bytes);
      caffe2::serialize::PyTorchStreamReader reader(&stream);
      for (const std::string& record : reader.getAllRecords()) torchs[record] = reader.getRecordSize(record);
    } catch (const std::exception&) {
      continue;  // one of them refuses
    }
    ++both;
    EXPECT_EQ(own, torchs) << "file " << i;
  }
  EXPECT_GT(both, kFiles / 20);
}

// The directory's entry of a deflated record says that it unpacks to 2 GiB.
TEST(Damaged, ABombIsRefusedBeforeItIsUnpacked) {
  const test::TempFolder folder;
  std::string bytes = test::read_text(test::fixture_path("small"));
  const std::string name = "archive/code/__torch__/torch/nn/functional.py";
  const std::size_t entry = bytes.rfind(name) - 46;
  ASSERT_EQ(bytes.substr(entry, 4), "PK\x01\x02");
  bytes[entry + 27] = 0x7f;  // the highest byte of the unpacked size
  test::write_text(folder / "m.pt", bytes);
  EXPECT_THAT(load_error(folder / "m.pt"), AllOf(StartsWith("input: "), HasSubstr("claims to unpack to more than")));
}

/// A zip archive of torch's layout with these records.
void write_archive(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& records) {
  caffe2::serialize::PyTorchStreamWriter writer(path.string());
  for (const auto& [name, content] : records) writer.writeRecord(name, content.data(), content.size());
  writer.writeEndOfFile();
}

TEST(Damaged, AnotherZipFileIsNamedAsOne) {
  const test::TempFolder folder;
  write_archive(folder / "m.pt", {{"word/document.xml", "<w/>"}});
  EXPECT_THAT(load_error(folder / "m.pt"), HasSubstr("this zip file is no TorchScript archive"));
}

// The form that torch.save had before 1.6: pickles one after the other.
TEST(Damaged, APickleIsNoArchive) {
  const test::TempFolder folder;
  const std::vector<char> pickled = torch::jit::pickle_save(c10::IValue(1.5));
  const std::string legacy =
      "\x80\x02\x8a\x0alFc\x9c"
      "F\xf9 j\xa8P\x19.";
  test::write_text(folder / "m.pt", legacy + std::string(pickled.begin(), pickled.end()));
  EXPECT_THAT(load_error(folder / "m.pt"), HasSubstr("no TorchScript file"));
  test::write_text(folder / "m.pt", std::string(pickled.begin(), pickled.end()));
  EXPECT_THAT(load_error(folder / "m.pt"), HasSubstr("no TorchScript code"));
}

// The names are right, the contents are not.
TEST(Damaged, NonsenseInTheRightRecordsIsAnInputError) {
  for (const auto& [data, code] :
       std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                        {"no pickle", "class"},
                                                        {"\x80\x02.", "class M(Module):\n  x : int\n"},
                                                        {"\x80\x02}.", "\xff\xfe"}}) {
    const test::TempFolder folder;
    write_archive(folder / "m.pt", {{"data.pkl", data}, {"code/__torch__.py", code}, {"constants.pkl", "\x80\x02)."}});
    EXPECT_EQ(outcome_of([&] { (void)load_file(folder / "m.pt"); }), 1) << data << " | " << code;
  }
}

/// The fixture's records, without the root folder.
std::vector<std::pair<std::string, std::string>> records_of(const std::string& name) {
  caffe2::serialize::PyTorchStreamReader reader(test::fixture_path(name).string());
  std::vector<std::pair<std::string, std::string>> records;
  for (const std::string& record : reader.getAllRecords()) {
    if (record == "version" || record == "byteorder" || record.starts_with(".data")) continue;  // the writer's own
    const auto [data, size] = reader.getRecord(record);
    records.emplace_back(record, std::string(static_cast<const char*>(data.get()), size));
  }
  return records;
}

/// Writes the fixture with one record changed.
void write_changed(const fs::path& path, const std::string& fixture, const std::string& record,
                   const std::function<void(std::string&)>& change) {
  auto records = records_of(fixture);
  for (auto& [name, content] : records) {
    if (name == record) change(content);
  }
  write_archive(path, records);
}

void replace_first(std::string& text, const std::string& before, const std::string& after) {
  const std::size_t at = text.find(before);
  ASSERT_NE(at, std::string::npos) << before;
  text.replace(at, before.size(), after);
}

// Checksums are right. Torch reads memory that is not the tensor's, which mostly ends the process.
TEST(Damaged, ATensorThatIsLargerThanItsDataIsAnInputError) {
  const test::TempFolder folder;
  using Change = std::function<void(std::string&)>;
  // the first convolution's weight: a storage of 216 numbers of which the tensor shows [8, 3, 3, 3] in steps of 27, 9,
  // ...
  const auto first = [](const std::string& before, const std::string& after) {
    return [=](std::string& pickle) { replace_first(pickle, before, after); };
  };
  const std::map<std::string, std::pair<std::string, Change>> changes{
      {"its record is cut", {"data/0", [](std::string& data) { data.resize(data.size() / 2); }}},
      {"its record is empty", {"data/0", [](std::string& data) { data.clear(); }}},
      {"its storage states more numbers and shows them",
       {"data.pkl",
        [&](std::string& pickle) {
          first("K\xd8", std::string("J\x00\x00\x00\x10", 5))(pickle);
          first("K\x08K\x03K\x03K\x03", std::string("J\x00\x00\x80\x00K\x03K\x03K\x03", 11))(pickle);
        }}},
      {"more rows", {"data.pkl", first("K\x08K\x03K\x03K\x03", "K\xffK\x03K\x03K\x03")}},
      {"a larger step", {"data.pkl", first("K\x1bK\x09", std::string("J\x00\x00\x00\x7fK\x09", 7))}},
      {"a negative size", {"data.pkl", first("K\x08K\x03K\x03K\x03", "J\xff\xff\xff\xffK\x03K\x03K\x03")}}};
  for (const auto& [kind, change] : changes) {
    write_changed(folder / "m.pt", "zoo/sequence", change.first, change.second);
    EXPECT_EQ(outcome_of([&] { (void)load_file(folder / "m.pt"); }), 1) << kind;
    // Newer versions of Torch find what does not fit into the stated storage; none compares that with the record.
    EXPECT_THAT(load_error(folder / "m.pt"), testing::AnyOf(HasSubstr("a tensor in data.pkl is larger than its data"),
                                                            HasSubstr("cannot be loaded: Tensor: ")))
        << kind;
  }
}

// The activation's object has fewer attributes than a normalisation: Torch would read past its end.
TEST(Damaged, CodeThatDeclaresAnotherClassThanTheDataHasIsAnInputError) {
  const test::TempFolder folder;
  write_changed(folder / "m.pt", "small", "code/__torch__/torch/nn/modules/container.py", [](std::string& code) {
    replace_first(code, "[\"2\"] = __torch__.torch.nn.modules.activation.",
                  "[\"2\"] = __torch__.torch.nn.modules.batchnorm.");
    const std::size_t name =
        code.find("modules.batchnorm.", code.find("[\"2\"]")) + std::string("modules.batchnorm.").size();
    code.replace(name, code.find('\n', name) - name, "BatchNorm2d");
  });
  EXPECT_EQ(outcome_of([&] { (void)load_file(folder / "m.pt"); }), 1);
  EXPECT_THAT(load_error(folder / "m.pt"), AllOf(HasSubstr("the code says that '2' is a "), HasSubstr("BatchNorm2d")));
}

TEST(Damaged, CodeThatIsTooDeepForTorchsParserIsAnInputError) {
  const test::TempFolder folder;
  for (const std::string inside : {"(", "[", "not ", "-", "x.", "x + "}) {
    std::string deep = "def forward(self, x: Tensor) -> Tensor:\n  return ";
    for (int i = 0; i < 100'000; ++i) deep += inside;
    write_archive(folder / "m.pt",
                  {{"data.pkl", "\x80\x02}."}, {"code/__torch__.py", deep}, {"constants.pkl", "\x80\x02)."}});
    EXPECT_THAT(load_error(folder / "m.pt"), HasSubstr("brackets, operators and blocks inside one another")) << inside;
  }
}

// A pipe without a writer, a device without an end: nobody waits for them.
TEST(Damaged, WhatIsNoFileIsNotOpened) {
  const test::TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "m.pt").c_str(), 0600), 0);
  for (const fs::path& path : {folder / "m.pt", fs::path("/dev/null"), fs::path("/dev/zero")}) {
    ASSERT_EQ(outcome_of([&] { (void)load_file(path); }), 1) << path;
    EXPECT_THAT(load_error(path), HasSubstr("this is no file"));
  }
}

TEST(Damaged, AFileThatCannotBeReadSaysWhy) {
  const test::TempFolder folder;
  fs::create_symlink("m.pt", folder / "m.pt");  // to itself
  EXPECT_THAT(load_error(folder / "m.pt"), AllOf(StartsWith("input: "), HasSubstr("cannot be read: Too many levels")));
  EXPECT_THAT(load_error(folder / std::string(300, 'x')), HasSubstr("cannot be read: File name too long"));
  EXPECT_THAT(load_error("/proc/self/mem"), HasSubstr("cannot be read: Input/output error"));
}

TEST(Damaged, AFileWithoutPermissionSaysSo) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read all files";
  const test::TempFolder folder;
  fs::copy_file(test::fixture_path("small"), folder / "m.pt");
  fs::permissions(folder / "m.pt", fs::perms::none);
  EXPECT_THAT(load_error(folder / "m.pt"), HasSubstr("cannot be read: Permission denied"));
}

TEST(Damaged, StrangeNamesAreFine) {
  const test::TempFolder folder;
  for (const std::string name : {"mein Modell.pt", "modèle 模型.pt", "-m.pt", "a'b\"c$d.pt"}) {
    fs::copy_file(test::fixture_path("small"), folder / name);
    EXPECT_EQ(load_file(folder / name).spec.path, (folder / name).string());
  }
}

}  // namespace
}  // namespace repsim::model
