#include <bit>
#include <charconv>
#include <cstring>

#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/json_io.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/signature_cache.hpp"

#include <fcntl.h>

namespace repsim::capture {
namespace {

static_assert(std::endian::native == std::endian::little, "values are written as they lie in memory");

constexpr std::string_view kMagic = "repsim signatures ";
constexpr std::string_view kVersion = "1", kVersionOfParts = "2";
constexpr std::size_t kDigestLength = 64;
constexpr const char* kRemedy = "capture it again: repsim capture MODEL.pt --video V --out FILE --force";

Json origin_json(const SignatureOrigin& origin) {
  return {{"statistics_version", origin.statistics_version},
          {"model_sha256", origin.model_sha256},
          {"video_sha256", origin.video_sha256},
          {"input", origin.input},
          {"metric", "linear CKA, unbiased HSIC over minibatches"},
          {"minibatch", origin.minibatch},
          {"frames", origin.frames},
          {"machinery", origin.machinery}};
}

SignatureOrigin read_origin(const Json& json, const std::string& name) {
  JsonReader reader(json, name, "source");
  SignatureOrigin origin;
  std::string metric;
  reader.required("statistics_version", origin.statistics_version);
  reader.required("model_sha256", origin.model_sha256);
  reader.required("video_sha256", origin.video_sha256);
  reader.required("input", origin.input);
  reader.required("metric", metric);
  reader.required("minibatch", origin.minibatch);
  reader.optional("frames", origin.frames);
  reader.optional("machinery", origin.machinery);
  reader.finish();
  return origin;
}

/// Takes pieces off the front of a file's bytes.
class Pieces {
 public:
  Pieces(std::string_view bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}

  std::string_view line() {
    const std::size_t end = bytes_.find('\n');
    if (end == std::string_view::npos) damaged("a line has no end");
    const std::string_view text = bytes_.substr(0, end);
    bytes_.remove_prefix(end + 1);
    return text;
  }
  std::string_view take(std::size_t size) {
    if (size > bytes_.size()) damaged("it is too short");
    const std::string_view piece = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return piece;
  }
  [[nodiscard]] std::string_view rest() const { return bytes_; }
  [[noreturn]] void damaged(const std::string& why) const {
    throw input_error("the file of signatures is damaged: " + why, name_, kRemedy);
  }

