#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <memory>
#include <numeric>
#include <system_error>
#include <utility>

#include "repsim/base/error.hpp"
#include "repsim/base/posix.hpp"
#include "repsim/video.hpp"

namespace repsim::video {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kChannels = 3;
constexpr std::int64_t kMostPixels = 8192;

void check_spec(const model::InputSpec& spec) {
  const auto in_range = [](std::int64_t pixels) { return pixels >= 1 && pixels <= kMostPixels; };
  if (!in_range(spec.width) || !in_range(spec.height)) {
    throw input_error(
        "a size of " + std::to_string(spec.width) + "x" + std::to_string(spec.height) + " is out of range", "input",
        "use 1 to 8192 pixels a side");
  }
  if (spec.pad < 0 || spec.pad > 255) throw input_error("the grey level is out of range", "input.pad", "use 0 to 255");
  for (const double value : spec.std) {
    if (value == 0) throw input_error("a standard deviation is 0", "input.std", "leave it at 1 to change nothing");
  }
  const model::InputSpec plain;
  if (spec.dtype == model::InputDtype::kUint8 &&
      (spec.scale != 1 || spec.mean != plain.mean || spec.std != plain.std)) {
    throw input_error("the dtype uint8 takes the pixels as they are", "input.dtype",
                      "leave out scale, mean and std, or use float32");
  }
}

/// Per channel the preprocessed value of each of the 256 levels.
using Levels = std::array<std::array<float, 256>, kChannels>;

Levels levels_of(const model::InputSpec& spec) {
  Levels levels{};
  for (std::size_t channel = 0; channel < levels.size(); ++channel) {
    const auto mean = static_cast<float>(spec.mean[channel]), deviation = static_cast<float>(spec.std[channel]);
    for (std::size_t level = 0; level < levels[channel].size(); ++level) {
      const bool divides = spec.scale == 1.0 / 255.0;
      const float x =
          divides ? static_cast<float>(level) / 255.0F : static_cast<float>(static_cast<double>(level) * spec.scale);
      levels[channel][level] = (x - mean) / deviation;
    }
  }
  return levels;
}

/// @throws Error{kInput}
FileDescriptor nameless_file(const fs::path& folder) {
  FileDescriptor file = open_descriptor(folder, O_TMPFILE | O_RDWR, 0600);
  if (file.valid()) return file;
  // Not every file system knows files without names. A process that is killed between these two lines leaves one.
  std::string name = (folder / "repsim-frames-XXXXXX").string();
  FileDescriptor named(::mkostemp(name.data(), O_CLOEXEC));
  if (!named.valid()) throw system_error("the folder for temporary files (TMPDIR) cannot be written", folder, errno);
  ::unlink(name.c_str());
  return named;
}

/// Mapped memory of `bytes` zeros, backed by a file without a name, which disappears with the process.
class Mapping {
 public:
  explicit Mapping(std::size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    std::error_code failed;
    const fs::path folder = fs::temp_directory_path(failed);
    if (failed) throw system_error("the folder for temporary files (TMPDIR) cannot be used", folder, failed.value());
    const FileDescriptor file = nameless_file(folder);
    // Reserved, not only sized: writing to a mapped file on a full disk would kill the process.
    int result = EINTR;
    while (result == EINTR) result = ::posix_fallocate(file.get(), 0, static_cast<::off_t>(bytes));
    if (result != 0) {
      throw system_error("no space for " + std::to_string(bytes >> 20U) + " MiB of frames (TMPDIR chooses the folder)",
                         folder, result);
    }
    void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (address == MAP_FAILED) throw system_error("frames cannot be mapped into memory", folder, errno);
    data_ = static_cast<std::uint8_t*>(address);
  }
  ~Mapping() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  [[nodiscard]] std::uint8_t* data() const { return data_; }

  /// Takes the pages of these bytes out of the process's memory. They stay in the file and come back when they are
  /// read.
  void release(std::size_t offset, std::size_t count) const {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const std::size_t begin = offset / page * page;
    if (count > 0) ::madvise(data_ + begin, offset + count - begin, MADV_DONTNEED);
  }

