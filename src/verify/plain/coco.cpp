#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "repsim/base/error.hpp"
#include "repsim/base/json_io.hpp"
#include "truth_formats.hpp"

namespace repsim::verify {
namespace {

constexpr const char* kRemedy =
    "give COCO's annotation file: images (id, file_name), annotations (image_id, bbox, category_id), categories (id, "
    "name)";

/// An entry of `images`.
struct Image {
  Json id;                       ///< a number, or a string
  std::string name;              ///< file_name without folders; empty: not stated
  double width = 0, height = 0;  ///< of the picture that was annotated
  std::int64_t frame = 0;        ///< index in the video
};

/// Calls see(reader, position) for each entry of a list of objects.
void each(JsonReader& document, const std::string& key,
          const std::function<void(JsonReader&, std::size_t position)>& see) {
  const Json* list = document.child(key);
  if (list == nullptr || !list->is_array()) {
    document.fail(key, list == nullptr ? "the key is missing" : "is no list", kRemedy);
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    JsonReader entry((*list)[i], document.file(), key + "[" + std::to_string(i) + "]");
    see(entry, i);
  }
}

/// The id of an image, or an annotation's name for it.
Json read_id(JsonReader& entry, const std::string& key) {
  const Json* id = entry.child(key);
  if (id == nullptr) entry.fail(key, "the key is missing", kRemedy);
  if (id->is_string()) return *id;
  std::int64_t number = 0;
  entry.required(key, number);
  return number;
}

std::vector<Image> read_images(JsonReader& document, const video::VideoInfo& video) {
  std::vector<Image> images;
  each(document, "images", [&](JsonReader& entry, std::size_t) {
    Image image{read_id(entry, "id"), {}, static_cast<double>(video.width), static_cast<double>(video.height), 0};
    entry.optional("file_name", image.name);
    image.name = image.name.substr(image.name.find_last_of("/\\") + 1);
    for (const auto& [key, size] : {std::pair{"width", &image.width}, {"height", &image.height}}) {
      entry.optional(key, *size);
      if (*size <= 0) entry.fail(key, "is not above 0", kRemedy);
    }
    images.push_back(std::move(image));
  });
  if (images.empty()) document.fail("images", "the ground truth has no image", kRemedy);
  return images;
}

/// The last run of digits in a name before its suffix. Nothing for times and hashes, which are longer than frame
/// numbers.
std::optional<std::int64_t> number_in(const std::string& name) {
  constexpr std::string_view kDigits = "0123456789";
  constexpr std::size_t kLongest = 9;
  const std::string_view stem = std::string_view(name).substr(0, name.rfind('.'));
  const std::size_t last = stem.find_last_of(kDigits);
  if (last == std::string_view::npos) return std::nullopt;
  const std::size_t before = stem.find_last_not_of(kDigits, last);
  const std::size_t first = before == std::string_view::npos ? 0 : before + 1;
  if (last + 1 - first > kLongest) return std::nullopt;
  std::int64_t number = 0;
  std::from_chars(stem.data() + first, stem.data() + last + 1, number);
  return number;
}

/// Sets the images' frames by the names of the pictures that the video consists of; false if one is not among them.
bool by_picture(std::vector<Image>& images, const video::VideoInfo& video) {
  std::map<std::string, std::int64_t> index;
  for (const std::string& picture : video.pictures) index.emplace(picture, std::ssize(index));
  for (Image& image : images) {
    const auto found = index.find(image.name);
    if (found == index.end()) return false;
    image.frame = found->second;
  }
  return true;
}

/// Sets the images' frames by the numbers in their names; false if one has none.
bool by_number(std::vector<Image>& images) {
  std::int64_t least = 1;
  for (Image& image : images) {
    const std::optional<std::int64_t> number = number_in(image.name);
    if (!number) return false;
    image.frame = *number;
    least = std::min(least, *number);
  }
  for (Image& image : images) image.frame -= least;
  return true;
}

/// Sets the images' frames by the order of their ids.
void by_id(std::vector<Image>& images) {
  std::vector<Image*> order;
  for (Image& image : images) order.push_back(&image);
  std::sort(order.begin(), order.end(), [](const Image* a, const Image* b) { return a->id < b->id; });
  for (std::size_t i = 0; i < order.size(); ++i) order[i]->frame = static_cast<std::int64_t>(i);
}

void check_frames_differ(const std::vector<Image>& images, const std::string& file) {
  std::map<std::int64_t, std::size_t> seen;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto [other, is_new] = seen.emplace(images[i].frame, i);
    if (is_new) continue;
    throw input_error("two images are frame " + std::to_string(images[i].frame) + " of the video: images[" +
                          std::to_string(other->second) + "] and images[" + std::to_string(i) +
                          "], by the numbers in " + images[other->second].name + " and " + images[i].name,
                      file + ": images",
                      "keep the images of this video alone, each with its number as the last one in "
                      "file_name");
  }
}

/// The position of each category in the order of ids; sets the names in that order.
std::map<std::int64_t, std::int64_t> read_categories(JsonReader& document, std::vector<std::string>& names) {
  std::map<std::int64_t, std::string> categories;
  each(document, "categories", [&](JsonReader& entry, std::size_t) {
    std::int64_t id = 0;
    std::string name;
    entry.required("id", id);
    entry.required("name", name);
    if (!categories.emplace(id, name).second) entry.fail("id", "another category has it, too", kRemedy);
  });
  std::map<std::int64_t, std::int64_t> labels;
  for (const auto& [id, name] : categories) {
    labels.emplace(id, std::ssize(names));
    names.push_back(name);
  }
  return labels;
}

Detection read_box(JsonReader& entry, const Image& image, std::int64_t label) {
  std::vector<double> box;
  entry.optional("bbox", box);
  if (box.size() != 4) entry.fail("bbox", "is no list of 4 numbers: left, top, width, height", kRemedy);
  if (box[2] <= 0 || box[3] <= 0) entry.fail("bbox", "the box has no area", "take the annotation out of the file");
  return {box[0] / image.width,
          box[1] / image.height,
          (box[0] + box[2]) / image.width,
          (box[1] + box[3]) / image.height,
          1.0,
          label};
}

bool is_crowd(JsonReader& entry) {
  const Json* crowd = entry.child("iscrowd");
  if (crowd == nullptr || crowd->is_null()) return false;
  if (crowd->is_boolean()) return crowd->get<bool>();
  std::int64_t value = 0;
  entry.optional("iscrowd", value);
  return value != 0;
}

}  // namespace

