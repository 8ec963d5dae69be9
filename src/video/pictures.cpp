#include "pictures.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <system_error>

#include "repsim/base/hash.hpp"
#include "repsim/base/posix.hpp"

namespace repsim::video {
namespace {

namespace fs = std::filesystem;

constexpr std::array kSuffixes{".bmp", ".dib", ".jp2", ".jpe", ".jpeg", ".jpg",  ".pbm",
                               ".pgm", ".png", ".pnm", ".ppm", ".tif",  ".tiff", ".webp"};

bool is_digit(char character) { return character >= '0' && character <= '9'; }

/// The run of digits at the start.
std::string_view digits(std::string_view text) {
  return text.substr(0, static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is_digit) - text.begin()));
}

std::string_view without_zeros(std::string_view number) {
  const std::size_t first = number.find_first_not_of('0');
  return first == std::string_view::npos ? std::string_view{} : number.substr(first);
}

bool is_picture(const fs::path& path) {
  std::string suffix = path.extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return std::find(kSuffixes.begin(), kSuffixes.end(), suffix) != kSuffixes.end();
}

/// What lies before and after the number in the names of a numbered sequence.
struct Pattern {
  std::string before, after;
  std::size_t width = 0;  ///< digits that the number has at least

  [[nodiscard]] bool matches(std::string_view name) const {
    if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after))
      return false;
    name = name.substr(before.size(), name.size() - before.size() - after.size());
    if (digits(name).size() != name.size() || name.size() < width) return false;
    return width == 0 || name.size() == width || name.front() != '0';
  }
};

/// Reads "img_%03d.png"; "%%" stands for '%'. Nothing where the name has not exactly one number.
std::optional<Pattern> read_pattern(std::string_view name) {
  Pattern pattern;
  bool found = false;
  while (!name.empty()) {
    std::string& part = found ? pattern.after : pattern.before;
    if (name.front() != '%') {
      part += name.front();
      name.remove_prefix(1);
      continue;
    }
    name.remove_prefix(1);
    if (name.starts_with('%')) {
      part += '%';
      name.remove_prefix(1);
      continue;
    }
    const std::string_view width = digits(name);
    if (found || width.size() > 3 || !name.substr(width.size()).starts_with('d')) return std::nullopt;
    for (const char digit : width) pattern.width = 10 * pattern.width + static_cast<std::size_t>(digit - '0');
    found = true;
    name.remove_prefix(width.size() + 1);
  }
  return found ? std::optional(pattern) : std::nullopt;
}

/// The entries of a folder that are not hidden.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code failed;
  fs::directory_iterator entry(folder, failed);
  for (; !failed && entry != fs::directory_iterator(); entry.increment(failed)) {
    if (!entry->path().filename().string().starts_with('.')) entries.push_back(entry->path());
  }
  if (failed) throw system_error("the folder cannot be read", folder, failed.value());
  return entries;
}

template <typename Wanted>
PictureSequence sequence_of(const fs::path& path, const fs::path& folder, const Wanted& wanted) {
  PictureSequence sequence{path.string(), {}, 0};
  for (const fs::path& entry : entries_of(folder)) {
    std::error_code ignored;
    if (wanted(entry) && fs::is_regular_file(entry, ignored)) {
      sequence.pictures.push_back(entry);
    } else {
      ++sequence.others;
    }
  }
  std::sort(sequence.pictures.begin(), sequence.pictures.end(), [](const fs::path& a, const fs::path& b) {
    return natural_less(a.filename().string(), b.filename().string());
  });
  return sequence;
}

}  // namespace

bool natural_less(std::string_view left, std::string_view right) {
  const std::string_view whole_left = left, whole_right = right;
  while (!left.empty() && !right.empty()) {
    const std::string_view left_run = digits(left), right_run = digits(right);
    if (!left_run.empty() && !right_run.empty()) {
      const std::string_view a = without_zeros(left_run), b = without_zeros(right_run);
      if (a.size() != b.size()) return a.size() < b.size();
      if (a != b) return a < b;
      left.remove_prefix(left_run.size());
      right.remove_prefix(right_run.size());
    } else if (left.front() != right.front()) {
      return static_cast<unsigned char>(left.front()) < static_cast<unsigned char>(right.front());
    } else {
      left.remove_prefix(1);
      right.remove_prefix(1);
    }
  }
  if (left.empty() != right.empty()) return left.empty();
  return whole_left < whole_right;
}

std::optional<PictureSequence> find_pictures(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) {
    PictureSequence sequence = sequence_of(path, path, is_picture);
    if (!sequence.pictures.empty()) return sequence;
    throw input_error("the folder holds no picture" +
                          (sequence.others == 0 ? "" : ", but " + std::to_string(sequence.others) + " other entries"),
                      path.string(), "name a video file, or a folder with the frames as pictures (png, jpg, ...)");
  }
  if (fs::exists(path, ignored)) return std::nullopt;
  const std::optional<Pattern> pattern = read_pattern(path.filename().string());
  if (!pattern) return std::nullopt;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  PictureSequence sequence =
      sequence_of(path, folder, [&](const fs::path& entry) { return pattern->matches(entry.filename().string()); });
  if (!sequence.pictures.empty()) return sequence;
  throw input_error("no file has such a name with a number in it", path.string(),
                    "check the pattern: img_%03d.png means img_000.png, img_001.png, ...");
}

std::string sha256_of_pictures(const PictureSequence& sequence, Progress& progress) {
  std::string all;
  for (const fs::path& picture : sequence.pictures) all += sha256_of_file(picture, progress);
  return sha256(all);
}

}  // namespace repsim::video
