#include "archive.hpp"

#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>
#include <fcntl.h>
#include <torch/csrc/jit/serialization/import_read.h>
#include <torch/version.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <vector>

#include "enumerations.hpp"
#include "libraries.hpp"
#include "plain/code_nesting.hpp"
#include "plain/file_kind.hpp"
#include "plain/pickle.hpp"
#include "plain/zip_directory.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/crash_note.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/posix.hpp"
#include "stated_tensors.hpp"

namespace repsim::model {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kZipMagic = "PK\x03\x04";

/// Lets torch read an archive from memory without a copy. The bytes must outlive the reader.
class MemoryReader : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit MemoryReader(std::string_view bytes) : bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const override { return bytes_.size(); }
  std::size_t read(std::uint64_t position, void* out, std::size_t count, const char* /*what*/) const override {
    if (position >= bytes_.size()) return 0;
    const std::string_view part = bytes_.substr(position, count);
    std::memcpy(out, part.data(), part.size());
    return part.size();
  }

 private:
  std::string_view bytes_;
};

/// First line of a message without torch's "[enforce fail at ...]" prefix; the rest, with its backtrace, is for the
/// debug log. TorchScript's own errors begin with an empty line.
std::string first_line(const std::exception& error) {
  log::debug(error.what());
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  text.erase(0, text.find_first_not_of(" \n"));
  if (const auto close = text.find("] "); text.starts_with("[enforce fail") && close != std::string::npos) {
    text = text.substr(close + 2);
  }
  return text.substr(0, text.find('\n'));
}

/// The operator that is missing when loading failed for that reason: "torchvision::nms". Empty otherwise.
std::string missing_operator(const std::string& message) {
  for (const std::string mark : {"Unknown builtin op: ", "Couldn't find an operator for "}) {
    if (const auto at = message.find(mark); at != std::string::npos) {
      const auto begin = at + mark.size();
      auto end = message.find_first_of(" \n(", begin);
      std::string name = message.substr(begin, end - begin);
      while (!name.empty() && name.back() == '.') name.pop_back();
      return name;
    }
  }
  return {};
}

/// Turns Torch's message about a module that it cannot load into an error with a remedy.
Error loading_error(const std::string& message, const std::string& reason, const std::string& path) {
  // A class of some C++ library: "Unknown type name '__torch__.torch.classes.xnnpack.Conv2dOpContext'".
  static const std::string kClass = "Unknown type name '__torch__.torch.classes.";
  if (const auto at = message.find(kClass); at != std::string::npos) {
    const auto begin = at + kClass.size();
    const std::string name = message.substr(begin, message.find('\'', begin) - begin);
    const bool mobile = name.starts_with("xnnpack.") || name.starts_with("vulkan.") || name.starts_with("metal.");
    return input_error("the model needs the class " + name + ", which this Torch does not have", path,
                       mobile ? "save the model before torch.utils.mobile_optimizer packs its weights for phones: "
                                "torch.jit.script(model).save('model.pt')"
                              : "add the library that has it: --library libNAME.so, or export without it");
  }
  if (message.find("octal specifier") != std::string::npos) {
    return input_error("a name in its code has characters beyond ASCII, which Torch writes and does not read", path,
                       "rename the submodules and attributes before the export");
  }
  // Constants in the layout of oneDNN have no form in an archive: torch.jit.save leaves out their values.
  if (message.find("required keyword attribute 'value' is undefined") != std::string::npos) {
    return input_error(
        "a constant has no value in this archive (torch.jit.optimize_for_inference makes such ones, and "
        "torch.jit.save leaves them out)",
        path, "save the model before torch.jit.optimize_for_inference: repsim optimises by itself");
  }
  return input_error("cannot be loaded: " + reason, path,
                     std::string("export it again with Torch ") + TORCH_VERSION + " or older");
}

Error as_error(const Advice& advice, const std::string& path) {
  return input_error(advice.problem, path, advice.remedy);
}

/// @param records  names, without the archive's root folder
Error not_torchscript(const std::string& bytes, const std::vector<std::string>& records, const std::string& path) {
  std::string pickled;
  try {
    caffe2::serialize::PyTorchStreamReader reader(std::make_shared<MemoryReader>(bytes));
    if (reader.hasRecord("data.pkl")) {
      const auto [data, size] = reader.getRecord("data.pkl");
      pickled.assign(static_cast<const char*>(data.get()), size);
    }
  } catch (const std::exception& error) {
    log::debug(error.what());  // Torch does not read every zip archive
  }
  return as_error(kind_of_archive(records, pickled, path), path);
}

constexpr std::size_t kMaxExtraBytes = 1 << 20;  // metadata is small; an extra file may also be a second model