Truth parse_coco(const std::string& text, const std::string& file, const video::VideoInfo& video,
                 BeyondTheEnd& beyond) {
  const Json json = parse_json(text, file);
  JsonReader document(json, file);
  Truth truth{{}, {}, "coco"};
  std::vector<Image> images = read_images(document, video);
  if (!by_picture(images, video) && !by_number(images)) by_id(images);
  check_frames_differ(images, file);
  const std::map<std::int64_t, std::int64_t> labels = read_categories(document, truth.classes);
  std::map<Json, const Image*> by_key;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (by_key.emplace(images[i].id, &images[i]).second) continue;
    throw input_error("another image has the id " + images[i].id.dump() + ", too",
                      file + ": images[" + std::to_string(i) + "].id", kRemedy);
  }
  each(document, "annotations", [&](JsonReader& entry, std::size_t position) {
    const auto image = by_key.find(read_id(entry, "image_id"));
    if (image == by_key.end()) entry.fail("image_id", "no image has this id", kRemedy);
    std::int64_t category = 0;
    entry.required("category_id", category);
    const auto label = labels.find(category);
    if (label == labels.end()) entry.fail("category_id", "no category has this id", kRemedy);
    const Detection box = read_box(entry, *image->second, label->second);
    const std::int64_t frame = image->second->frame;
    if (video.frame_count > 0 && frame >= video.frame_count) {
      if (beyond.boxes++ == 0)
        beyond.first = "annotations[" + std::to_string(position) + "], frame " + std::to_string(frame);
      return;
    }
    Target& target = truth.frames[frame];
    (is_crowd(entry) ? target.ignored : target.sure).push_back(box);
  });
  return truth;
}

}  // namespace repsim::verify
