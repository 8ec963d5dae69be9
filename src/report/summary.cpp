#include <algorithm>
#include <array>

#include "format.hpp"
#include "repsim/base/text.hpp"
#include "repsim/report.hpp"
#include "text_table.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

constexpr std::size_t kReplacedShown = 6;  ///< replaced layers listed per share; the page lists all

/// Of several videos: what all of them give, then a line for each.
std::string heading_of_several(const Plan& plan) {
  const auto size = [](const std::vector<std::int64_t>& frames) { return std::ssize(frames); };
  const bool chosen_apart = plan.choosing_frames() > 0;
  const auto parts = [&](std::int64_t fit, std::int64_t choose, std::int64_t judge) {
    return grouped(fit) + " fit, " + (chosen_apart ? grouped(choose) + " choose, " : "") + grouped(judge) + " judge";
  };
  const std::int64_t fit = size(plan.calibration_frames), judge = size(plan.holdout_frames),
                     choose = plan.choosing_frames();
  std::string text = wrapped("repsim " + plan.tool_version + ": " + model_names(plan) + " on " +
                                 grouped(std::ssize(plan.videos)) + " videos",
                             "") +
                     wrapped(counted(fit + choose + judge, "frame") + " of " + grouped(plan.video_frames) +
                                 ", of each video one part after the other: " + parts(fit, choose, judge),
                             "");
  for (std::size_t i = 0; i < plan.videos.size(); ++i) {
    const ListedVideo& video = plan.videos[i];
    const auto inside = [&](const std::vector<std::int64_t>& frames) {
      return size(frames_in_video(plan.videos, i, frames));
    };
    text +=
        wrapped(printable(video.name) + ": of " + counted(video.frame_count, "frame") + " " +
                    parts(inside(plan.calibration_frames), inside(plan.selection_frames), inside(plan.holdout_frames)) +
                    " (" + printable(video.path) + ")",
                "  ");
  }
  return text;
}

std::string heading_of_streams(const Plan& plan) {
  std::string text = wrapped("repsim " + plan.tool_version + ": " + model_names(plan) + " on " +
                                 grouped(std::ssize(plan.streams)) + " streams",
                             "");
  for (const std::string& line : streams_in_words(plan)) text += wrapped(printable(line), "  ");
  return text;
}

std::string heading(const Plan& plan) {
  const auto fit = static_cast<std::int64_t>(plan.calibration_frames.size());
  const auto judge = static_cast<std::int64_t>(plan.holdout_frames.size());
  const std::int64_t choose = plan.choosing_frames();
  if (!plan.streams.empty()) return heading_of_streams(plan);
  if (!plan.videos.empty()) return heading_of_several(plan);
  return wrapped("repsim " + plan.tool_version + ": " + model_names(plan) + " on " + printable(plan.video_path), "") +
         wrapped(counted(fit + choose + judge, "frame") + " of " + grouped(plan.video_frames) + ": the first " +
                     grouped(fit) + " fit, " + (choose > 0 ? grouped(choose) + " after them choose, " : "") +
                     "the last " + grouped(judge) + " judge",
                 "");
}

std::string models_table(const Plan& plan) {
  TextTable table({"Model", "Fidelity", "90 % interval", "Parameters", "Bytes", "After"});
  for (const ModelEntry& model : plan.models) {
    const bool measured = model.fidelity.frames > 0;
    table.add_row({model.name, measured ? fidelity_text(model.fidelity.value) : "-",
                   measured ? interval_text(model.fidelity) : "-", grouped(model.parameters), human_bytes(model.bytes),
                   human_bytes(bytes_after(plan, model))});
    table.add_note(agreement_in_words(model));
    for (const std::string& note : videos_in_words(model.fidelity, min_fidelity(plan, model.name)))
      table.add_note(note);
    for (const std::string& note : {measured_in_words(model.fidelity), evidence_in_words(model),
                                    baselines_in_words(model), accuracy_in_words(model)}) {
      if (!note.empty()) table.add_note(note);
    }
  }
  return table.text();
}