 private:
  std::size_t bytes_ = 0;
  std::uint8_t* data_ = nullptr;
};

}  // namespace

struct FrameStore::Impl {
  Impl(std::vector<std::int64_t> indices, const model::InputSpec& input)
      : frames(std::move(indices)),
        spec(checked(input)),
        frame_bytes(static_cast<std::size_t>(spec.width * spec.height * kChannels)),
        levels(levels_of(spec)),
        slots(frames.size()),
        mapping(std::make_shared<Mapping>(total_bytes())) {
    std::iota(slots.begin(), slots.end(), std::size_t{0});
  }

  static model::InputSpec checked(model::InputSpec input) {
    check_spec(input);
    return input;
  }
  [[nodiscard]] std::size_t total_bytes() const {
    constexpr auto kMost = static_cast<std::size_t>(std::numeric_limits<::off_t>::max());
    if (frames.size() > kMost / frame_bytes) {
      throw input_error("so many frames cannot be stored", "frames", "--frames with a smaller number");
    }
    return frames.size() * frame_bytes;
  }
  [[nodiscard]] std::span<std::uint8_t> pixels(std::int64_t position) const {
    if (position < 0 || position >= std::ssize(frames)) {
      throw Error(ErrorKind::kInternal, "no stored frame has the position " + std::to_string(position));
    }
    return {mapping->data() + slots[static_cast<std::size_t>(position)] * frame_bytes, frame_bytes};
  }

  std::vector<std::int64_t> frames;
  model::InputSpec spec;
  std::size_t frame_bytes;
  Levels levels;
  std::vector<std::size_t> slots;  // per frame, where in the mapping it lies
  std::shared_ptr<Mapping> mapping;
};

FrameStore::FrameStore(std::vector<std::int64_t> frames, const model::InputSpec& spec)
    : impl_(std::make_unique<Impl>(std::move(frames), spec)) {}
FrameStore::FrameStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FrameStore::~FrameStore() = default;
FrameStore::FrameStore(FrameStore&&) noexcept = default;
FrameStore& FrameStore::operator=(FrameStore&&) noexcept = default;

const std::vector<std::int64_t>& FrameStore::frames() const { return impl_->frames; }
std::int64_t FrameStore::size() const { return std::ssize(impl_->frames); }
const model::InputSpec& FrameStore::spec() const { return impl_->spec; }

void FrameStore::preprocess(std::span<const std::int64_t> positions, float* out) const {
  const auto plane = static_cast<std::size_t>(impl_->spec.width * impl_->spec.height);
  const auto& [first_level, second_level, third_level] = impl_->levels;
  for (const std::int64_t position : positions) {
    const std::uint8_t* pixel = pixels(position).data();
    float* first = out;
    float* second = first + plane;
    float* third = second + plane;
    for (std::size_t i = 0; i < plane; ++i, pixel += kChannels) {
      first[i] = first_level[pixel[0]];
      second[i] = second_level[pixel[1]];
      third[i] = third_level[pixel[2]];
    }
    out += kChannels * plane;
  }
  release(positions);
}

FrameStore FrameStore::some(std::span<const std::int64_t> positions) const {
  auto some = std::make_unique<Impl>(*impl_);
  some->frames.clear();
  some->slots.clear();
  for (const std::int64_t position : positions) {
    some->frames.push_back(impl_->frames.at(static_cast<std::size_t>(position)));
    some->slots.push_back(impl_->slots[static_cast<std::size_t>(position)]);
  }
  return FrameStore(std::move(some));
}

void FrameStore::release(std::span<const std::int64_t> positions) const {
  for (const std::int64_t position : positions) {
    const std::span<std::uint8_t> frame = impl_->pixels(position);
    impl_->mapping->release(static_cast<std::size_t>(frame.data() - impl_->mapping->data()), frame.size());
  }
}

std::span<const std::uint8_t> FrameStore::pixels(std::int64_t position) const { return impl_->pixels(position); }
std::span<std::uint8_t> FrameStore::pixels(std::int64_t position) { return impl_->pixels(position); }

}  // namespace repsim::video
