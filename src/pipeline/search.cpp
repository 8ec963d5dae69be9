#include "search.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "repsim/base/log.hpp"

namespace repsim::pipeline {
namespace {

constexpr int kMostTaps = 6;   // replaced layers per cut: a pyramid has three to five
constexpr int kShortlist = 3;  // donor layers per receiver layer that a linear map is fitted for

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool matches_any(const std::vector<std::string>& globs, const std::string& name) {
  return std::any_of(globs.begin(), globs.end(),
                     [&](const std::string& glob) { return planner::glob_matches(glob, name); });
}

class Search {
 public:
  Search(const Settings& settings, const Workspace& work, const std::vector<similarity::Signatures>& signatures,
         const capture::Stores& calibration, const capture::Stores& holdout, const std::vector<verify::Head>& heads,
         const std::vector<planner::Candidate>& refused, Progress& progress)
      : settings_(settings),
        work_(work),
        signatures_(signatures),
        calibration_(calibration),
        holdout_(holdout),
        heads_(heads),
        refused_(refused),
        progress_(progress) {
    options_.linear = settings.adapters == "linear";
    options_.refit = settings.refit;
  }

  Found run() {
    for (const Direction& direction : directions(settings_, work_))
      consider(index_of(direction.receiver), index_of(direction.donor));
    measure_front();
    return std::move(found_);
  }

 private:
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }

  int index_of(const std::string& name) const {
    for (std::size_t i = 0; i < work_.prepared.size(); ++i) {
      if (work_.prepared[i].name == name) return static_cast<int>(i);
    }
    return -1;
  }

  const graph::Program& program(int model) const { return work_.prepared[at(model)].program; }

  /// Layers that may take part: float feature maps of three dimensions that the user's globs allow.
  std::vector<bool> usable(int model, bool as_receiver) const {
    std::vector<bool> result;
    for (const graph::Layer& layer : program(model).layers) {
      const bool map = layer.shape.size() == 3 && layer.dtype == "Float";
      const bool wanted = !as_receiver || settings_.layers.empty() || matches_any(settings_.layers, layer.name);
      result.push_back(map && wanted && !matches_any(settings_.exclude, layer.name));
    }
    return result;
  }

  /// Adds the Pareto front of one ordered pair to the candidates.
  void consider(int receiver, int donor) {
    const similarity::Matrix matrix = similarity::cka(signatures_[at(receiver)], signatures_[at(donor)]);
    const std::vector<planner::DepthCut> cuts =
        planner::depth_cuts(program(receiver), usable(receiver, true), kMostTaps);
    const std::vector<bool> givable = usable(donor, false);

    // One regression per (receiver layer, short-listed donor layer), all in one pass over the frames.
    std::vector<fit::Tap> pairs;
    std::map<int, std::vector<std::size_t>> pairs_of;
    for (const planner::DepthCut& cut : cuts) {
      for (const int layer : cut.layers) {
        if (pairs_of.count(layer) > 0) continue;
        auto& list = pairs_of[layer];
        for (const int given :
             planner::shortlist(matrix, program(receiver), program(donor), layer, givable, kShortlist)) {
          if (!options_.linear && !options_.refit &&
              program(receiver).layers[at(layer)].shape[0] != program(donor).layers[at(given)].shape[0])
            continue;
          list.push_back(pairs.size());
          pairs.push_back({layer, given});
        }
      }
    }
    if (pairs.empty()) return;
    const std::vector<double> r2 = fit::screen(work_.set, calibration_, receiver, donor, pairs, options_, progress_);

    std::vector<planner::Candidate> candidates;
    for (const planner::DepthCut& cut : cuts) {
      planner::Candidate candidate;
      candidate.receiver = receiver;
      candidate.donor = donor;
      candidate.similarity = 1;
      candidate.predicted_fidelity = 1;
      for (const int layer : cut.layers) {
        const auto& list = pairs_of.at(layer);
        if (list.empty()) break;
        const std::size_t best =
            *std::max_element(list.begin(), list.end(), [&](std::size_t a, std::size_t b) { return r2[a] < r2[b]; });
        candidate.receiver_layers.push_back(layer);
        candidate.donor_layers.push_back(pairs[best].donor_layer);
        candidate.similarity = std::min(candidate.similarity, matrix.at(at(layer), at(pairs[best].donor_layer)));
        candidate.predicted_fidelity = std::min(candidate.predicted_fidelity, std::clamp(r2[best], 0.0, 1.0));
      }
      if (candidate.receiver_layers.size() != cut.layers.size()) continue;
      const fit::Joint joint = fit::plan_joint(work_.set, cut_of(candidate), options_);
      if (!joint.possible) continue;
      candidate.bytes_saved = cut.removal.bytes - joint.bytes_added;
      if (candidate.bytes_saved > 0) candidates.push_back(std::move(candidate));
    }
    const std::vector<std::size_t> front = planner::pareto_front(candidates);
    log::debug(work_.prepared[at(receiver)].name + "<-" + work_.prepared[at(donor)].name + ": " +
               std::to_string(cuts.size()) + " cuts, " + std::to_string(pairs.size()) + " layer pairs, " +
               std::to_string(front.size()) + " candidates on the front");
    for (const std::size_t index : front) found_.candidates.push_back(candidates[index]);
  }

