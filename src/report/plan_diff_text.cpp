#include <algorithm>
#include <map>

#include "format.hpp"
#include "repsim/base/words.hpp"
#include "repsim/plan_diff.hpp"
#include "text_table.hpp"

namespace repsim::report {
namespace {

using Kind = PlanChange::Kind;
using Status = PlanChange::Status;

constexpr auto kKindWords = std::to_array<Word<Kind>>({
    {Kind::kTool, "tool"},
    {Kind::kModel, "model"},
    {Kind::kVideo, "video"},
    {Kind::kFrames, "frames"},
    {Kind::kSetting, "setting"},
    {Kind::kShare, "share"},
    {Kind::kFidelity, "fidelity"},
    {Kind::kAccuracy, "accuracy"},
    {Kind::kEvidence, "evidence"},
    {Kind::kTotal, "total"},
    {Kind::kBundle, "bundle"},
});

constexpr auto kStatusWords = std::to_array<Word<Status>>({
    {Status::kSame, "same"},
    {Status::kTolerated, "tolerated"},
    {Status::kNoted, "noted"},
    {Status::kDrift, "drift"},
});

/// The section of a kind in the terminal.
constexpr auto kSections = std::to_array<Word<Kind>>({
    {Kind::kShare, "shares"},
    {Kind::kTotal, "totals of the bundle"},
    {Kind::kFidelity, "fidelity"},
    {Kind::kAccuracy, "accuracy"},
    {Kind::kEvidence, "evidence"},
    {Kind::kSetting, "settings"},
    {Kind::kModel, "models"},
    {Kind::kVideo, "video"},
    {Kind::kFrames, "frames"},
    {Kind::kBundle, "bundle"},
    {Kind::kTool, "tool"},
});

constexpr std::size_t kHashDigits = 12;

bool is_shown(const PlanChange& change, DiffDetail detail) {
  return detail == DiffDetail::kAll || change.status != Status::kSame;
}

/// "donor: a <- b, c <- d and 3 more".
std::string share_text(const Json& share) {
  constexpr std::size_t kMost = 2;
  std::string text;
  std::size_t count = 0;
  for (const Json& one : share.at("replaced")) {
    if (++count > kMost) continue;
    text += (text.empty() ? "" : ", ") + one.at("receiver_layer").get<std::string>() + " <- " +
            one.at("donor").get<std::string>() + ": " + one.at("donor_layer").get<std::string>();
    std::string means = one.at("adapter").get<std::string>();
    if (one.at("refit").get<bool>()) means += ", refit";
    if (const auto rank = one.at("correction_rank").get<std::int64_t>(); rank > 0)
      means += ", rank " + std::to_string(rank);
    if (means != "none") text += " (" + means + ")";
  }
  if (count > kMost) text += " and " + std::to_string(count - kMost) + " more";
  if (const auto weights = share.find("weights"); weights != share.end()) {
    text += (text.empty() ? "" : ", ") + std::string("weights of ") +
            counted(static_cast<std::int64_t>(weights->size()), "layer") + " of " +
            weights->front().at("donor").get<std::string>();
  }
  return text;
}

/// The value of a change for people.
std::string value_text(const PlanChange& change, const Json& value) {
  if (value.is_null()) {
    const bool is_measured = change.kind == Kind::kFidelity || change.kind == Kind::kAccuracy;
    return is_measured ? "not measured" : "none";
  }
  if (change.kind == Kind::kShare) return share_text(value);
  if (change.kind == Kind::kFrames) return counted(static_cast<std::int64_t>(value.size()), "frame");
  if (value.is_number() && (change.what == "fidelity" || change.kind == Kind::kAccuracy))
    return fidelity_text(value.get<double>());
  if (change.kind == Kind::kTotal && change.subject == "flops") return human_count(value.get<std::int64_t>());
  if (change.kind == Kind::kTotal && value.is_number_integer()) return human_bytes(value.get<std::int64_t>());
  if (change.kind == Kind::kTotal) return fixed(value.get<double>(), 2);
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  const bool is_hash = change.what == "sha256" || (change.kind == Kind::kModel && change.what == "model");
  return is_hash ? text.substr(0, kHashDigits) : text;
}

std::string difference_text(const PlanChange& change) {
  const auto difference = change.difference();
  if (!difference || change.status == Status::kSame) return {};
  if (change.kind == Kind::kTotal && change.before.is_number_integer()) {
    return " (" + percent_change(change.before.get<std::int64_t>(), change.after.get<std::int64_t>()) + ")";
  }
  if (change.kind != Kind::kFidelity && change.kind != Kind::kAccuracy && change.kind != Kind::kTotal) return {};
  return std::string(" (") + (*difference < 0 ? "" : "+") + fixed(*difference, 3) + ")";
}

/// "fidelity 0.953 -> 0.912 (-0.041)".
std::string values_in_words(const PlanChange& change) {
  std::string text = change.what;
  if (change.kind == Kind::kShare || (change.kind == Kind::kModel && change.what == "model")) text.clear();
  if (change.kind == Kind::kFrames) text.clear();
  if (!text.empty()) text += " ";
  const std::string was = value_text(change, change.before), is = value_text(change, change.after);
  if (change.status == Status::kSame) return text + is;
  // What came or went has one value; the mark says which.
  const bool is_thing = change.kind == Kind::kShare || (change.kind == Kind::kModel && change.what == "model");
  if (is_thing && change.before.is_null()) return text + is;
  if (is_thing && change.after.is_null()) return text + was;
  if (was == is) return text + is + (change.kind == Kind::kFrames ? ", others than before" : ", changed");
  return text + was + " -> " + is + difference_text(change);
}

char mark_of(const PlanChange& change) {
  if (change.status == Status::kSame) return ' ';
  const bool is_thing = change.kind == Kind::kShare || (change.kind == Kind::kModel && change.what == "model");
  if (is_thing && change.before.is_null()) return '+';
  if (is_thing && change.after.is_null()) return '-';
  return '~';
}

std::string status_text(Status status) {
  if (status == Status::kTolerated) return "  [within the tolerance]";
  if (status == Status::kNoted) return "  [noted]";
  return {};
}

std::string counts_in_words(const PlanDiff& diff) {
  std::map<Status, std::int64_t> counts;
  for (const PlanChange& change : diff.changes) ++counts[change.status];
  if (counts[Status::kSame] == static_cast<std::int64_t>(diff.changes.size())) {
    return diff.inputs_only ? "models, video and settings are those of the plan; it was not made again"
                            : "the plans are the same";
  }
  std::string text = counts[Status::kDrift] == 0 ? "no drift" : counted(counts[Status::kDrift], "change");
  if (counts[Status::kTolerated] > 0)
    text += "; " + std::to_string(counts[Status::kTolerated]) + " within the tolerance";
  if (counts[Status::kNoted] > 0) text += "; " + std::to_string(counts[Status::kNoted]) + " only noted";
  return text;
}

}  // namespace

std::string in_words(const PlanChange& change) {
  const std::string values = values_in_words(change);
  if (change.kind == Kind::kShare) {
    const bool is_new = change.before.is_null(), is_gone = change.after.is_null();
    return change.subject + (is_new ? ": new share, " : is_gone ? ": share is gone, " : ": share changed, ") + values;
  }
  return change.subject + (values.empty() ? "" : ": " + values);
}

std::string to_text(const PlanDiff& diff, DiffDetail detail) {
  std::string text;
  for (const auto& [kind, title] : kSections) {
    std::size_t width = 0;
    std::vector<const PlanChange*> shown;
    for (const PlanChange& change : diff.changes) {
      if (change.kind != kind || !is_shown(change, detail)) continue;
      shown.push_back(&change);
      width = std::max(width, change.subject.size());
    }
    if (shown.empty()) continue;
    text += std::string(title) + "\n";
    for (const PlanChange* change : shown) {
      text += std::string("  ") + mark_of(*change) + " " + change->subject +
              std::string(width - change->subject.size(), ' ') + "  " + values_in_words(*change) +
              status_text(change->status) + "\n";
    }
  }
  return text + counts_in_words(diff) + "\n";
}

std::string to_markdown(const PlanDiff& diff, DiffDetail detail) {
  std::string rows;
  for (const PlanChange& change : diff.changes) {
    if (!is_shown(change, detail)) continue;
    rows += "| " + std::string(word_of(kKindWords, change.kind)) + " | " + markdown_cell(change.subject) + " | " +
            markdown_cell(change.what) + " | " + markdown_cell(value_text(change, change.before)) + " | " +
            markdown_cell(value_text(change, change.after) + difference_text(change)) + " | " +
            word_of(kStatusWords, change.status) + " |\n";
  }
  std::string counts = counts_in_words(diff) + "\n";
  if (rows.empty()) return counts;
  return "| kind | of | what | before | now | |\n| --- | --- | --- | --- | --- | --- |\n" + rows + "\n" + counts;
}

Json to_json(const PlanDiff& diff, DiffDetail detail) {
  Json changes = Json::array();
  for (const PlanChange& change : diff.changes) {
    if (!is_shown(change, detail)) continue;
    const auto difference = change.difference();
    changes.push_back({{"kind", word_of(kKindWords, change.kind)},
                       {"subject", change.subject},
                       {"what", change.what},
                       {"status", word_of(kStatusWords, change.status)},
                       {"before", change.before},
                       {"after", change.after},
                       {"difference", difference ? Json(rounded(*difference)) : Json()}});
  }
  return {{"drift", diff.has_drift()}, {"changes", changes}};
}

}  // namespace repsim::report