 private:
  std::string_view bytes_;
  std::string name_;
};

void read_shard(const Json& json, const std::string& name, Shard& shard) {
  JsonReader reader(json, name, "shard");
  reader.required("index", shard.index);
  reader.required("count", shard.count);
  reader.finish();
}

/// @param is_part  by the version of the format
void read_header(const std::string& text, const std::string& name, bool is_part, SignatureFile& file) {
  const Json header = parse_json(text, name);
  JsonReader reader(header, name);
  const Json* source = reader.child("source");
  if (source == nullptr) reader.fail("source", "the key is missing");
  file.origin = read_origin(*source, name);
  if (is_part) {
    const Json* shard = reader.child("shard");
    if (shard == nullptr) reader.fail("shard", "the key is missing");
    read_shard(*shard, name, file.shard.emplace());
  }
  reader.required("model", file.signatures.model);
  reader.required("model_path", file.model_path);
  reader.required("video_path", file.video_path);
  reader.optional("layers", file.signatures.layers);
  reader.finish();
}

/// Takes frames and sizes of the signatures from the origin and the shard.
void set_sizes(const Pieces& pieces, SignatureFile& file) {
  const SignatureOrigin& origin = file.origin;
  const auto frames = static_cast<std::int64_t>(origin.frames.size());
  constexpr std::int64_t kMostPerMinibatch = 1 << 16;  // keeps the products below far from overflow
  if (origin.minibatch < 4 || origin.minibatch > kMostPerMinibatch || frames % origin.minibatch != 0)
    pieces.damaged("its minibatches are not whole");
  MinibatchRange range{0, frames / origin.minibatch};
  if (file.shard) {
    const Shard& shard = *file.shard;
    if (shard.index < 1 || shard.index > shard.count || shard.count > range.end)
      pieces.damaged("there is no such shard");
    range = minibatches_of(shard, range.end);
  }
  similarity::Signatures& signatures = file.signatures;
  signatures.minibatch = origin.minibatch;
  signatures.length = (range.end - range.begin) * (origin.minibatch * (origin.minibatch - 1) / 2);
  signatures.frames.assign(origin.frames.begin() + range.begin * origin.minibatch,
                           origin.frames.begin() + range.end * origin.minibatch);
}

}  // namespace

MinibatchRange minibatches_of(const Shard& shard, std::int64_t minibatches) {
  return {(shard.index - 1) * minibatches / shard.count, shard.index * minibatches / shard.count};
}

std::string digest(const SignatureOrigin& origin) { return sha256(to_text(origin_json(origin))); }

std::string to_bytes(const SignatureFile& file) {
  Json header;
  header["source"] = origin_json(file.origin);
  if (file.shard) header["shard"] = {{"index", file.shard->index}, {"count", file.shard->count}};
  header["model"] = file.signatures.model;
  header["model_path"] = file.model_path;
  header["video_path"] = file.video_path;
  header["layers"] = file.signatures.layers;
  const std::string text = to_text(header);
  const std::string version(file.shard ? kVersionOfParts : kVersion);
  std::string bytes = std::string(kMagic) + version + "\n" + std::to_string(text.size()) + "\n" + text;
  const std::size_t begin = bytes.size(), size = file.signatures.values.size() * sizeof(double);
  bytes.resize(begin + size);
  if (size > 0) std::memcpy(bytes.data() + begin, file.signatures.values.data(), size);
  return bytes + sha256(bytes);
}

SignatureFile signatures_from_bytes(std::string_view bytes, const std::string& name) {
  if (!bytes.starts_with(kMagic)) {
    throw input_error("this is no file of signatures", name, "one that repsim capture wrote");
  }
  Pieces pieces(bytes.substr(kMagic.size()), name);
  const std::string_view version = pieces.line();
  if (version != kVersion && version != kVersionOfParts) {
    throw input_error("the file of signatures has format version '" + std::string(version.substr(0, 20)) +
                          "', this repsim reads " + std::string(kVersion) + " and " + std::string(kVersionOfParts),
                      name, kRemedy);
  }
  if (pieces.rest().size() < kDigestLength) pieces.damaged("it is too short");
  if (sha256(bytes.substr(0, bytes.size() - kDigestLength)) != bytes.substr(bytes.size() - kDigestLength)) {
    pieces.damaged("its checksum does not fit");
  }
  const std::string_view digits = pieces.line();
  std::size_t header_size = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), header_size);
  if (error != std::errc{} || end != digits.data() + digits.size()) pieces.damaged("the header's length is no number");

  SignatureFile file;
  read_header(std::string(pieces.take(header_size)), name, version == kVersionOfParts, file);
  set_sizes(pieces, file);
  similarity::Signatures& signatures = file.signatures;
  const std::size_t values = (pieces.rest().size() - kDigestLength) / sizeof(double);
  if ((pieces.rest().size() - kDigestLength) % sizeof(double) != 0 ||
      values != signatures.layers.size() * static_cast<std::size_t>(signatures.length)) {
    pieces.damaged("the number of its values does not fit");
  }
  signatures.values.resize(values);
  if (values > 0) std::memcpy(signatures.values.data(), pieces.rest().data(), values * sizeof(double));
  return file;
}

bool is_signature_file(const std::filesystem::path& path) {
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed)) return false;  // opening a pipe would wait for a writer
  const FileDescriptor file = open_descriptor(path, O_RDONLY);
  std::string begin(kMagic.size(), '\0');
  return file.valid() && ::read(file.get(), begin.data(), begin.size()) == static_cast<::ssize_t>(begin.size()) &&
         begin == kMagic;
}

}  // namespace repsim::capture