std::map<std::string, std::string> extra_files_of(caffe2::serialize::PyTorchStreamReader& reader,
                                                  const std::string& path) {
  static const std::string kExtra = "extra/";
  std::map<std::string, std::string> files;
  for (const std::string& record : reader.getAllRecords()) {
    if (!record.starts_with(kExtra)) continue;
    try {
      if (reader.getRecordSize(record) > kMaxExtraBytes) continue;
      const auto [data, size] = reader.getRecord(record);
      files[record.substr(kExtra.size())] = std::string(static_cast<const char*>(data.get()), size);
    } catch (const std::exception& error) {
      log::warn(path + ": the extra file " + record + " cannot be read and is left out: " + first_line(error));
    }
  }
  return files;
}

std::optional<std::vector<c10::IValue>> traced_inputs_of(caffe2::serialize::PyTorchStreamReader& reader,
                                                         const std::string& path) {
  try {
    if (!reader.hasRecord("traced_inputs.pkl")) return std::nullopt;
    // A dictionary method -> arguments. Without a resolver the reader knows no classes, so it makes no objects.
    const c10::IValue traced = torch::jit::readArchiveAndTensors("traced_inputs", "", "traced_inputs/", std::nullopt,
                                                                 std::nullopt, at::kCPU, reader);
    if (!traced.isGenericDict()) return std::nullopt;
    for (const auto& entry : traced.toGenericDict()) {
      if (!entry.key().isString() || entry.key().toStringRef() != "forward" || !entry.value().isList()) continue;
      return entry.value().toListRef().vec();
    }
  } catch (const std::exception& error) {
    log::debug(path + ": traced inputs cannot be read: " + first_line(error));
  }
  return std::nullopt;
}

/// Reads extra files and traced inputs. They are not part of the model: files that cannot be read are left out.
void read_side_records(const std::string& bytes, const std::string& path, Archive& archive) {
  caffe2::serialize::PyTorchStreamReader reader(std::make_shared<MemoryReader>(bytes));
  archive.extra_files = extra_files_of(reader, path);
  archive.traced_inputs = traced_inputs_of(reader, path);
}

/// Loads the module. If an operator of torchvision is missing, loads torchvision's library first, where there is one.
torch::jit::Module load_module(const std::string& bytes, const std::string& path) {
  const auto load = [&bytes] { return torch::jit::load(std::make_shared<MemoryReader>(bytes), at::kCPU); };
  std::string missing;
  try {
    return load();
  } catch (const std::exception& error) {
    missing = missing_operator(error.what());
    if (missing.empty()) throw loading_error(error.what(), first_line(error), path);
  }
  const std::string problem = "the model needs the operator " + missing + ", which this Torch does not have";
  if (missing.starts_with("aten::") || missing.starts_with("prim::")) {
    throw input_error(problem, path,
                      "a newer Torch wrote this archive: build repsim with that one, or export it with Torch " +
                          std::string(TORCH_VERSION) + " or older");
  }
  if (!missing.starts_with("torchvision::")) {
    throw input_error(problem, path, "add the library that has it: --library libNAME.so, or export without it");
  }
  const auto library = find_torchvision(torch_folder());
  if (!library) {
    throw input_error(problem, path,
                      "install torchvision beside Torch (" + torch_folder() +
                          "), or name its library: --library .../torchvision/_C.so, or export without it "
                          "(post-processing such as NMS is not needed: repsim applies its own)");
  }
  log::info(path + ": needs " + missing + ": loading " + *library);
  try {
    load_library(*library);
    return load();
  } catch (const Error& error) {
    throw input_error(problem + ", and " + *library + " does not help: " + error.problem(), path, error.remedy());
  } catch (const std::exception& error) {
    throw input_error(problem + ", nor has " + *library + ": " + first_line(error), path,
                      "a torchvision that fits the model: --library .../torchvision/_C.so");
  }
}

/// The class that an attribute is declared with, also inside Optional; null: it is no object.
c10::ClassTypePtr declared_class(const c10::TypePtr& type) {
  if (const auto optional = type->cast<c10::OptionalType>()) return declared_class(optional->getElementType());
  return type->cast<c10::ClassType>();
}

/// Torch believes what an archive's code says of the objects in its data, and reads past an object that has fewer
/// attributes.
/// @throws Error{kInput} where an object is of another class than the code declares
void check_attributes(const c10::intrusive_ptr<c10::ivalue::Object>& root, const std::string& path) {
  const auto refuse = [&](const std::string& attribute, const std::string& problem) {
    throw input_error("the code says that '" + attribute + "' is " + problem, path, "export the model again");
  };
  std::vector<c10::intrusive_ptr<c10::ivalue::Object>> waiting{root};
  std::set<const c10::ivalue::Object*> seen{root.get()};
  while (!waiting.empty()) {
    const auto object = std::move(waiting.back());
    waiting.pop_back();
    const c10::ClassType& type = *object->type();
    for (std::size_t i = 0; i < type.numAttributes(); ++i) {
      const c10::ClassTypePtr declared = declared_class(type.getAttribute(i));
      if (declared == nullptr) continue;
      const std::string name = type.getAttributeName(i), wanted = declared->annotation_str();
      if (i >= object->slots().size()) refuse(name, "a " + wanted + ", and the data has none");
      const c10::IValue& value = object->slots()[i];
      if (value.isNone() && type.getAttribute(i)->kind() == c10::TypeKind::OptionalType) continue;
      if (!value.isObject()) refuse(name, "a " + wanted + ", and the data has a " + value.tagKind());
      const auto inner = value.toObject();
      if (*inner->type() != *declared)
        refuse(name, "a " + wanted + ", and the data has a " + inner->type()->annotation_str());
      if (seen.insert(inner.get()).second) waiting.push_back(inner);
    }
  }
}

