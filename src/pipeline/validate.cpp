#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "columns.hpp"
#include "job.hpp"
#include "replacements.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/fit_guides.hpp"
#include "repsim/study.hpp"
#include "search.hpp"
#include "signatures.hpp"
#include "trials.hpp"

namespace repsim::pipeline {
namespace {

constexpr std::int64_t kTrialFrames = 24;  // of the calibration part: what a cheap trial takes
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// At most kTrialFrames positions, evenly spaced over the calibration frames.
std::vector<std::int64_t> trial_positions(std::int64_t frames) {
  const std::int64_t count = std::min(frames, kTrialFrames);
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
  const std::vector<verify::Head>& heads;
  const std::optional<verify::Truth>& truth;
  const std::vector<std::int64_t>& holdout_frames;
  Trials& glance;  ///< on the trial frames
  Trials& judge;   ///< on the hold-out frames
  const Room& room;
  Progress& progress;
};

/// The cuts of one ordered pair of models, measured.
class DirectionStudy {
 public:
  DirectionStudy(const StudyInput& input, int receiver, int donor)
      : input_(input),
        receiver_(receiver),
        donor_(donor),
        options_(fit_options(input.settings.job)),
        taker_(input.work.prepared[at(receiver)].program),
        giver_(input.work.prepared[at(donor)].program) {}

  report::StudiedDirection run(std::vector<report::StudiedCut>& measured) {
    report::StudiedDirection direction;
    direction.receiver = input_.work.prepared[at(receiver_)].name;
    direction.donor = input_.work.prepared[at(donor_)].name;
    const verify::Head& head = input_.heads[at(receiver_)];
    std::optional<verify::TruthTargets> truth;
    if (input_.truth && head.output.format != model::OutputFormat::kTensor) {
      truth = verify::truth_targets(*input_.truth, head, input_.holdout_frames, 0);
      direction.own_accuracy = truth->average_precision(input_.judge.reference(receiver_).own);
    }
    const std::vector<planner::StudyCut> cuts = drawn();
    const fit::GuidesOfPairs guides = guides_of(cuts);
    direction.not_differentiable = guides.not_differentiable;
    const similarity::Matrix similarity =
        similarity::cka(input_.signatures[at(receiver_)], input_.signatures[at(donor_)]);
    for (std::size_t begin = 0; begin < cuts.size(); begin += input_.room.together) {
      const std::size_t end = std::min(begin + input_.room.together, cuts.size());
      const std::vector<fit::Fitted> fitted = fitted_together({cuts.data() + begin, end - begin});
      for (std::size_t i = begin; i < end; ++i) {
        report::StudiedCut cut;
        cut.equal_depth = cuts[i].equal_depth;
        for (const int layer : cuts[i].layers) cut.receiver_layers.push_back(taker_.layers[at(layer)].name);
        for (const int layer : cuts[i].donor_layers) cut.donor_layers.push_back(giver_.layers[at(layer)].name);
        cut.guides = before_a_trial(cuts[i], guides, similarity);
        try {
          measure(fitted[i - begin].splice, truth, cut);
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::kInput) throw;
          direction.skipped.push_back(cut.receiver_layers.front() + ": " + error.problem());
          log::warn("a cut of " + direction.receiver + " is left out: " + std::string(error.what()));
          continue;
        }
        log::debug(direction.receiver + "<-" + direction.donor + ": " + cut.receiver_layers.front() + " fidelity " +
                   rounded(cut.fidelity));
        measured.push_back(std::move(cut));
      }
    }
    return direction;
  }

 private:
  [[nodiscard]] fit::Cut cut_of(const planner::StudyCut& cut) const {
    fit::Cut result{receiver_, {}};
    for (std::size_t i = 0; i < cut.layers.size(); ++i)
      result.taps.push_back({cut.layers[i], donor_, cut.donor_layers[i]});
    return result;
  }

  [[nodiscard]] std::vector<planner::StudyCut> drawn() const {
    const Settings& job = input_.settings.job;
    const bool fitted = options_.linear || options_.refit;
    std::vector<planner::StudyCut> cuts = planner::study_cuts(
        taker_, giver_, usable_layers(job, taker_, true), usable_layers(job, giver_, false),
        [&](int layer, int donor_layer) {
          return fitted || taker_.layers[at(layer)].shape[0] == giver_.layers[at(donor_layer)].shape[0];
        },
        input_.settings.cuts, job.seed);
    std::erase_if(cuts, [&](const planner::StudyCut& cut) {
      return !fit::plan_joint(input_.work.set, cut_of(cut), options_).possible;
    });
    return cuts;
  }

  fit::GuidesOfPairs guides_of(const std::vector<planner::StudyCut>& cuts) {
    for (const planner::StudyCut& cut : cuts) {
      for (std::size_t i = 0; i < cut.layers.size(); ++i) {
        if (pair_at_.emplace(std::pair{cut.layers[i], cut.donor_layers[i]}, pairs_.size()).second)
          pairs_.push_back({cut.layers[i], cut.donor_layers[i]});
      }
    }
    return fit::guides(input_.work.set, input_.calibration, receiver_, donor_, pairs_, options_,
                       input_.judge.weights(receiver_), input_.positions, input_.settings.job.seed, input_.progress);
  }

