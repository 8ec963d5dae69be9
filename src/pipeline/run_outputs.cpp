#include "run_outputs.hpp"

#include <algorithm>
#include <cerrno>

#include "repsim/base/posix.hpp"

namespace repsim::pipeline {
namespace {

constexpr double kRateOfPictures = 25;  // of videos that state none

std::string title_of(const report::FrameDetections& found, std::size_t boxes) {
  return found.model + (found.is_original ? ", original: " : ", bundle: ") +
         (found.is_raw ? "raw outputs" : std::to_string(boxes) + (boxes == 1 ? " object" : " objects"));
}

}  // namespace

model::Detections of_score(const model::Detections& boxes, double min_score) {
  model::Detections kept;
  std::copy_if(boxes.begin(), boxes.end(), std::back_inserter(kept), [&](const model::Detection& box) {
    return static_cast<float>(box.score) >= static_cast<float>(min_score);
  });
  return kept;
}

FrameComparison compare_detections(const model::Detections& merged, const model::Detections& original,
                                   double min_score) {
  const verify::Target target = verify::targets_from_own({&original, 1}, min_score).front();
  return {verify::frame_boxes(merged, target, min_score), static_cast<std::int64_t>(target.sure.size())};
}

RunOutputs::RunOutputs(const RunSettings& settings, std::span<const InputFile> inputs) : settings_(settings) {
  if (settings.draw) {
    check_replaces_no_input(*settings.draw, inputs, "--draw");
    video::check_writable_name(*settings.draw);
    draw_place_.emplace(*settings.draw, settings.force);
  }
  if (settings.json) {
    check_replaces_no_input(*settings.json, inputs, "--json");
    if (settings.draw && is_same_file(*settings.draw, *settings.json))
      throw Error(ErrorKind::kUsage, "--draw and --json name one file", "--json", "another name");
    json_place_.emplace(*settings.json, settings.force);
  }
}

void RunOutputs::fail_lines() const { throw system_error("the lines cannot be written", *settings_.json, errno); }

void RunOutputs::open(const video::FrameStream& video, std::int64_t models) {
  if (json_place_ && !lines_.is_open()) {
    lines_.open(json_place_->path(), std::ios::binary);
    if (!lines_) fail_lines();
  }
  if (!draw_place_) return;
  grid_ = report::tile_grid({video.width(), video.height()}, models, settings_.against ? 2 : 1);
  const double rate = video.frames_per_second() > 0 ? video.frames_per_second() : kRateOfPictures;
  const video::WrittenVideo form{grid_.whole.width, grid_.whole.height,
                                 settings_.frames_per_second.value_or(rate / static_cast<double>(settings_.stride))};
  writer_ = std::make_unique<video::VideoWriter>(draw_place_->path(), *settings_.draw, form);
}

void RunOutputs::add_lines(const report::PictureSize& frame, const std::vector<report::FrameDetections>& found,
                           const std::vector<ShownModel>& shown) {
  const std::size_t each = found.size() / shown.size();
  for (std::size_t i = 0; i < found.size(); ++i) {
    const ShownModel& model = shown[i / each];
    report::FrameDetections kept = found[i];
    kept.boxes = of_score(kept.boxes, model.min_score);
    const std::string line = report::to_json_line(kept, frame, model.classes);
    if (!json_place_) {
      settings_.on_line(line);
      continue;
    }
    errno = 0;
    lines_ << line;
    if (!lines_) fail_lines();
  }
}

void RunOutputs::add_picture(video::FrameStream& video, const std::vector<report::FrameDetections>& found,
                             const std::vector<ShownModel>& shown) {
  const std::size_t each = found.size() / shown.size();
  std::vector<report::Tile> tiles;
  std::vector<std::vector<std::string>> classes;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const ShownModel& model = shown[i / each];
    report::Tile& tile = tiles.emplace_back();
    tile.boxes = of_score(found[i].boxes, model.min_score);
    tile.is_original = found[i].is_original;
    tile.title = title_of(found[i], tile.boxes.size());
    classes.push_back(model.classes);
    if (!tile.is_original || found[i].is_raw) continue;
    const verify::FrameBoxes boxes = compare_detections(found[i - 1].boxes, found[i].boxes, model.min_score).boxes;
    tile.differing = boxes.missed;
    tiles[i - 1].differing = boxes.false_alarms;
  }
  const report::PictureSize frame{video.width(), video.height()};
  writer_->write(report::draw_tiles(video.pixels(), frame, grid_, tiles, classes));
}

void RunOutputs::add(video::FrameStream& video, const std::vector<report::FrameDetections>& found,
                     const std::vector<ShownModel>& shown) {
  if (json_place_ || settings_.on_line) add_lines({video.width(), video.height()}, found, shown);
  if (writer_) add_picture(video, found, shown);
}

std::vector<std::string> RunOutputs::commit() {
  std::vector<std::string> files;
  if (writer_) {
    writer_->finish();
    sync_file(draw_place_->path(), *settings_.draw);
    files.push_back(settings_.draw->string());
  }
  if (json_place_) {
    errno = 0;
    lines_.close();
    if (!lines_) fail_lines();
    sync_file(json_place_->path(), *settings_.json);
    files.push_back(settings_.json->string());
  }
  if (draw_place_) draw_place_->commit();
  if (json_place_) json_place_->commit();
  return files;
}

}  // namespace repsim::pipeline