std::string shares_table(const Plan& plan) {
  TextTable table(
      {"Share (receiver <- donor)", "Replaced", "Removed", "Bytes removed", "Added", "Predicted", "Measured"});
  for (const Share& share : plan.shares) {
    table.add_row({title_of(share), grouped(static_cast<std::int64_t>(share.replaced.size())),
                   counted(static_cast<std::int64_t>(share.removed_layers.size()), "layer"),
                   human_bytes(share.bytes_removed), human_bytes(share.bytes_added),
                   fidelity_text(share.predicted_fidelity), fidelity_text(share.measured_fidelity)});
    for (std::size_t i = 0; i < std::min(share.replaced.size(), kReplacedShown); ++i) {
      const Replaced& replaced = share.replaced[i];
      const std::string of = is_mixed(share) ? "  of " + shortened(replaced.donor, 16) : "";
      table.add_note(shortened(replaced.receiver_layer, 34) + " <- " + shortened(replaced.donor_layer, 34) + of +
                     "  S " + fixed(replaced.similarity, 2) + ", " + means_in_words(replaced));
    }
    if (share.replaced.size() > kReplacedShown) {
      table.add_note("and " + counted(static_cast<std::int64_t>(share.replaced.size() - kReplacedShown), "more layer") +
                     ": see report.html");
    }
    if (const std::string weights = weights_in_words(share); !weights.empty()) table.add_note(weights);
    if (!share.guests.empty()) table.add_note(guests_in_words(share));
    if (!share.auxiliary_inputs.empty()) {
      table.add_note("its corrections also read " +
                     counted(static_cast<std::int64_t>(share.auxiliary_inputs.size()), "more layer") + " of " +
                     (is_mixed(share) ? std::string("its donors") : share.donor));
    }
  }
  return table.text();
}

std::string milliseconds(std::int64_t nanoseconds) {
  return fixed(static_cast<double>(nanoseconds) / kNanosecondsPerMillisecond, 2) + " ms";
}

/// Savings against the models as given and, where the plan states it, against the models after exact sharing alone.
/// Only the second figure is due to shares of layers.
std::string totals_table(const Plan& plan) {
  const bool both = plan.deduplicated.has_value();
  const Totals& plain = both ? *plan.deduplicated : plan.before;
  TextTable table(both ? std::vector<std::string>{"Total", "Before", "Deduplicated", "After", "Change", "Of dedup."}
                       : std::vector<std::string>{"Total", "Before", "After", "Change"});
  const auto add = [&](const char* name, const std::string& before, const std::string& deduplicated,
                       const std::string& after, const std::string& change, const std::string& of_deduplicated) {
    table.add_row(both ? std::vector<std::string>{name, before, deduplicated, after, change, of_deduplicated}
                       : std::vector<std::string>{name, before, after, change});
  };
  const auto row = [&](const char* name, auto&& of, std::string (*text)(std::int64_t)) {
    const std::int64_t before = of(plan.before), deduplicated = of(plain), after = of(plan.after);
    add(name, text(before), text(deduplicated), text(after), percent_change(before, after),
        percent_change(deduplicated, after));
  };
  row("parameters", [](const Totals& totals) { return totals.parameters; }, grouped);
  row("parameter bytes", [](const Totals& totals) { return totals.bytes; }, human_bytes);
  row("FLOPs per frame", [](const Totals& totals) { return totals.flops; }, human_count);
  row("peak activation bytes", [](const Totals& totals) { return totals.peak_activation_bytes; }, human_bytes);
  if (plan.before.latency_estimate_ns && plan.after.latency_estimate_ns)
    row("latency estimate", [](const Totals& totals) { return totals.latency_estimate_ns.value_or(0); }, milliseconds);
  add("bundle.pt", "", "", human_bytes(plan.bundle_bytes), "", "");
  return table.text();
}

std::string sentence(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text + ".";
}

}  // namespace

std::string summary(const Plan& plan) {
  std::string text = heading(plan) + "\n" + models_table(plan) + "\n";
  if (plan.shares.empty()) {
    for (const std::string& reason : why_no_shares(plan)) text += wrapped(reason, "");
  } else {
    text += shares_table(plan);
  }
  text += "\n";
  text += totals_table(plan) + "\n" + wrapped("The bundle " + saving_in_words(plan) + ".", "");
  if (const std::string exact = exact_sharing_in_words(plan.exact); !exact.empty())
    text += wrapped(sentence(exact), "");
  if (!plan.candidates.empty()) text += wrapped(sentence(search_in_words(plan)), "");
  return text + wrapped(
                    "Fidelity says how well a model agrees with its original (1: the same detections). Details: "
                    "report.html; to check again: repsim verify.",
                    "");
}

}  // namespace repsim::report
