#include "trials.hpp"

#include "auxiliary_inputs.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/text.hpp"
#include "savings.hpp"
#include "share_options.hpp"

namespace repsim::pipeline {
namespace {

constexpr int kLeastRank = 4;                    // of a correction; larger ones double it
constexpr std::int64_t kMostTogether = 1 << 20;  // elements of the Gram matrices of a cut that is gathered with others
constexpr double kMaxGainOfCorrections = 0.2;    // fidelity that corrections may bring: more was never measured
constexpr double kMaxGainOfMoreRegressors = 0.03;   // that they bring by seeing all that they may
constexpr double kMaxGainOfAuxiliaryInputs = 0.02;  // and side inputs beyond that
constexpr double kMaxGainOfFrames = 0.01;           // that all frames bring a fit without corrections

std::size_t at(int index) { return static_cast<std::size_t>(index); }

}  // namespace

fit::Outputs Trials::wanted_of(const std::vector<Direction>& directions) {
  fit::Outputs outputs;
  for (const Direction& direction : directions) {
    const ModelIndex receiver = index_of(work_, direction.receiver);
    if (work_.models[receiver].head.output.format != model::OutputFormat::kTensor) outputs.models.insert(receiver);
  }
  outputs.take = [this](ModelIndex model, const c10::IValue& output, std::int64_t frames) {
    fit_on_.take(model, output, frames);
  };
  return outputs;
}

fit::Attachment Trials::attachment_of(const planner::Candidate& candidate,
                                      const fit::AttachmentOptions& options) const {
  return fit::plan_attachment(work_.set, candidate.cut, options).value();
}

bool Trials::gathered(const planner::Candidate& candidate) const {
  const fit::Attachment attachment = attachment_of(candidate, fit_options(settings_));
  return attachment.gram_elements > kMostTogether ||
         gathered_.count({candidate.cut.receiver, candidate.cut.replacements}) > 0;
}

void Trials::gather(const std::vector<planner::Candidate>& candidates) {
  std::vector<fit::Attachment> attachments;
  for (const planner::Candidate& one : candidates) attachments.push_back(attachment_of(one, fit_options(settings_)));
  for (const planner::Candidate& one : candidates) gathered_.insert({one.cut.receiver, one.cut.replacements});
  for (const planner::Candidate& one : candidates) (void)fit_on_.weights_tried(one.cut.receiver);
  // The sums stay in what is reused; run() finds them there.
  const fit::CutFitter fitter(work_.set, fit_on_.part_tried(candidates.front().cut.receiver, &on_tried_), {},
                              progress_);
  const std::vector<fit::CutSums> sums = fitter.gather(attachments);
  std::vector<graph::Splice> splices;
  for (std::size_t i = 0; i < sums.size(); ++i) splices.push_back(fit::solve(sums[i], attachments[i]).splice);
  compute_ahead(std::move(splices));
}

/// One pass over the frames that measure computes what the tails of these shares start from.
void Trials::compute_ahead(std::vector<graph::Splice> splices) {
  if (on_frames_.most_bytes() == 0 || splices.size() < 2) return;
  std::vector<const graph::Prepared*> models = work_.set.models;
  std::vector<int> groups = work_.set.groups, copies, involved;
  for (graph::Splice& splice : splices) {
    const auto receiver = at(splice.receiver);
    involved.push_back(splice.receiver);
    for (const graph::DonorLayer& one : splice.donor_layers()) involved.push_back(one.donor);
    copies.push_back(static_cast<int>(models.size()));
    splice.receiver = copies.back();
    models.push_back(work_.set.models[receiver]);
    groups.push_back(work_.set.groups[receiver]);
  }
  const graph::Assembly assembly = graph::assemble(models, groups, splices, copies);
  progress_.begin("measure " + std::to_string(splices.size()) + " cuts: what they share", 0);
  progress_.spend("forward", [&] {
    capture::MergedPass(assembly, work_.set, frames_, frames_.front().size(), work_.set.batch(involved), &on_frames_)
        .fill_cache();
  });
  progress_.end();
}

/// One candidate on its donors' shares, fitted on the frames that trials see or on all: what its fits have in common.
class Trials::Attempt {
 public:
  enum class Effort { kTried, kKept };
  /// @param savings_with  the attachment that the candidate's savings allow for; null: one without corrections
  Attempt(Trials& trials, const planner::Candidate& candidate, const std::vector<graph::Splice>& before, Effort effort,
          const fit::Attachment* savings_with = nullptr)
      : trials_(trials),
        candidate_(candidate),
        before_(before),
        effort_(effort),
        fitter_(trials.work_.set,
                effort == Effort::kTried ? trials.fit_on_.part_tried(candidate.cut.receiver, &trials.on_tried_)
                                         : trials.fit_on_.parts(candidate.cut.receiver, &trials.on_tried_),
                before, trials.progress_),
        max_regressors_(effort == Effort::kTried ? fit::kMaxTrialRegressors : fit::kMaxRegressors),
        plain_(trials.attachment_of(candidate, fit_options(trials.settings_))),
        sums_(fitter_.gather(plain_)) {
    if (savings_with != nullptr) add_savings(*savings_with, candidate_);
  }

