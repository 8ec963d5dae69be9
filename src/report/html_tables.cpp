#include <algorithm>
#include <optional>
#include <string_view>

#include "format.hpp"
#include "html_parts.hpp"
#include "template.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

using Texts = std::string (*)(std::int64_t);

std::string microseconds(std::int64_t nanoseconds) { return grouped(nanoseconds / 1000) + " us"; }

/// One quantity of all models: as given, after exact sharing alone, and after the plan.
struct Quantity {
  std::int64_t before = 0;
  std::optional<std::int64_t> deduplicated;  ///< none: the plan does not say
  std::int64_t after = 0;
};

Json bar(const char* name, const char* kind, std::int64_t value, std::int64_t largest, Texts text) {
  const double percent = largest > 0 ? 100.0 * static_cast<double>(value) / static_cast<double>(largest) : 0;
  const char* fill = std::string_view(kind) == "after" ? "#1d63d1" : "#b3bdc9";
  return {{"name", name}, {"kind", kind}, {"fill", fill}, {"percent", px(percent)}, {"value", text(value)}};
}

Json row(const char* name, const Quantity& quantity, Texts text) {
  const std::int64_t largest = std::max({quantity.before, quantity.deduplicated.value_or(0), quantity.after});
  std::string change = percent_change(quantity.before, quantity.after);
  Json bars = Json::array({bar("before", "before", quantity.before, largest, text)});
  if (quantity.deduplicated) {
    change += ", " + percent_change(*quantity.deduplicated, quantity.after) + " of deduplicated";
    bars.push_back(bar("dedup.", "before", *quantity.deduplicated, largest, text));
  }
  bars.push_back(bar("after", "after", quantity.after, largest, text));
  return {{"quantity", name}, {"change", change}, {"bars", bars}};
}

Json replaced_view(const Replaced& replaced, bool mixed) {
  return {{"receiver_layer", replaced.receiver_layer},      {"donor_layer", replaced.donor_layer},
          {"donor", mixed ? Json(replaced.donor) : Json()}, {"means", means_in_words(replaced)},
          {"similarity", fixed(replaced.similarity, 3)},    {"residual", fixed(replaced.residual, 3)}};
}

/// The layers that run with donors' weights; null: none do.
Json weights_view(const Share& share, bool mixed) {
  if (share.weights.empty()) return {};
  Json layers = Json::array();
  for (const SharedWeight& one : share.weights) {
    layers.push_back({{"layer", one.layer},
                      {"donor_layer", one.donor_layer},
                      {"donor", mixed ? Json(one.donor) : Json()},
                      {"means", means_in_words(one)},
                      {"output_variance", fixed(100 * one.output_variance, 2) + " %"}});
  }
  return {{"summary", weights_in_words(share)}, {"layers", layers}};
}

Json corrections_view(const Share& share) {
  if (share.auxiliary_inputs.empty()) return {};
  Json layers = Json::array();
  for (const AuxiliaryInput& input : share.auxiliary_inputs) {
    layers.push_back({{"separator", layers.empty() ? "" : ", "},
                      {"donor_layer", input.donor_layer},
                      {"donor", is_mixed(share) ? Json(input.donor) : Json()}});
  }
  return {{"layers", layers}};
}

Json share_view(const Share& share) {
  const bool mixed = is_mixed(share);
  Json view{{"title", title_of(share, kArrow)},
            {"receiver", share.receiver},
            {"only_donor", mixed ? Json() : Json(share.donor)},
            {"fidelity", fidelity_text(share.measured_fidelity)},
            {"predicted", fidelity_text(share.predicted_fidelity)},
            {"bytes_removed", human_bytes(share.bytes_removed)},
            {"bytes_added", human_bytes(share.bytes_added)},
            {"flops_removed", human_count(share.flops_removed)},
            {"flops_added", human_count(share.flops_added)},
            {"layers_removed", grouped(static_cast<std::int64_t>(share.removed_layers.size()))},
            {"replaced", Json()},
            {"weights", weights_view(share, mixed)},
            {"corrections", corrections_view(share)},
            {"guests", text_or_null(guests_in_words(share))},
            {"removed", share.removed_layers.empty() ? Json() : Json{{"layers", share.removed_layers}}}};
  if (share.replaced.empty()) return view;
  Json layers = Json::array();
  for (const Replaced& replaced : share.replaced) layers.push_back(replaced_view(replaced, mixed));
  view["replaced"] = {{"layers", layers}};
  return view;
}

}  // namespace

Json totals_view(const Plan& plan) {
  Json rows = Json::array();
  const auto add = [&](const char* name, Texts text, auto&& of) {
    Quantity quantity{of(plan.before), std::nullopt, of(plan.after)};
    if (plan.deduplicated) quantity.deduplicated = of(*plan.deduplicated);
    rows.push_back(row(name, quantity, text));
  };
  add("Parameter memory", human_bytes, [](const Totals& totals) { return totals.bytes; });
  add("Parameters", grouped, [](const Totals& totals) { return totals.parameters; });
  add("FLOPs per frame", human_count, [](const Totals& totals) { return totals.flops; });
  add("Peak activation memory, predicted", human_bytes,
      [](const Totals& totals) { return totals.peak_activation_bytes; });
  if (plan.before.latency_estimate_ns && plan.after.latency_estimate_ns) {
    add("Latency of a frame, estimated", microseconds,
        [](const Totals& totals) { return totals.latency_estimate_ns.value_or(0); });
  }
  return {{"rows", rows},
          {"deduplicated", plan.deduplicated.has_value()},
          {"identical", text_or_null(exact_sharing_in_words(plan.exact))}};
}

Json shares_view(const Plan& plan) {
  Json list = Json::array();
  for (const Share& share : plan.shares) list.push_back(share_view(share));
  return {{"list", list}};
}

}  // namespace repsim::report