  [[nodiscard]] planner::GuideValues before_a_trial(const planner::StudyCut& cut, const fit::GuidesOfPairs& guides,
                                                    const similarity::Matrix& similarity) const {
    using planner::Guide;
    planner::GuideValues values;
    values.fill(kNaN);
    const auto value = [&](Guide guide) -> double& { return values[planner::index_of(guide)]; };
    const auto worst = [&](Guide guide, double one, bool first) {
      // What is undefined for one layer is undefined for the cut.
      value(guide) = first || one != one || one < value(guide) ? one : value(guide);
    };
    double output_error = 0, elements = 0;
    for (std::size_t i = 0; i < cut.layers.size(); ++i) {
      const fit::PairGuides& pair = guides.pairs[pair_at_.at({cut.layers[i], cut.donor_layers[i]})];
      worst(Guide::kSimilarity, similarity.at(at(cut.layers[i]), at(cut.donor_layers[i])), i == 0);
      worst(Guide::kSpatialCka, pair.spatial_cka, i == 0);
      worst(Guide::kR2, pair.r2, i == 0);
      worst(Guide::kR2Weighted, pair.r2_weighted, i == 0);
      output_error += pair.output_error;
      const auto& shape = taker_.layers[at(cut.layers[i])].shape;
      elements += static_cast<double>(shape[0] * shape[1] * shape[2]);
    }
    value(Guide::kOutputError) = std::sqrt(output_error);
    const graph::Removal removal = graph::removed_by(taker_, cut.layers);
    value(Guide::kParameters) = static_cast<double>(removal.elements);
    value(Guide::kFlops) = static_cast<double>(removal.flops);
    value(Guide::kElements) = elements;
    return values;
  }

  /// Several cuts in one pass over the calibration frames.
  std::vector<fit::Fitted> fitted_together(std::span<const planner::StudyCut> cuts) {
    std::vector<fit::Cut> taps;
    std::vector<fit::Joint> joints;
    for (const planner::StudyCut& cut : cuts) {
      taps.push_back(cut_of(cut));
      joints.push_back(fit::plan_joint(input_.work.set, taps.back(), options_));
    }
    const fit::WeightsOf weights{{receiver_, input_.judge.weights(receiver_)}};
    const std::vector<fit::Gathered> gathered =
        fit::gather(input_.work.set, input_.calibration, {}, taps, joints, input_.progress, weights);
    std::vector<fit::Fitted> fitted;
    for (std::size_t i = 0; i < cuts.size(); ++i) fitted.push_back(fit::solve(gathered[i], joints[i], options_));
    return fitted;
  }

  void measure(const graph::Splice& splice, const std::optional<verify::TruthTargets>& truth, report::StudiedCut& cut) {
    cut.guides[planner::index_of(planner::Guide::kLastLayers)] =
        fit::agreement_behind(input_.work.set, input_.calibration, splice, input_.judge.weights(receiver_),
                              input_.positions, input_.progress);
    const std::vector<graph::Splice> splices{splice};
    cut.guides[planner::index_of(planner::Guide::kAgreement)] = input_.glance.found(receiver_, splices).fidelity;
    const verify::Measured merged = input_.judge.found(receiver_, splices);
    cut.fidelity = merged.fidelity;
    if (truth) cut.accuracy = truth->average_precision(merged.found);
  }

  const StudyInput input_;
  const int receiver_, donor_;
  const fit::Options options_;
  const graph::Program &taker_, &giver_;
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
  const ThreadCount threads(job.threads);
  check(settings);
  const at::Device device = open_device(job.device);
  check_files(job);
  StagedDirectory staged(out, force);
  const MemoryLimit limit(job.memory_limit);
  limit.check_files(job.models, MemoryLimit::AtOnce::kAll);
  Workspace work = open_models(job.models, job.input_sources, progress, device);
  const Room room = limit.room(work.prepared);
  check_directions(job, work);
  const video::VideoInfo video = video::probe(job.video, progress);
  work.set.views = views_of(work.set, video);
  const video::Sampling sampling = video::sample_frames(video, job.frames, job.holdout);
  const std::vector<std::int64_t> positions = trial_positions(static_cast<std::int64_t>(sampling.calibration.size()));
  std::vector<std::int64_t> trial_frames;
  for (const std::int64_t position : positions)
    trial_frames.push_back(sampling.calibration[static_cast<std::size_t>(position)]);
  std::optional<verify::Truth> truth;
  if (job.truth) truth = verify::read_motchallenge(*job.truth, video.width, video.height, 0);
  std::vector<video::Request> requests;
  for (const auto& frames : {sampling.calibration, trial_frames, sampling.holdout}) {
    for (video::Request& request : group_requests(work.set, frames)) requests.push_back(std::move(request));
  }
  const std::vector<capture::Stores> stores =
      split_by_groups(video::decode(video, requests, progress), work.set.specs.size());
  std::vector<similarity::Signatures> signatures;
  for (Captured& one : signatures_of(job, work, video, stores[0], room, progress))
    signatures.push_back(std::move(one.file.signatures));
  const std::vector<verify::Head> heads = heads_of(work, video);
  Trials glance(job, work, stores[1], stores[1], heads, signatures, room, progress);
  Trials judge(job, work, stores[0], stores[2], heads, signatures, room, progress);
  const StudyInput input{settings,         work,   signatures, stores[0], positions, heads, truth,
                         sampling.holdout, glance, judge,      room,      progress};

  report::Validation validation;
  validation.tool_version = REPSIM_VERSION;
  for (const model::Loaded& model : work.loaded)
    validation.models.push_back({model.spec.name, model.spec.path, model.sha256});
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
  for (const Direction& direction : directions(job, work)) {
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
  limit.judge();
  return validation;
}

}  // namespace repsim::pipeline
