#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reader.hpp"
#include "repsim/base/progress.hpp"

namespace repsim::video {

/// Pictures in a folder that stand for a video.
struct PictureSequence {
  std::string path;                             ///< as given: the folder, or folder and pattern of names
  std::vector<std::filesystem::path> pictures;  ///< in order, at least one
  std::int64_t others = 0;                      ///< entries of the folder that are left out
};

/// The order of names in which "img2" comes before "img10": runs of digits are compared as numbers, what lies between
/// them by bytes. Names that differ in leading zeros alone are compared by bytes.
[[nodiscard]] bool natural_less(std::string_view left, std::string_view right);

/// The pictures that `path` means: all in a folder, known by the suffix of their names, or those of a numbered sequence
/// ("shot/img_%03d.png", as FFmpeg writes it; the numbers may begin anywhere and leave gaps). Hidden files are not
/// looked at. A file of that very name is no sequence.
/// @return nothing where `path` is neither
/// @throws Error{kInput} when no picture is there, or when the folder cannot be read
[[nodiscard]] std::optional<PictureSequence> find_pictures(const std::filesystem::path& path);

/// SHA-256 of the pictures' own SHA-256, as text one after the other: equal for equal pictures in equal order, whatever
/// their names. @throws Error{kInput} naming a picture that cannot be read; Error{kInterrupted}
[[nodiscard]] std::string sha256_of_pictures(const PictureSequence& sequence, Progress& progress);

/// Reads the pictures as frames. Each has to decode, and all have to have one size.
[[nodiscard]] std::unique_ptr<Reader> open_pictures(PictureSequence sequence);

}  // namespace repsim::video
