#include "repsim/base/hash.hpp"

#include <openssl/evp.h>
#include <zlib.h>

#include <array>
#include <memory>
#include <vector>

#include "repsim/base/error.hpp"
#include "repsim/base/posix.hpp"

namespace repsim {
namespace {

constexpr std::size_t kHashedBytes = std::size_t{1} << 20;

void check(int result) {
  if (result != 1) throw Error(ErrorKind::kInternal, "OpenSSL cannot compute SHA-256");
}

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    check(context_ == nullptr ? 0 : EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
  }
  void add(const void* data, std::size_t size) { check(EVP_DigestUpdate(context_.get(), data, size)); }
  [[nodiscard]] std::string digits() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    check(EVP_DigestFinal_ex(context_.get(), digest.data(), &size));
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text += kHex[digest[i] >> 4U];
      text += kHex[digest[i] & 15U];
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256(std::string_view bytes) { return sha256(std::as_bytes(std::span(bytes))); }

std::string sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.add(bytes.data(), bytes.size());
  return hash.digits();
}

std::uint32_t crc32(std::string_view bytes) {
  return static_cast<std::uint32_t>(::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::string sha256_of_file(const std::filesystem::path& path) {
  SilentProgress progress;
  return sha256_of_file(path, progress);
}

std::string sha256_of_file(const std::filesystem::path& path, Progress& progress) {
  const FileDescriptor file = open_file(path);
  Sha256 hash;
  std::vector<char> piece(kHashedBytes);
  while (const std::size_t count = read_some(file, piece.data(), piece.size(), path)) {
    hash.add(piece.data(), count);
    progress.step(0);
  }
  return hash.digits();
}

}  // namespace repsim
