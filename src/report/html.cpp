#include <algorithm>

#include "format.hpp"
#include "html_parts.hpp"
#include "repsim/base/text.hpp"
#include "template.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

std::string headline(const Plan& plan) {
  if (plan.after.bytes >= plan.before.bytes) return "Nothing is shared";
  // "-29.7 %" without its sign.
  return percent_change(plan.before.bytes, plan.after.bytes).substr(1) + " less parameter memory";
}

constexpr double kUnknown = 2;  // above every fidelity: a model without one is not the worst

Json tile(const std::string& value, const std::string& what) { return {{"value", value}, {"what", what}}; }

std::vector<std::string> stream_videos(const Plan& plan) {
  std::vector<std::string> videos;
  for (const PlanStream& stream : plan.streams) videos.push_back(stream.video_path);
  return videos;
}

Json tiles(const Plan& plan) {
  Json list = Json::array();
  const auto worst = std::min_element(plan.models.begin(), plan.models.end(), [](const auto& a, const auto& b) {
    return a.fidelity.value.value_or(kUnknown) < b.fidelity.value.value_or(kUnknown);
  });
  const auto target = min_fidelity(plan);
  if (worst != plan.models.end()) {
    list.push_back(tile(worst->fidelity.frames > 0 ? fidelity_text(worst->fidelity.value) : "-",
                        "lowest fidelity (" + worst->name + ")" + (target ? ", asked for " + shortest(*target) : "")));
  }
  std::int64_t removed = 0;
  for (const Share& share : plan.shares) removed += static_cast<std::int64_t>(share.removed_layers.size());
  list.push_back(
      tile(grouped(static_cast<std::int64_t>(plan.shares.size())),
           std::string(plan.shares.size() == 1 ? "share, " : "shares, ") + counted(removed, "layer") + " removed"));
  list.push_back(tile(human_bytes(plan.bundle_bytes), "bundle.pt on disk"));
  std::int64_t fit = 0, choose = 0, judge = 0;
  for (const PlanStream& stream : streams_of(plan)) {
    fit += std::ssize(stream.calibration_frames);
    choose += stream.choosing_frames();
    judge += std::ssize(stream.holdout_frames);
  }
  list.push_back(choose > 0 ? tile(grouped(fit) + " + " + grouped(choose) + " + " + grouped(judge),
                                   "frames that fit + that choose + that judge")
                            : tile(grouped(fit) + " + " + grouped(judge), "frames that fit + frames that judge"));
  return list;
}

}  // namespace

std::string px(double value) { return fixed(value, 1); }

std::string html(const Plan& plan, const std::vector<similarity::Matrix>& matrices, const PageExtras& extras) {
  Json view;
  view["title"] = headline(plan);
  view["model_names"] = model_names(plan);
  view["video"] = plan.streams.empty() ? plan.video_path : join(stream_videos(plan), ", ");
  view["saving"] = saving_in_words(plan);
  view["why_no_shares"] = plan.shares.empty() ? Json(why_no_shares(plan)) : Json();
  view["tiles"] = tiles(plan);
  view["totals"] = totals_view(plan);
  view["models"] = models_view(plan);
  view["pictures"] = extras.pictures.empty() ? Json() : pictures_view(extras.pictures);
  view["drawing"] = drawing_view(plan, extras.models);
  view["shares"] = plan.shares.empty() ? Json() : shares_view(plan);
  view["front"] = plan.candidates.empty() ? Json() : front_view(plan);
  view["similarities"] = matrices.empty() ? Json() : similarities_view(plan, matrices);
  view["candidates"] = plan.candidates.empty() ? Json() : candidates_view(plan);
  view["settings"] = settings_view(plan);
  view["config"] = extras.config.is_null() ? Json() : Json(extras.config.dump(2));
  view["tool_version"] = plan.tool_version;
  return filled_in("report.html", view);
}

}  // namespace repsim::report
