#include "format.hpp"
#include "html_parts.hpp"

namespace repsim::report {
namespace {

std::string caption(const FramePicture& picture) {
  const std::string of = picture.video.empty() ? "" : " of " + picture.video;
  return "frame " + grouped(picture.frame) + of + ": " + std::to_string(picture.missed) + " missed, " +
         counted(picture.false_alarms, "false alarm") + ", " + std::to_string(picture.kept) + " kept";
}

}  // namespace

Json pictures_view(const std::vector<FramePicture>& pictures) {
  Json models = Json::array();
  for (const FramePicture& picture : pictures) {
    if (models.empty() || models.back()["name"] != picture.model)
      models.push_back({{"name", picture.model}, {"frames", Json::array()}});
    models.back()["frames"].push_back({{"uri", picture.uri},
                                       {"width", std::to_string(picture.size.width)},
                                       {"height", std::to_string(picture.size.height)},
                                       {"caption", caption(picture)}});
  }
  return {{"models", models}};
}

}  // namespace repsim::report
