#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "job.hpp"
#include "replacements.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/text.hpp"
#include "repsim/fit/predictors.hpp"
#include "repsim/study.hpp"
#include "search.hpp"
#include "share_options.hpp"
#include "signatures.hpp"
#include "trials.hpp"

namespace repsim::pipeline {
namespace {

constexpr std::int64_t kPilotFrames = 24;  // of the calibration part: what a cheap trial takes
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// At most kPilotFrames positions, evenly spaced over the calibration frames.
std::vector<std::int64_t> trial_positions(std::int64_t frames) {
  const std::int64_t count = std::min(frames, kPilotFrames);
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < count; ++i) positions.push_back(i * frames / count);
  return positions;
}

/// What all directions of a study have in common. All of it outlives the study.
struct StudyInput {
  const StudySettings& settings;
  const Workspace& work;
  const std::vector<similarity::Signatures>& signatures;
  const capture::Stores& calibration;
  const std::vector<std::int64_t>& positions;  ///< of the trial frames among the calibration frames
  const std::vector<std::int64_t>& holdout_frames;
  Trials& glance;  ///< on the trial frames
  Trials& judge;   ///< on the hold-out frames
  Progress& progress;
};

/// The cuts of one ordered pair of models, measured.
class DirectionStudy {
 public:
  DirectionStudy(const StudyInput& input, ModelIndex receiver, ModelIndex donor)
      : input_(input),
        receiver_(receiver),
        donor_(donor),
        options_(fit_options(input.settings.job)),
        receiver_program_(input.work.models[receiver].prepared.program),
        donor_program_(input.work.models[donor].prepared.program) {}

  report::StudiedDirection run(std::vector<report::StudiedCut>& measured) {
    report::StudiedDirection direction;
    direction.receiver = input_.work.models[receiver_].prepared.name;
    direction.donor = input_.work.models[donor_].prepared.name;
    const verify::Head& head = input_.work.models[receiver_].head;
    std::optional<verify::TruthTargets> truth;
    if (input_.work.truth && head.output.format != model::OutputFormat::kTensor) {
      truth = verify::truth_targets(*input_.work.truth, head, input_.holdout_frames, 0);
      direction.own_accuracy = truth->average_precision(input_.judge.reference(receiver_).own);
    }
    const std::vector<planner::StudyCut> cuts = drawn();
    const fit::PredictorsOfPairs predictors = predictors_of(cuts);
    direction.not_differentiable = predictors.not_differentiable;
    const similarity::Matrix similarity = similarity::cka(input_.signatures[receiver_], input_.signatures[donor_]);
    for (std::size_t begin = 0; begin < cuts.size(); begin += input_.work.memory_budget.together) {
      const std::size_t end = std::min(begin + input_.work.memory_budget.together, cuts.size());
      const std::vector<fit::Fitted> fitted = fitted_together({cuts.data() + begin, end - begin});
      for (std::size_t i = begin; i < end; ++i) {
        report::StudiedCut cut;
        cut.equal_depth = cuts[i].equal_depth;
        for (const LayerIndex layer : cuts[i].layers)
          cut.receiver_layers.push_back(receiver_program_.layers[layer].name);
        for (const LayerIndex layer : cuts[i].donor_layers)
          cut.donor_layers.push_back(donor_program_.layers[layer].name);
        cut.predictors = before_a_trial(cuts[i], predictors, similarity);
        try {
          measure(fitted[i - begin].splice, truth, cut);
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::kInput) throw;
          direction.skipped.push_back(cut.receiver_layers.front() + ": " + error.problem());
          log::warn("a cut of " + direction.receiver + " is left out: " + std::string(error.what()));
          continue;
        }
        log::debug(direction.receiver + "<-" + direction.donor + ": " + cut.receiver_layers.front() + " fidelity " +
                   fixed3(cut.fidelity));
        measured.push_back(std::move(cut));
      }
    }
    return direction;
  }

 private:
  [[nodiscard]] fit::Cut cut_of(const planner::StudyCut& cut) const {
    fit::Cut result{receiver_, {}};
    for (std::size_t i = 0; i < cut.layers.size(); ++i)
      result.replacements.push_back({cut.layers[i], donor_, cut.donor_layers[i]});
    return result;
  }