std::string_view root_folder(const ZipRecord& record) {
  return std::string_view(record.name).substr(0, record.name.find('/'));
}

/// A record's name in torch's form: without the root folder.
std::string record_name(const ZipRecord& record) { return record.name.substr(record.name.find('/') + 1); }

/// Checks what Torch's reader ignores. The checksum: a flipped bit would give a model with another weight. Pickles that
/// are cut short, and code that lies in itself too often: Torch would end the process.
void check_content(const ZipRecord& record, std::string_view content, const std::string& path) {
  if (crc32(content) != record.crc32) throw damaged_archive("the checksum of '" + record.name + "' differs", path);
  const std::string name = record_name(record);
  if (name.ends_with("pkl") && !name.starts_with("extra/") && !is_whole_pickle(content))
    throw damaged_archive("'" + record.name + "' is no whole pickle", path);
  if (name.starts_with("code/") && name.ends_with(".py") && code_nesting(content) > kMostCodeNesting) {
    throw input_error("the code in '" + record.name + "' has more than " + std::to_string(kMostCodeNesting) +
                          " brackets, operators and blocks inside one another",
                      path, "export the model again, with smaller expressions");
  }
}

void check_contents(const std::string& bytes, const std::vector<ZipRecord>& declared, const std::string& path) {
  caffe2::serialize::PyTorchStreamReader reader(std::make_shared<MemoryReader>(bytes));
  for (const ZipRecord& record : declared) {
    if (record.deflated) {
      const auto [data, size] = reader.getRecord(record_name(record));
      check_content(record, {static_cast<const char*>(data.get()), size}, path);
    } else {
      check_content(record, stored_bytes(bytes, record, path), path);
    }
  }
}

void check_records(const std::string& bytes, const std::string& path) {
  const std::vector<ZipRecord> declared = read_zip_directory(bytes, path);  // before torch reserves what is declared
  std::vector<std::string> names;
  for (const ZipRecord& record : declared) {
    if (root_folder(record) != root_folder(declared.front()))  // torch's reader takes exception to that in odd places
      throw damaged_archive("'" + record.name + "' lies outside of the archive's root folder", path);
    names.push_back(record_name(record));
  }
  const bool code =
      std::any_of(names.begin(), names.end(), [](const std::string& n) { return n.starts_with("code/"); });
  const bool data = std::find(names.begin(), names.end(), "data.pkl") != names.end();
  if (!code || !data) throw not_torchscript(bytes, names, path);
  try {
    check_contents(bytes, declared, path);
    check_stated_tensors(bytes, declared, path);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw damaged_archive(first_line(error), path);
  }
}

/// Reads the file. Stops early where it does not begin like an archive.
std::string read_zip_file(const std::string& path, const std::string& name) {
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (status.type() == fs::file_type::not_found) {
    throw input_error("no such file", path, "check the path of model '" + name + "'");
  }
  if (status.type() == fs::file_type::none) throw system_error("cannot be read", path, code.value());
  if (!fs::is_regular_file(status)) {  // a pipe or a device may never end
    throw input_error("this is no file", path, "give the .pt file of model '" + name + "'");
  }
  std::array<char, kKindBytes> buffer{};
  std::size_t size = 0;
  {
    const FileDescriptor file = open_descriptor(path, O_RDONLY);
    if (!file.valid()) throw system_error("cannot be read", path, errno);
    size = read_some(file, buffer.data(), buffer.size(), path);
  }
  const std::string_view begin(buffer.data(), size);
  if (begin.empty()) throw input_error("the file is empty", path, "export the model again");
  if (!begin.starts_with(kZipMagic)) throw as_error(kind_of_file(begin, path), path);
  return read_file(path);
}

}  // namespace

Archive read_archive(const std::string& path, const std::string& name) {
  const std::string bytes = read_zip_file(path, name);
  check_records(bytes, path);
  Archive archive;
  archive.file_bytes = static_cast<std::int64_t>(bytes.size());
  archive.sha256 = sha256(bytes);
  {
    const CrashNote note("Torch opened this archive", path,
                         "open it in Python (torch.jit.load): if that crashes too, export the model again; if not, "
                         "please report it");
    archive.module = load_module(bytes, path);
  }
  check_attributes(archive.module._ivalue(), path);
  check_enumerations(archive.module, path);
  read_side_records(bytes, path, archive);
  return archive;
}

}  // namespace repsim::model
