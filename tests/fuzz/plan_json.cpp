#include "fuzz.hpp"
#include "repsim/plan_diff.hpp"
#include "repsim/report_page.hpp"

namespace {

/// Layers of these names, so that the page draws them.
repsim::report::PageExtras drawn(const repsim::report::Plan& plan) {
  repsim::report::PageExtras extras;
  for (const auto& model : plan.models) extras.models.push_back({model.name, {{"first", "conv", 1, 1}}});
  for (const auto& share : plan.shares) {
    for (auto& model : extras.models) {
      for (const auto& one : share.replaced)
        model.layers.push_back({model.name == share.receiver ? one.receiver_layer : one.donor_layer, "conv", 1, 1});
    }
  }
  return extras;
}

}  // namespace

/// A plan.json: what can be read can be shown, explained and compared, and reads back.
REPSIM_FUZZ_TARGET(plan_json) {
  using namespace repsim;
  return fuzz::accept_errors([&] {
    const Json json = parse_json(std::string(fuzz::text_of(data, size)), "plan.json");
    const report::Plan plan = report::plan_from_json(json, "plan.json");
    static_cast<void>(report::summary(plan));
    for (const report::ModelEntry& model : plan.models) static_cast<void>(report::explanation(plan, model.name));
    static_cast<void>(report::html(plan, {}, drawn(plan)));
    const report::Plan again = report::plan_from_json(report::to_json(plan), "plan.json");
    static_cast<void>(to_text(report::compare(plan, again, {}), report::DiffDetail::kAll));
  });
}