  [[nodiscard]] std::vector<planner::StudyCut> drawn() const {
    const Settings& job = input_.settings.job;
    const bool fitted = options_.linear || options_.refit;
    std::vector<planner::StudyCut> cuts = planner::study_cuts(
        receiver_program_, donor_program_, usable_layers(job, receiver_program_, true),
        usable_layers(job, donor_program_, false),
        [&](LayerIndex layer, LayerIndex donor_layer) {
          return fitted || receiver_program_.layers[layer].shape[0] == donor_program_.layers[donor_layer].shape[0];
        },
        input_.settings.cuts, job.seed);
    std::erase_if(cuts, [&](const planner::StudyCut& cut) {
      return !fit::plan_attachment(input_.work.set, cut_of(cut), options_);
    });
    return cuts;
  }

  fit::PredictorsOfPairs predictors_of(const std::vector<planner::StudyCut>& cuts) {
    for (const planner::StudyCut& cut : cuts) {
      for (std::size_t i = 0; i < cut.layers.size(); ++i) {
        if (pair_at_.emplace(std::pair{cut.layers[i], cut.donor_layers[i]}, pairs_.size()).second)
          pairs_.push_back({cut.layers[i], cut.donor_layers[i]});
      }
    }
    return fit::predictors({input_.work.set, input_.calibration, receiver_, donor_, pairs_,
                            input_.judge.weights(receiver_), input_.positions, input_.settings.job.seed},
                           input_.progress);
  }

  [[nodiscard]] planner::PredictorValues before_a_trial(const planner::StudyCut& cut,
                                                        const fit::PredictorsOfPairs& predictors,
                                                        const similarity::Matrix& similarity) const {
    using planner::Predictor;
    planner::PredictorValues values;
    values.fill(kNaN);
    const auto value = [&](Predictor predictor) -> double& { return values[planner::index_of(predictor)]; };
    const auto worst = [&](Predictor predictor, double one, bool first) {
      // What is undefined for one layer is undefined for the cut.
      value(predictor) = first || one != one || one < value(predictor) ? one : value(predictor);
    };
    double output_error = 0, elements = 0;
    for (std::size_t i = 0; i < cut.layers.size(); ++i) {
      const fit::PairPredictors& pair = predictors.pairs[pair_at_.at({cut.layers[i], cut.donor_layers[i]})];
      worst(Predictor::kSimilarity, similarity.at(at(cut.layers[i]), at(cut.donor_layers[i])), i == 0);
      worst(Predictor::kSpatialCka, pair.spatial_cka, i == 0);
      worst(Predictor::kR2, pair.r2, i == 0);
      worst(Predictor::kR2Weighted, pair.r2_weighted, i == 0);
      output_error += pair.output_error;
      const auto& shape = receiver_program_.layers[cut.layers[i]].shape;
      elements += static_cast<double>(shape[0] * shape[1] * shape[2]);
    }
    value(Predictor::kOutputError) = std::sqrt(output_error);
    const graph::Removal removal = graph::removed_by(receiver_program_, cut.layers);
    value(Predictor::kParameters) = static_cast<double>(removal.elements);
    value(Predictor::kFlops) = static_cast<double>(removal.flops);
    value(Predictor::kElements) = elements;
    return values;
  }

  /// Several cuts in one pass over the calibration frames.
  std::vector<fit::Fitted> fitted_together(std::span<const planner::StudyCut> cuts) {
    std::vector<fit::Attachment> attachments;
    for (const planner::StudyCut& cut : cuts)
      attachments.push_back(fit::plan_attachment(input_.work.set, cut_of(cut), options_).value());
    const fit::WeightsOf weights{{receiver_, input_.judge.weights(receiver_)}};
    const fit::CutFitter fitter(input_.work.set, {{&input_.calibration, &weights, nullptr}}, {}, input_.progress);
    const std::vector<fit::CutSums> sums = fitter.gather(attachments);
    std::vector<fit::Fitted> fitted;
    for (std::size_t i = 0; i < cuts.size(); ++i) fitted.push_back(fit::solve(sums[i], attachments[i]));
    return fitted;
  }

