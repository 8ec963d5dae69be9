#include <algorithm>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/report.hpp"
#include "text_table.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

Json interval_list(const std::optional<double>& value, const verify::Interval& interval) {
  return value ? Json{rounded(interval.low), rounded(interval.high)} : Json();
}

Json fidelity_json(const Fidelity& fidelity) {
  Json json{{"value", rounded(fidelity.value)}, {"interval", interval_list(fidelity.value, fidelity.interval)}};
  add_figures(fidelity, json);
  json["max_abs_difference"] = rounded_significant(fidelity.max_abs_difference);
  for (const verify::VideoFidelity& video : fidelity.videos)
    json["videos"].push_back(video_json(video, rounded(video.value), interval_list(video.value, video.interval)));
  return json;
}

Json model_json(const Rebuilt::Model& model) {
  return {{"name", model.name},
          {"fidelity", fidelity_json(model.fidelity)},
          {"planned_fidelity", rounded(model.planned_fidelity)},
          {"min_fidelity", model.min_fidelity},
          {"holds", model.fidelity.is_known() ? Json(!model.is_broken()) : Json()}};
}

}  // namespace

bool Rebuilt::holds() const {
  return std::all_of(models.begin(), models.end(), [](const Model& model) { return !model.is_broken(); });
}

Json to_json(const Rebuilt& rebuilt) {
  Json json;
  json["bundle"] = {{"path", rebuilt.path},
                    {"bytes", rebuilt.bytes},
                    {"parameter_bytes", rebuilt.parameter_bytes},
                    {"parameter_bytes_before", rebuilt.parameter_bytes_before},
                    {"sha256", rebuilt.sha256},
                    {"planned_sha256", rebuilt.planned_sha256},
                    {"as_planned", rebuilt.sha256 == rebuilt.planned_sha256}};
  json["shares"] = Json::array();
  for (const Rebuilt::Share& share : rebuilt.shares) {
    Json one{{"receiver", share.receiver},
             {"donor", share.donor},
             {"replaced", share.replaced},
             {"residual", rounded(share.residual)}};
    if (share.weights > 0) {
      one["weights"] = share.weights;
      one["output_variance"] = rounded(share.output_variance);
    }
    json["shares"].push_back(std::move(one));
  }
  json["models"] = Json::array();
  for (const Rebuilt::Model& model : rebuilt.models) json["models"].push_back(model_json(model));
  json["holds"] = rebuilt.holds();
  return json;
}

std::string summary(const Rebuilt& rebuilt) {
  TextTable models({"Model", "Fidelity", "90 % interval", "Planned", "Asked for", "Holds"});
  for (const Rebuilt::Model& model : rebuilt.models) {
    models.add_row({model.name, fidelity_text(model.fidelity.value), interval_text(model.fidelity),
                    fidelity_text(model.planned_fidelity), shortest(model.min_fidelity),
                    model.is_broken()           ? "NO"
                    : model.fidelity.is_known() ? "yes"
                                                : "?"});
    if (model.fidelity.bit_identical) models.add_note("every output equals the original's, bit for bit");
    for (const std::string& video : videos_in_words(model.fidelity, model.min_fidelity)) models.add_note(video);
    if (const std::string figures = measured_in_words(model.fidelity); !figures.empty()) models.add_note(figures);
    if (!model.fidelity.is_known()) models.add_note("not measured: " + why_undefined(model.fidelity));
  }
  std::string text = models.text() + "\n";
  if (rebuilt.shares.empty()) {
    text += "No layers are shared.\n";
  } else {
    TextTable shares({"Share (receiver <- donor)", "Replaced", "Residual"});
    for (const Rebuilt::Share& share : rebuilt.shares) {
      shares.add_row({share.receiver + " <- " + share.donor, grouped(share.replaced), fixed(share.residual, 3)});
      if (share.weights > 0)
        shares.add_note(counted(share.weights, "layer") + " with the donor's weights; at most " +
                        fixed(100 * share.output_variance, 2) + " % of a layer's output variance differs");
    }
    text += shares.text();
  }
  const bool as_planned = rebuilt.sha256 == rebuilt.planned_sha256;
  return text + "\n" +
         wrapped(printable(rebuilt.path) + ": " + human_bytes(rebuilt.bytes) + ", " +
                     human_bytes(rebuilt.parameter_bytes) + " of parameters; the models by themselves have " +
                     human_bytes(rebuilt.parameter_bytes_before) + " (" +
                     percent_change(rebuilt.parameter_bytes_before, rebuilt.parameter_bytes) + ")",
                 "") +
         wrapped(as_planned ? "The bytes are those of the plan's bundle: their SHA-256 is the same."
                            : "The bytes are not those of the plan's bundle: the plan was changed, or it was made with "
                              "another number of threads, Torch or machine.",
                 "");
}

}  // namespace repsim::report