  /// What a fit of this attachment may gain by being made with all that it may see.
  [[nodiscard]] double reach(const fit::Attachment& attachment) const {
    const bool all_frames = effort_ == Effort::kKept || trials_.fit_on_.all_tried();
    if (attachment.rank == 0) return all_frames ? 0 : kMaxGainOfFrames;
    return all_frames && !fit::reads_more(sums_, max_regressors_, fit::kMaxRegressors) ? 0 : kMaxGainOfMoreRegressors;
  }

  /// The candidate joined like this, and what it then saves; nothing is fitted.
  [[nodiscard]] FittedShare attached(int rank, std::vector<fit::DonorLayer> auxiliary_inputs = {}) const {
    fit::AttachmentOptions options = fit_options(trials_.settings_);
    options.rank = rank;
    options.auxiliary_inputs = std::move(auxiliary_inputs);
    FittedShare accepted{candidate_, {}, trials_.attachment_of(candidate_, options)};
    add_savings(accepted.attachment, accepted.candidate, -1);
    return accepted;
  }
  [[nodiscard]] bool saves(const FittedShare& accepted) const {
    return accepted.candidate.savings.of(objective_of(trials_.settings_)) > 0;
  }

  [[nodiscard]] fit::CutSums corrections(const fit::Attachment& attachment) const {
    return fitter_.gather_corrections(attachment, sums_, max_regressors_);
  }

  /// More layers that corrections of this attachment are to read.
  [[nodiscard]] std::vector<fit::DonorLayer> auxiliary_inputs_for(const fit::Attachment& attachment) const {
    const std::vector<fit::DonorLayer> offered =
        offered_auxiliary_inputs(trials_.settings_, trials_.work_, trials_.signatures_, candidate_, plain_, before_);
    const fit::WeightsOf weights{{candidate_.cut.receiver, trials_.fit_on_.weights_all(candidate_.cut.receiver)}};
    const fit::CutFitter on_all(trials_.work_.set, {{&trials_.fit_on_.all(), &weights, nullptr}}, before_,
                                trials_.progress_);
    return on_all.choose_auxiliary_inputs(attachment, sums_, offered, trials_.settings_.max_side_inputs);
  }

  /// As the candidate is joined there.
  [[nodiscard]] Measured measured(FittedShare accepted) const {
    fit::Fitted fitted = accepted.attachment.rank == 0
                             ? fit::solve(sums_, accepted.attachment)
                             : fit::solve(corrections(accepted.attachment), accepted.attachment);
    return measured(std::move(accepted), std::move(fitted));
  }