  static fit::Cut cut_of(const planner::Candidate& candidate) {
    fit::Cut cut{candidate.receiver, candidate.donor, {}};
    for (std::size_t i = 0; i < candidate.receiver_layers.size(); ++i) {
      cut.taps.push_back({candidate.receiver_layers[i], candidate.donor_layers[i]});
    }
    return cut;
  }

  /// Why a candidate cannot be taken beside what was accepted; empty when it can.
  std::string conflict(const planner::Candidate& candidate) const {
    for (const Accepted& share : found_.shares) {
      const std::string& receiver = work_.prepared[at(share.candidate.receiver)].name;
      if (share.candidate.receiver == candidate.receiver) return receiver + " already takes a larger share";
      if (share.candidate.receiver == candidate.donor) return "its donor " + receiver + " takes layers itself";
      if (share.candidate.donor == candidate.receiver) {
        return work_.prepared[at(candidate.receiver)].name + " gives layers to " + receiver;
      }
    }
    return {};
  }

  void measure_front() {
    // Most bytes first over all pairs; equal ones by the order of the pairs.
    std::vector<std::size_t> order(found_.candidates.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return found_.candidates[a].bytes_saved > found_.candidates[b].bytes_saved;
    });
    std::map<std::pair<int, int>, std::int64_t> trials;
    for (const std::size_t index : order) {
      planner::Candidate& candidate = found_.candidates[index];
      const auto same = [&](const planner::Candidate& other) {
        return other.receiver == candidate.receiver && other.donor == candidate.donor &&
               other.receiver_layers == candidate.receiver_layers;
      };
      if (const auto found = std::find_if(refused_.begin(), refused_.end(), same); found != refused_.end()) {
        candidate.measured_fidelity = found->measured_fidelity;
        candidate.reason = found->reason;
        continue;
      }
      if (const std::string why = conflict(candidate); !why.empty()) {
        candidate.reason = "not tried: " + why;
        continue;
      }
      if (trials[{candidate.receiver, candidate.donor}]++ >= settings_.max_trials) {
        candidate.reason = "not tried: --max-trials " + std::to_string(settings_.max_trials) + " reached for this pair";
        continue;
      }
      try_candidate(candidate);
    }
  }

