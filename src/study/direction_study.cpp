#include "direction_study.hpp"

#include <cmath>
#include <limits>
#include <string>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/text.hpp"
#include "repsim/model_failure.hpp"

namespace repsim::study {
namespace {

/// Ground truth for the receiver on the hold-out frames; none for raw outputs.
std::optional<verify::TruthTargets> truth_of(const Setting& setting, ModelIndex receiver) {
  const verify::Head& head = setting.session.models[receiver].head;
  if (!setting.session.truth || head.output.format == model::OutputFormat::kTensor) return std::nullopt;
  return verify::truth_targets(*setting.session.truth, head, setting.holdout_frames, 0);
}

class DirectionStudy {
 public:
  DirectionStudy(const Setting& setting, const Direction& direction)
      : setting_(setting),
        direction_(direction),
        receiver_(setting.session.models[direction.receiver].prepared.program),
        donor_(setting.session.models[direction.donor].prepared.program),
        truth_(truth_of(setting, direction.receiver)) {}

  DirectionResult run() {
    DirectionResult result;
    result.direction.receiver = setting_.session.models[direction_.receiver].name();
    result.direction.donor = setting_.session.models[direction_.donor].name();
    if (truth_) {
      result.direction.own_accuracy = truth_->average_precision(setting_.holdout.reference(direction_.receiver).own);
    }
    const std::vector<planner::StudyCut> cuts = draw();
    const fit::PredictorsOfPairs predictors = predictors_of(cuts);
    result.direction.not_differentiable = predictors.not_differentiable;
    const similarity::MatrixView similarity = setting_.similarity.between(direction_.receiver, direction_.donor);
    const std::size_t together = setting_.session.memory_budget.together;
    for (std::size_t begin = 0; begin < cuts.size(); begin += together) {
      const std::size_t end = std::min(begin + together, cuts.size());
      const std::vector<graph::Splice> splices = fit_together({cuts.data() + begin, end - begin});
      for (std::size_t i = begin; i < end; ++i) {
        report::StudiedCut cut = describe(cuts[i]);
        cut.predictors = predictors_before_a_trial(cuts[i], predictors, similarity);
        measure(splices[i - begin], std::move(cut), result);
      }
    }
    return result;
  }

 private:
  [[nodiscard]] graph::Cut cut_of(const planner::StudyCut& cut) const {
    graph::Cut result{direction_.receiver, {}};
    for (std::size_t i = 0; i < cut.layers.size(); ++i)
      result.replacements.push_back({cut.layers[i], direction_.donor, cut.donor_layers[i]});
    return result;
  }

  [[nodiscard]] std::optional<fit::Attachment> attachment_of(const planner::StudyCut& cut) const {
    return fit::plan_attachment(setting_.session.set, cut_of(cut), setting_.options.attachment);
  }

  [[nodiscard]] std::vector<planner::StudyCut> draw() const {
    const bool is_fitted = setting_.options.attachment.linear || setting_.options.attachment.refit;
    const auto channels_fit = [&](LayerIndex layer, LayerIndex donor_layer) {
      return is_fitted || receiver_.layers[layer].shape[0] == donor_.layers[donor_layer].shape[0];
    };
    std::vector<planner::StudyCut> cuts =
        planner::study_cuts({receiver_, donor_, direction_.replaceable, direction_.givable, channels_fit},
                            setting_.options.cuts, setting_.options.seed);
    std::erase_if(cuts, [&](const planner::StudyCut& cut) { return !attachment_of(cut); });
    return cuts;
  }

  [[nodiscard]] const fit::SampleWeights& weights() const {
    return setting_.calibration.all_weights(direction_.receiver).at(direction_.receiver);
  }

  fit::PredictorsOfPairs predictors_of(const std::vector<planner::StudyCut>& cuts) {
    std::vector<fit::LayerPair> pairs;
    for (const planner::StudyCut& cut : cuts) {
      for (std::size_t i = 0; i < cut.layers.size(); ++i) {
        if (pair_at_.emplace(std::pair{cut.layers[i], cut.donor_layers[i]}, pairs.size()).second)
          pairs.push_back({cut.layers[i], cut.donor_layers[i]});
      }
    }
    return fit::predictors({setting_.session.set, setting_.calibration.all(), direction_.receiver, direction_.donor,
                            pairs, weights(), setting_.pilot_positions, setting_.options.seed},
                           setting_.progress);
  }

  [[nodiscard]] report::StudiedCut describe(const planner::StudyCut& cut) const {
    report::StudiedCut described;
    described.equal_depth = cut.equal_depth;
    for (const LayerIndex layer : cut.layers) described.receiver_layers.push_back(receiver_.layers[layer].name);
    for (const LayerIndex layer : cut.donor_layers) described.donor_layers.push_back(donor_.layers[layer].name);
    return described;
  }