  void measure(const graph::Splice& splice, const std::optional<verify::TruthTargets>& truth, report::StudiedCut& cut) {
    cut.predictors[planner::index_of(planner::Predictor::kLastLayers)] =
        fit::agreement_behind(input_.work.set, input_.calibration, splice, input_.judge.weights(receiver_),
                              input_.positions, input_.progress);
    const std::vector<graph::Splice> splices{splice};
    cut.predictors[planner::index_of(planner::Predictor::kAgreement)] =
        input_.glance.found(receiver_, splices).fidelity;
    const verify::Measured merged = input_.judge.found(receiver_, splices);
    cut.fidelity = merged.fidelity;
    if (truth) cut.accuracy = truth->average_precision(merged.found);
  }

  const StudyInput input_;
  const int receiver_, donor_;
  const fit::AttachmentOptions options_;
  const graph::Program &receiver_program_, &donor_program_;
  std::vector<fit::LayerPair> pairs_;
  std::map<std::pair<int, int>, std::size_t> pair_at_;
};

}  // namespace

void check(const StudySettings& settings) {
  check(settings.job);
  constexpr std::int64_t kFewest = 8, kMost = 10'000;
  if (settings.cuts < kFewest || settings.cuts > kMost) {
    throw Error(ErrorKind::kUsage,
                "the value is " + std::to_string(settings.cuts) + ", not " + std::to_string(kFewest) + " to " +
                    std::to_string(kMost),
                "--cuts");
  }
}

report::Validation validate(const StudySettings& settings, const std::filesystem::path& out, bool force,
                            Progress& progress) {
  const Settings& job = settings.job;
  check(settings);
  const session::Runtime runtime(runtime_options(job));
  session::check_files(input_files(job));
  StagedDirectory staged(out, force);
  const session::Session work(runtime, session_options(job), progress);
  const video::VideoInfo& video = work.video;
  const video::Sampling sampling = video::sample_frames(video, job.frames, job.holdout);
  const std::vector<std::int64_t> positions = trial_positions(static_cast<std::int64_t>(sampling.calibration.size()));
  std::vector<std::int64_t> trial_frames;
  for (const std::int64_t position : positions) trial_frames.push_back(sampling.calibration[position]);
  const std::vector<session::FrameSet> sets{{sampling.calibration}, {trial_frames}, {sampling.holdout}};
  const std::vector<capture::Stores> stores = work.decode(sets, progress);
  std::vector<similarity::Signatures> signatures;
  for (Captured& one : signatures_of(job, work, stores[0], progress))
    signatures.push_back(std::move(one.file.signatures));
  Trials glance(job, work, stores[1], stores[1], signatures, work.memory_budget, progress);
  Trials judge(job, work, stores[0], stores[2], signatures, work.memory_budget, progress);
  const StudyInput input{settings, work, signatures, stores[0], positions, sampling.holdout, glance, judge, progress};

  report::Validation validation;
  validation.tool_version = REPSIM_VERSION;
  for (const session::Model& model : work.models)
    validation.models.push_back({model.name(), model.loaded.spec.path, model.loaded.sha256});
  validation.video_path = job.video;
  validation.video_sha256 = video.sha256;
  validation.frame_count = video.frame_count;
  validation.calibration_frames = sampling.calibration;
  validation.trial_frames = trial_frames;
  validation.holdout_frames = sampling.holdout;
  validation.adapters = job.adapters;
  validation.refit = job.refit;
  validation.cuts_asked = settings.cuts;
  validation.seed = job.seed;
  validation.truth = job.truth;
  for (const Direction& direction : directions(job, work.models)) {
    std::vector<report::StudiedCut> measured;
    validation.directions.push_back(
        DirectionStudy(input, index_of(work, direction.receiver), index_of(work, direction.donor)).run(measured));
    for (report::StudiedCut& cut : measured) {
      cut.direction = validation.directions.size() - 1;
      validation.cuts.push_back(std::move(cut));
    }
  }
  if (validation.cuts.empty()) {
    throw Error(ErrorKind::kNothingToShare, "no cut of any pair of models can be measured", out.string(),
                "repsim inspect says which layers a model has, and why others are none");
  }
  report::fill_tables(validation);
  write_file_atomically(staged.path("validation.json"), repsim::to_text(report::to_json(validation)));
  write_file_atomically(staged.path("validation.csv"), report::to_csv(validation));
  write_file_atomically(staged.path("validation.html"), report::html(validation));
  staged.commit();
  runtime.memory_limit().judge();
  return validation;
}

}  // namespace repsim::pipeline