  [[nodiscard]] Measured measured(FittedShare accepted, fit::Fitted fitted) const {
    accepted.fitted = std::move(fitted);
    accepted.reach = reach(accepted.attachment);
    std::vector<graph::Splice> splices = before_;
    splices.push_back(accepted.fitted.splice);
    const Agreement agreement = trials_.measured(candidate_.cut.receiver, splices);
    log::debug("with " + described(accepted.attachment) + ": " + fixed3(agreement.fidelity) + ", R2 " +
               fixed3(1 - accepted.fitted.residuals.front()) + "; " +
               report::human_bytes(trials_.on_tried_.values.bytes() + trials_.on_frames_.bytes()) + " of values kept");
    return {std::move(accepted), agreement};
  }

  /// Fits with corrections, by rank: what one needs serves all.
  [[nodiscard]] std::map<int, fit::Fitted> corrected() const {
    std::vector<fit::Attachment> attachments;
    for (int rank = kLeastRank; rank <= trials_.settings_.max_rank; rank *= 2) {
      attachments.push_back(attached(rank).attachment);
      if (attachments.back().rank == rank) continue;
      attachments.pop_back();
      break;
    }
    std::vector<fit::Fitted> fitted = fit::solve_ranks(corrections(attachments.front()), attachments);
    std::map<int, fit::Fitted> by_rank;
    for (std::size_t i = 0; i < attachments.size(); ++i) by_rank.emplace(attachments[i].rank, std::move(fitted[i]));
    return by_rank;
  }

 private:
  /// Adds what this attachment costs beyond one without corrections to a candidate's savings, so many times.
  void add_savings(const fit::Attachment& attachment, planner::Candidate& candidate, std::int64_t times = 1) const {
    const std::int64_t bytes = attachment.bytes_added - plain_.bytes_added;
    candidate.savings.bytes += times * bytes;
    candidate.savings.flops += times * (attachment.flops_added - plain_.flops_added);
    candidate.savings.memory += times * bytes;
    candidate.savings.latency_ns += times * corrections_ns(plain_, attachment);
  }

  [[nodiscard]] std::string described(const fit::Attachment& attachment) const {
    if (attachment.rank == 0) return "no corrections";
    std::string text = "corrections of rank " + std::to_string(attachment.rank);
    for (std::size_t i = 0; i < attachment.auxiliary_inputs.size(); ++i) {
      const fit::DonorLayer& auxiliary = attachment.auxiliary_inputs[i];
      text += i == 0 ? " that also read " : ", ";
      text += trials_.work_.models[auxiliary.donor].prepared.program.layers[auxiliary.donor_layer].name;
    }
    return text;
  }