  [[nodiscard]] planner::PredictorValues predictors_before_a_trial(const planner::StudyCut& cut,
                                                                   const fit::PredictorsOfPairs& predictors,
                                                                   const similarity::MatrixView& similarity) const {
    using planner::Predictor;
    planner::PredictorValues values;
    values.fill(std::numeric_limits<double>::quiet_NaN());
    const auto value = [&](Predictor predictor) -> double& { return values[planner::index_of(predictor)]; };
    const auto worst = [&](Predictor predictor, double one, bool first) {
      // A predictor that is undefined for one layer is undefined for the cut.
      value(predictor) = first || std::isnan(one) || one < value(predictor) ? one : value(predictor);
    };
    double output_error = 0, elements = 0;
    for (std::size_t i = 0; i < cut.layers.size(); ++i) {
      const fit::PairPredictors& pair = predictors.pairs[pair_at_.at({cut.layers[i], cut.donor_layers[i]})];
      worst(Predictor::kSimilarity, similarity.at(cut.layers[i], cut.donor_layers[i]), i == 0);
      worst(Predictor::kSpatialCka, pair.spatial_cka, i == 0);
      worst(Predictor::kR2, pair.r2, i == 0);
      worst(Predictor::kR2Weighted, pair.r2_weighted, i == 0);
      output_error += pair.output_error;
      const auto& shape = receiver_.layers[cut.layers[i]].shape;
      elements += static_cast<double>(shape[0] * shape[1] * shape[2]);
    }
    value(Predictor::kOutputError) = std::sqrt(output_error);
    const graph::Removal removal = graph::removed_by(receiver_, cut.layers);
    value(Predictor::kParameters) = static_cast<double>(removal.elements);
    value(Predictor::kFlops) = static_cast<double>(removal.flops);
    value(Predictor::kElements) = elements;
    return values;
  }

  /// Fits several cuts in one pass over the calibration frames.
  std::vector<graph::Splice> fit_together(std::span<const planner::StudyCut> cuts) {
    std::vector<fit::Attachment> attachments;
    for (const planner::StudyCut& cut : cuts) attachments.push_back(*attachment_of(cut));
    const fit::CutFitter fitter(
        setting_.session.set,
        {{&setting_.calibration.all(), &setting_.calibration.all_weights(direction_.receiver), nullptr}}, {},
        setting_.progress);
    const std::vector<fit::CutSums> sums = fitter.gather(attachments);
    std::vector<graph::Splice> splices;
    for (std::size_t i = 0; i < sums.size(); ++i) splices.push_back(fit::solve(sums[i], attachments[i]).splice);
    return splices;
  }

  static constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

  /// Adds the measured cut to the result, or the reason why it cannot be measured.
  void measure(const graph::Splice& splice, report::StudiedCut cut, DirectionResult& result) {
    report::StudiedDirection& direction = result.direction;
    try {
      const std::vector<graph::Splice> splices{splice};
      cut.predictors[planner::index_of(planner::Predictor::kLastLayers)] =
          fit::agreement_behind(setting_.session.set, setting_.calibration.all(), splice, weights(),
                                setting_.pilot_positions, setting_.progress);
      cut.predictors[planner::index_of(planner::Predictor::kAgreement)] =
          setting_.pilot.measure(direction_.receiver, splices).fidelity.value_or(kNotMeasured);
      const verify::Measured merged = setting_.holdout.measure(direction_.receiver, splices);
      if (!merged.fidelity) {
        direction.skipped.push_back(cut.receiver_layers.front() + ": its model finds nothing on the test frames");
        return;
      }
      cut.fidelity = *merged.fidelity;
      if (truth_) cut.accuracy = truth_->average_precision(merged.found);
    } catch (const Error& error) {
      const auto* failure = dynamic_cast<const graph::ModelFailure*>(&error);
      const bool of_a_model = failure != nullptr && failure->scope() != graph::ModelFailure::Scope::kMerged;
      if (error.kind() != ErrorKind::kInput || of_a_model) throw;
      direction.skipped.push_back(cut.receiver_layers.front() + ": " + error.problem());
      log::warn("a cut of " + direction.receiver + " is left out: " + std::string(error.what()));
      return;
    }
    log::debug(direction.receiver + "<-" + direction.donor + ": " + cut.receiver_layers.front() + " fidelity " +
               fixed3(cut.fidelity));
    result.cuts.push_back(std::move(cut));
  }

  const Setting& setting_;
  const Direction& direction_;
  const graph::Program &receiver_, &donor_;
  const std::optional<verify::TruthTargets> truth_;
  std::map<std::pair<LayerIndex, LayerIndex>, std::size_t> pair_at_;  // index of a pair's predictors
};

}  // namespace

DirectionResult study_direction(const Setting& setting, const Direction& direction) {
  return DirectionStudy(setting, direction).run();
}

}  // namespace repsim::study