  void try_candidate(planner::Candidate& candidate) {
    const fit::Cut cut = cut_of(candidate);
    const fit::Joint joint = fit::plan_joint(work_.set, cut, options_);
    std::vector<graph::Splice> splices = splices_of(found_.shares);
    fit::Fitted fitted = fit::fit(work_.set, calibration_, splices, cut, joint, options_, progress_);
    splices.push_back(fitted.splice);

    const double fidelity = measured(candidate.receiver, splices);
    candidate.measured_fidelity = fidelity;
    candidate.chosen = fidelity >= settings_.min_fidelity;
    const graph::Program& receiver = program(candidate.receiver);
    std::vector<std::string> names;
    for (const int layer : candidate.receiver_layers) names.push_back(receiver.layers[at(layer)].name);
    log::info(work_.prepared[at(candidate.receiver)].name + "<-" + work_.prepared[at(candidate.donor)].name + " at " +
              joined(names) + ": saves " + report::human_bytes(candidate.bytes_saved) + ", predicted " +
              rounded(candidate.predicted_fidelity) + ", measured " + rounded(fidelity) +
              (candidate.chosen ? ": kept" : ": below " + rounded(settings_.min_fidelity)));
    if (candidate.chosen) {
      candidate.reason = "largest saving that keeps the fidelity";
      found_.shares.push_back({candidate, std::move(fitted), joint});
    } else {
      candidate.reason = "measured fidelity " + rounded(fidelity) + " is below " + rounded(settings_.min_fidelity);
    }
  }

  static std::string rounded(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", value);
    return text;
  }

  /// Fidelity of one receiver in the joint graph, on hold-out frames.
  double measured(int receiver, const std::vector<graph::Splice>& splices) {
    std::vector<int> involved{receiver};
    for (const graph::Splice& splice : splices) {
      for (const graph::Override& one : splice.overrides) involved.push_back(one.donor);
    }
    verify::Head head = heads_[at(receiver)];
    head.batchable = work_.set.batch(involved) > 1;
    const std::vector<int> wanted{receiver};
    const graph::Assembly assembly = graph::assemble(work_.set.models, work_.set.groups, splices, wanted);
    const graph::Runner runner(*assembly.graph, assembly.parameter_values(), {}, /*keep_output=*/true);
    const verify::Forward original =
        verify::original_forward(work_.loaded[at(receiver)], work_.set, holdout_, head.group);
    const verify::Forward merged = [&](std::span<const std::int64_t> positions) {
      return runner.run(capture::group_inputs(work_.set, holdout_, assembly.input_groups, positions));
    };
    const std::int64_t frames = holdout_.front().size();
    if (references_.count(receiver) == 0) references_[receiver] = verify::reference(head, original, frames, progress_);
    return verify::measure(head, references_.at(receiver), original, merged, frames, progress_).fidelity;
  }

  const Settings& settings_;
  const Workspace& work_;
  const std::vector<similarity::Signatures>& signatures_;
  const capture::Stores& calibration_;
  const capture::Stores& holdout_;
  const std::vector<verify::Head>& heads_;
  const std::vector<planner::Candidate>& refused_;
  Progress& progress_;
  fit::Options options_;
  std::map<int, verify::Reference> references_;
  Found found_;
};

}  // namespace

std::vector<graph::Splice> splices_of(const std::vector<Accepted>& shares) {
  std::vector<graph::Splice> splices;
  for (const Accepted& share : shares) splices.push_back(share.fitted.splice);
  return splices;
}

std::vector<Direction> directions(const Settings& settings, const Workspace& work) {
  const auto transparent = [&](const std::string& name) {
    return std::any_of(work.prepared.begin(), work.prepared.end(),
                       [&](const graph::Prepared& model) { return model.name == name && model.transparent; });
  };
  std::vector<Direction> result;
  if (!settings.share.empty()) {
    for (const Direction& direction : settings.share) {
      if (transparent(direction.receiver) && transparent(direction.donor)) result.push_back(direction);
    }
    return result;
  }
  for (const graph::Prepared& receiver : work.prepared) {
    for (const graph::Prepared& donor : work.prepared) {
      if (&receiver != &donor && receiver.transparent && donor.transparent)
        result.push_back({receiver.name, donor.name});
    }
  }
  return result;
}

Found search(const Settings& settings, const Workspace& work, const std::vector<similarity::Signatures>& signatures,
             const capture::Stores& calibration, const capture::Stores& holdout, const std::vector<verify::Head>& heads,
             const std::vector<planner::Candidate>& refused, Progress& progress) {
  return Search(settings, work, signatures, calibration, holdout, heads, refused, progress).run();
}

}  // namespace repsim::pipeline
