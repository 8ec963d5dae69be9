#include "wording.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "format.hpp"

namespace repsim::report {
namespace {

/// The original against itself on frames with a small change.
struct Baseline {
  std::optional<double> value;
  const char* change;
};

std::array<Baseline, 3> baselines_of(const Fidelity& fidelity) {
  return {
      {{fidelity.jpeg95, "JPEG 95"}, {fidelity.jpeg80, "JPEG 80"}, {fidelity.shift_one_pixel, "a shift by one pixel"}}};
}

constexpr double kNotMeasured = -1;  ///< below every fidelity

bool keeps(const Plan& plan, const Candidate& candidate) {
  return candidate.measured_fidelity.value_or(kNotMeasured) >= min_fidelity(plan, candidate.receiver).value_or(0);
}

/// The measured candidate that agrees best, then the one that saves most; null when none was measured.
const Candidate* closest_candidate(const Plan& plan) {
  const Candidate* best = nullptr;
  double most = kNotMeasured;
  for (const Candidate& candidate : plan.candidates) {
    const double measured = candidate.measured_fidelity.value_or(kNotMeasured);
    if (measured == kNotMeasured || measured < most) continue;
    if (best == nullptr || measured > most || candidate.bytes_saved > best->bytes_saved) best = &candidate;
    most = measured;
  }
  return best;
}

/// Each donor once, as they come along the layers.
std::vector<std::string> distinct(const std::vector<std::string>& donors) {
  std::vector<std::string> result;
  for (const std::string& donor : donors) {
    if (std::find(result.begin(), result.end(), donor) == result.end()) result.push_back(donor);
  }
  return result;
}

std::vector<std::string> donors_of(const Share& share) {
  std::vector<std::string> donors;
  for (const Replaced& replaced : share.replaced) donors.push_back(replaced.donor);
  for (const SharedWeight& weight : share.weights) donors.push_back(weight.donor);
  return distinct(donors);
}

std::string title(const std::string& receiver, const std::string& arrow, const std::vector<std::string>& donors) {
  std::string from;
  for (const std::string& donor : donors) from += (from.empty() ? "" : " + ") + donor;
  return receiver + " " + arrow + " " + from;
}

std::string described(const Candidate& candidate) {
  return title_of(candidate) + " with " + taken_in_words(candidate, "replaced layer") + " (saves " +
         human_bytes(candidate.bytes_saved) + ")";
}

}  // namespace

std::optional<double> min_fidelity(const Plan& plan) {
  static const Json::json_pointer kPath("/merge/min_fidelity");
  if (!plan.settings.contains(kPath)) return std::nullopt;
  const Json& value = plan.settings.at(kPath);
  if (value.is_object() && value.contains("default") && value["default"].is_number())
    return value["default"].get<double>();
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

std::optional<double> min_fidelity(const Plan& plan, const std::string& model) {
  static const Json::json_pointer kPath("/merge/min_fidelity");
  if (plan.settings.contains(kPath)) {
    const Json& value = plan.settings.at(kPath);
    if (value.is_object() && value.contains(model) && value[model].is_number()) return value[model].get<double>();
  }
  return min_fidelity(plan);
}

std::string model_names(const Plan& plan) {
  std::vector<std::string> names;
  for (const ModelEntry& model : plan.models) names.push_back(model.name);
  return join(names, ", ");
}

std::string agreement_in_words(const ModelEntry& model) {
  const Fidelity& fidelity = model.fidelity;
  if (fidelity.frames == 0) return "its agreement with the original was not measured";
  if (fidelity.bit_identical && !fidelity.value)
    return "not measured: " + why_undefined(fidelity) + "; every output equals the original's, bit for bit";
  if (fidelity.bit_identical) return "every output equals the original's, bit for bit";
  if (!fidelity.value) return "not measured: " + why_undefined(fidelity);
  const Baseline* met = nullptr;
  const std::array<Baseline, 3> baselines = baselines_of(fidelity);
  for (const Baseline& baseline : baselines) {
    if (baseline.value && baseline.value <= fidelity.value && (met == nullptr || baseline.value > met->value))
      met = &baseline;
  }
  if (met != nullptr) {
    std::vector<std::string> missed;
    for (const Baseline& baseline : baselines) {
      if (baseline.value && baseline.value > fidelity.value) missed.emplace_back(baseline.change);
    }
    return std::string("agrees with its original as well as the original agrees with itself after ") + met->change +
           (missed.empty() ? "" : ", less than after " + join(missed, " or "));
  }
  return "differs from its original more than the original differs from itself after JPEG 95, JPEG 80 or a shift by "
         "one "
         "pixel";
}

std::string baselines_in_words(const ModelEntry& model) {
  if (model.fidelity.frames == 0 || model.fidelity.bit_identical || !model.fidelity.value) return {};
  std::string text = "original against itself:";
  const char* separator = " ";
  for (const Baseline& baseline : baselines_of(model.fidelity)) {
    text += separator + std::string(baseline.change) + " " + fidelity_text(baseline.value);
    separator = ", ";
  }
  return text;
}

std::string why_undefined(const Fidelity& fidelity) {
  if (fidelity.frames == 0) return "no frame was compared";
  return fidelity.is_raw ? "its outputs are empty or constant on these frames" : "finds nothing on these frames";
}

/// @param fidelity  a Fidelity or a VideoFidelity
template <typename Figures>
std::string kept_in_words(const Figures& fidelity) {
  if (!fidelity.kept || (fidelity.own_detections == 0 && fidelity.false_alarms == 0)) return {};
  const double per_100 = fidelity.frames > 0
                             ? 100.0 * static_cast<double>(fidelity.false_alarms) / static_cast<double>(fidelity.frames)
                             : 0;
  return "keeps " + grouped(*fidelity.kept) + " of " + counted(fidelity.own_detections, "detection") + ", " +
         fixed(per_100, 1) + " false alarms per 100 frames";
}

std::string figures_in_words(const Fidelity& fidelity) { return kept_in_words(fidelity); }

std::vector<std::string> videos_in_words(const Fidelity& fidelity, std::optional<double> target) {
  std::vector<std::string> texts;
  if (fidelity.bit_identical) return texts;
  for (const verify::VideoFidelity& video : fidelity.videos) {
    std::string text = video.video + ": ";
    if (video.value) {
      text += fidelity_text(*video.value);
      if (video.interval.low != video.interval.high)
        text += " (" + fixed(video.interval.low, 3) + " to " + fixed(video.interval.high, 3) + ")";
    } else {
      text += fidelity.is_raw ? "not measured: its outputs are empty or constant there" : "finds nothing there";
    }
    if (const std::string figures = kept_in_words(video); !figures.empty()) text += ", " + figures;
    text += ", on " + counted(video.frames, "frame");
    if (target && video.value && *video.value < *target) text += "; below the " + shortest(*target) + " asked for";
    texts.push_back(std::move(text));
  }
  return texts;
}

std::string worst_frames_in_words(const Fidelity& fidelity) {
  constexpr std::size_t kShown = 3;
  std::vector<std::string> frames;
  for (std::size_t i = 0; i < std::min(kShown, fidelity.worst_frames.size()); ++i) {
    const verify::DifferingFrame& one = fidelity.worst_frames[i];
    std::vector<std::string> parts;
    if (one.missed > 0) parts.push_back(grouped(one.missed) + " missed");
    if (one.false_alarms > 0) parts.push_back(grouped(one.false_alarms) + " false");
    const std::string frame =
        one.video.empty() ? std::to_string(one.frame) : std::to_string(one.video_frame) + " of " + one.video;
    frames.push_back(frame + " (" + join(parts, ", ") + ")");
  }
  return frames.empty() ? "" : "differs most on frames " + join(frames, ", ");
}

std::string measured_in_words(const Fidelity& fidelity) {
  const std::string figures = figures_in_words(fidelity);
  if (fidelity.bit_identical || figures.empty()) return {};
  const std::string worst = worst_frames_in_words(fidelity);
  return figures + ", on " + counted(fidelity.frames, "frame") + (worst.empty() ? "" : "; " + worst);
}

std::string evidence_in_words(const ModelEntry& model) {
  if (!model.evidence || model.evidence->is_enough()) return {};
  const ModelEvidence& evidence = *model.evidence;
  const bool judges = evidence.test.detections <= evidence.selection.detections;
  const PartEvidence& least = judges ? evidence.test : evidence.selection;
  std::string text = "finds " + (least.detections == 0 ? "nothing" : counted(least.detections, "object")) + " in the " +
                     counted(least.frames, "frame") + (judges ? " that judge; " : " that choose; ") +
                     grouped(evidence.wanted) + " wanted";
  if (evidence.accepted) return text + ": shares are accepted all the same, since --accept-unmeasured names it";
  return text + ": a longer video, or one in which it finds more, would help";
}

std::string interval_text(const Fidelity& fidelity) {
  if (!fidelity.value) return "-";
  const verify::Interval& interval = fidelity.interval;
  if (interval.low == interval.high) return "-";
  return fixed(interval.low, 3) + " to " + fixed(interval.high, 3);
}

std::string accuracy_in_words(const ModelEntry& model) {
  if (!model.accuracy) return {};
  const Accuracy& accuracy = *model.accuracy;
  const auto with_interval = [](double value, const verify::Interval& interval) {
    return fixed(value, 3) + " (" + fixed(interval.low, 3) + " to " + fixed(interval.high, 3) + ")";
  };
  if (!accuracy.own || !accuracy.merged) {
    return "AP50 against ground truth undefined: no ground-truth boxes on these " + counted(accuracy.frames, "frame");
  }
  return "AP50 against ground truth: original " + with_interval(*accuracy.own, accuracy.own_interval) + ", merged " +
         with_interval(*accuracy.merged, accuracy.merged_interval) + "; " + counted(accuracy.frames, "frame") + ", " +
         grouped(accuracy.truth_boxes) + (accuracy.truth_boxes == 1 ? " box" : " boxes");
}

std::string saving_in_words(const Plan& plan) {
  if (plan.after.bytes >= plan.before.bytes) {
    return "saves nothing: " + human_bytes(plan.before.bytes) + " of parameters before, " +
           human_bytes(plan.after.bytes) + " after";
  }
  std::string text = "saves " + human_bytes(plan.before.bytes - plan.after.bytes) + " of " +
                     human_bytes(plan.before.bytes) + " of parameters (" +
                     percent_change(plan.before.bytes, plan.after.bytes) + ")";
  if (!plan.shares.empty()) text += " with " + counted(static_cast<std::int64_t>(plan.shares.size()), "share");
  if (plan.deduplicated) {
    const std::string change = percent_change(plan.deduplicated->bytes, plan.after.bytes);
    text += "; of the " + human_bytes(plan.deduplicated->bytes) + " that plain de-duplication leaves " +
            (plan.deduplicated->bytes > plan.after.bytes
                 ? "it saves " + (change.starts_with("-") ? change.substr(1) : change)
                 : "it saves nothing");
  }
  return text;
}

std::string search_in_words(const Plan& plan) {
  const auto count = [&](auto&& condition) {
    return static_cast<std::int64_t>(std::count_if(plan.candidates.begin(), plan.candidates.end(), condition));
  };
  const std::int64_t tried = count([](const Candidate& c) { return c.measured_fidelity.has_value(); });
  const std::int64_t kept = count([&](const Candidate& c) { return keeps(plan, c); });
  const std::int64_t chosen = count([](const Candidate& c) { return c.chosen; });
  const std::int64_t predicted = static_cast<std::int64_t>(plan.candidates.size()) - tried;
  std::string text = "tried " + counted(tried, "candidate") + " on hold-out frames";
  if (const auto target = min_fidelity(plan)) {
    text += ": " + (kept == 0 ? "none keeps" : grouped(kept) + (kept == 1 ? " keeps" : " keep")) +
            " fidelity >= " + shortest(*target);
  }
  text += ", " + grouped(chosen) + " chosen";
  if (predicted > 0) text += "; " + grouped(predicted) + " more only predicted";
  return text;
}

std::vector<std::string> why_no_shares(const Plan& plan) {
  std::vector<std::string> reasons;
  const Candidate* closest = closest_candidate(plan);
  if (plan.candidates.empty()) {
    reasons.emplace_back("No layers are shared: no layer of one model can take the place of a layer of another.");
  } else if (closest == nullptr) {
    reasons.push_back("No layers are shared: of " +
                      counted(static_cast<std::int64_t>(plan.candidates.size()), "candidate") +
                      " none was worth measuring. The first: " + described(plan.candidates.front()) + ", " +
                      plan.candidates.front().reason + ".");
  } else {
    const double measured = closest->measured_fidelity.value_or(kNotMeasured);
    const auto target = min_fidelity(plan, closest->receiver);
    if (target && !keeps(plan, *closest)) {
      reasons.push_back("No layers are shared: none of the measured candidates keeps fidelity " + shortest(*target) +
                        ". The closest is " + described(*closest) + " at " + fidelity_text(measured) + ".");
      reasons.push_back("To accept it: --min-fidelity " + fixed(std::floor(measured * 100) / 100, 2));
    } else {
      reasons.push_back("No layers are shared, although " + described(*closest) + " measured " +
                        fidelity_text(measured) + ": " + closest->reason + ".");
    }
  }
  for (const ModelEntry& model : plan.models) {
    const std::string evidence = evidence_in_words(model);
    if (!evidence.empty()) {
      reasons.push_back(model.name + " " + evidence + ".");
    } else if (model.fidelity.frames > 0 && !model.fidelity.value) {
      reasons.push_back(model.name + " cannot be judged: " + why_undefined(model.fidelity) +
                        ". A video on which it finds something would help.");
    }
    if (!model.rewritable) reasons.push_back(model.name + " is opaque: it " + model.opaque_reason + ".");
  }
  return reasons;
}

std::string exact_sharing_in_words(const ExactSharing& exact) {
  std::string text;
  if (exact.parameters_deduplicated > 0) {
    text = counted(exact.parameters_deduplicated, "identical tensor") + " stored once (" +
           human_bytes(exact.bytes_saved) + " saved)";
  }
  if (exact.ops_computed_once > 0) {
    text += (text.empty() ? "" : ", ") + counted(exact.ops_computed_once, "identical op") + " computed once (" +
            human_count(exact.flops_saved) + " FLOPs a frame saved)";
  }
  return text;
}

std::int64_t bytes_after(const Plan& plan, const ModelEntry& model) {
  std::int64_t bytes = model.bytes - model.unused_bytes;
  for (const Share& share : plan.shares) {
    if (share.receiver == model.name) bytes += share.bytes_added - share.bytes_removed;
  }
  return bytes;
}

std::string title_of(const Share& share, const std::string& arrow) {
  return title(share.receiver, arrow, donors_of(share));
}

std::string title_of(const Candidate& candidate, const std::string& arrow) {
  const bool of_weights = candidate.layer_donors.empty();
  return title(candidate.receiver, arrow,
               of_weights ? std::vector<std::string>{candidate.donor} : distinct(candidate.layer_donors));
}

bool is_mixed(const Share& share) { return donors_of(share).size() > 1; }

std::string weights_in_words(const Share& share) {
  if (share.weights.empty()) return {};
  std::int64_t as_they_are = 0, least = 0, most = 0;
  double worst = 0;
  for (const SharedWeight& one : share.weights) {
    worst = std::max(worst, one.output_variance);
    if (one.rank == 0) {
      ++as_they_are;
      continue;
    }
    least = least == 0 ? one.rank : std::min(least, one.rank);
    most = std::max(most, one.rank);
  }
  const auto count = static_cast<std::int64_t>(share.weights.size());
  const std::string ranks = std::to_string(least) + (most > least ? " to " + std::to_string(most) : "");
  std::string text = counted(count, "layer") + (count == 1 ? " runs" : " run") + " with weights of " +
                     join(donors_of(share), " and ") + ": ";
  if (as_they_are == count) {
    text += "as they are";
  } else if (as_they_are > 0) {
    text += grouped(as_they_are) + " with them as they are, " + grouped(count - as_they_are) +
            " with differences of rank " + ranks;
  } else {
    text += "with differences of rank " + ranks;
  }
  return text + "; at most " + fixed(100 * worst, 2) + " % of a layer's output variance differs";
}

std::string means_in_words(const SharedWeight& weight) {
  return weight.rank == 0 ? "as it is" : "difference of rank " + std::to_string(weight.rank);
}

std::string taken_in_words(const Candidate& candidate, const std::string& layer) {
  std::string layers = counted(static_cast<std::int64_t>(candidate.receiver_layers.size()), layer);
  if (!candidate.weights) return layers;
  const std::string weights = "weights of " + counted(candidate.weights->layers, "layer");
  return candidate.receiver_layers.empty() ? weights : layers + " and " + weights;
}

std::string means_in_words(const Replaced& replaced) {
  const std::string correction =
      replaced.correction_rank > 0 ? " + rank " + std::to_string(replaced.correction_rank) : "";
  if (replaced.adapter == "none") return (replaced.refit ? "refit" : "as it is") + correction;
  return replaced.adapter + (replaced.refit ? ", refit" : "") + correction;
}

}  // namespace repsim::report