  Trials& trials_;
  planner::Candidate candidate_;  // its savings those without corrections
  const std::vector<graph::Splice>& before_;
  const Effort effort_;
  const fit::CutFitter fitter_;
  const std::int64_t max_regressors_;
  const fit::Attachment plain_;
  const fit::CutSums sums_;
};

Trials::Measured Trials::run(const planner::Candidate& candidate, const std::vector<graph::Splice>& before,
                             const Worth& worth) {
  const Attempt attempt(*this, candidate, before, Attempt::Effort::kTried);
  std::optional<Measured> best;
  std::map<int, fit::Fitted> corrected;
  for (int rank = 0; rank <= settings_.max_rank; rank = rank == 0 ? kLeastRank : 2 * rank) {
    FittedShare accepted = attempt.attached(rank);
    if (accepted.attachment.rank != rank) break;  // nothing is fitted that a correction could stand beside
    if (rank > 0 && !attempt.saves(accepted)) break;
    if (rank > 0 && !worth(accepted.candidate)) {
      if (best->agreement.low >= target(candidate) - best->accepted.reach) break;  // it may hold as it is
      best->deferred_candidate = accepted.candidate;
      return std::move(*best);
    }
    if (rank == kLeastRank) corrected = attempt.corrected();
    Measured trial = rank == 0 ? attempt.measured(std::move(accepted))
                               : attempt.measured(std::move(accepted), std::move(corrected.at(rank)));
    if (!best || trial.agreement.low > best->agreement.low) best = std::move(trial);
    if (best->agreement.low >= target(candidate) || best->agreement.low < target(candidate) - kMaxGainOfCorrections)
      break;
  }
  const bool auxiliary_inputs = best->accepted.attachment.rank > 0 && settings_.max_side_inputs > 0;
  if (auxiliary_inputs && best->agreement.low < target(candidate))
    best->accepted.reach = std::max(best->accepted.reach, kMaxGainOfAuxiliaryInputs);
  return std::move(*best);
}

Trials::Measured Trials::completed(const FittedShare& accepted, const std::vector<graph::Splice>& before) {
  const double wanted = target(accepted.candidate);
  const Attempt kept(*this, accepted.candidate, before, Attempt::Effort::kKept, &accepted.attachment);
  Measured best = kept.measured(accepted);
  const fit::Attachment& attachment = best.accepted.attachment;
  if (attachment.rank == 0 || settings_.max_side_inputs == 0 || best.agreement.low >= wanted ||
      best.agreement.low < wanted - kMaxGainOfAuxiliaryInputs)
    return best;
  FittedShare more = kept.attached(attachment.rank, kept.auxiliary_inputs_for(attachment));
  if (more.attachment.auxiliary_inputs.empty() || !kept.saves(more)) return best;
  Measured trial = kept.measured(std::move(more));
  return trial.agreement.low > best.agreement.low ? trial : best;
}

const verify::Reference& Trials::reference(ModelIndex receiver) {
  const auto known = references_.find(receiver);
  if (known != references_.end()) return known->second;
  verify::Reference found =
      verify::reference(work_.models[receiver].head, original(receiver), frames_.front().size(), progress_);
  return references_.emplace(receiver, std::move(found)).first->second;
}

verify::Forward Trials::original(ModelIndex receiver) const {
  if (!originals_.empty()) return originals_[receiver];
  return verify::prepared_forward(work_.models[receiver].loaded, work_.models[receiver].prepared, work_.set, frames_,
                                  work_.models[receiver].head.group);
}

verify::Measured Trials::found(ModelIndex receiver, const std::vector<graph::Splice>& splices) {
  std::vector<ModelIndex> involved{receiver};
  for (const graph::Splice& splice : splices) {
    for (const graph::DonorLayer& one : splice.donor_layers()) involved.push_back(one.donor);
  }
  verify::Head head = work_.models[receiver].head;
  head.batchable = work_.set.batch(involved) > 1;
  const std::vector<ModelIndex> wanted{receiver};
  const graph::Assembly assembly = graph::assemble(work_.set.models, work_.set.groups, splices, wanted);
  const std::int64_t frames = frames_.front().size();
  capture::MergedPass pass(assembly, work_.set, frames_, frames, head.batch(), &on_frames_);
  const verify::Forward merged = [&](std::span<const std::int64_t>) {
    return progress_.spend("forward", [&] { return pass.results(); });
  };
  return verify::measure(head, reference(receiver), original(receiver), merged, frames, progress_);
}

Agreement Trials::measured(ModelIndex receiver, const std::vector<graph::Splice>& splices) {
  const verify::Measured merged = found(receiver, splices);
  Agreement agreement{merged.fidelity, merged.fidelity};
  // Without detections of its own, or with raw outputs, there is nothing to draw from.
  if (settings_.confidence > 0 && reference(receiver).own_detections > 0) {
    agreement.low = verify::bootstrap_interval(merged.found, reference(receiver).targets, settings_.confidence,
                                               verify::kDraws, settings_.seed)
                        .low;
  }
  return agreement;
}

}  // namespace repsim::pipeline
