#include "evidence.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "repsim/base/log.hpp"

namespace repsim::pipeline {
namespace {

/// A part of the videos: the frames of the plan in it, and all that the plan may add.
struct Part {
  std::vector<std::int64_t> frames;  ///< ascending
  const capture::Stores& stores;     ///< of `frames`
  std::vector<FrameRange> ranges;    ///< that the part consists of: one per video
};

/// Where the parts of each video begin and end. A part ends with its last frame: the gap to the next part stays, since
/// neighbouring frames are near-copies.
struct PartRanges {
  std::vector<FrameRange> calibration, selection, test;
};

PartRanges ranges_of(const video::Playlist& videos, const PlanFrames& frames) {
  const bool apart = frames.selection != frames.test;  // else the same frames select and judge
  const std::vector<std::int64_t> calibration = videos.counts_of(frames.calibration),
                                  selection = videos.counts_of(frames.selection), test = videos.counts_of(frames.test);
  PartRanges ranges;
  auto fits = frames.calibration.begin(), selects = frames.selection.begin(), judges = frames.test.begin();
  for (std::size_t i = 0; i < videos.videos().size(); ++i) {
    const video::PlaylistVideo& video = videos.videos()[i];
    const std::int64_t end = video.first + video.info.frame_count;
    fits += calibration[i];
    if (calibration[i] > 0) ranges.calibration.push_back({video.first, *(fits - 1) + 1});
    if (selection[i] > 0) ranges.selection.push_back({*selects, apart ? *(selects + selection[i] - 1) + 1 : end});
    if (test[i] > 0) ranges.test.push_back({*judges, end});
    selects += selection[i];
    judges += test[i];
  }
  return ranges;
}

std::vector<std::int64_t> merged(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::set<std::int64_t> all(a.begin(), a.end());
  all.insert(b.begin(), b.end());
  return {all.begin(), all.end()};
}

/// Detections of score >= threshold, per stored frame.
std::vector<Sighting> sightings(const session::Session& session, ModelIndex model, const capture::Stores& stores,
                                Progress& progress) {
  const session::Model& one = session.models[model];
  const std::vector<std::int64_t>& frames = stores.front().frames();
  const verify::Forward forward =
      verify::optimised_forward(one.loaded, one.prepared, session.set, stores, one.head)(stores);
  const verify::Reference own = verify::reference(one.head, forward, frames, progress);
  std::vector<Sighting> found;
  for (std::size_t i = 0; i < frames.size(); ++i)
    found.push_back({frames[i], static_cast<std::int64_t>(own.targets[i].sure.size())});
  return found;
}

std::int64_t detections_of(const std::vector<Sighting>& found) {
  std::int64_t all = 0;
  for (const Sighting& one : found) all += one.detections;
  return all;
}

/// The search through one part of the videos.
class PartScan {
 public:
  PartScan(const session::Session& session, Part part, const EvidenceOptions& options, Progress& progress)
      : session_(session), part_(std::move(part)), options_(options), progress_(progress) {}

  /// Counts what a model finds on the part's own frames.
  std::int64_t count(ModelIndex model) {
    Model& one = models_[model];
    one.on_own_frames = detections_of(sightings(session_, model, part_.stores, progress_));
    return one.on_own_frames;
  }

  /// Looks at further frames for these models.
  void scan(const std::set<ModelIndex>& short_of) {
    std::vector<std::int64_t> seen = part_.frames;
    std::int64_t step = static_cast<std::int64_t>(part_.frames.size()), looked_at = 0;
    while (looked_at < options_.scan_frames) {
      std::set<ModelIndex> open;
      for (const ModelIndex model : short_of) {
        const Model& one = models_.at(model);
        // If all frames on which it finds something are added.
        const std::int64_t wanted = options_.wanted(model, frames_with(one.further.size()));
        if (one.on_own_frames + detections_of(one.further) < wanted) open.insert(model);
      }
      if (open.empty()) break;
      const std::vector<std::int64_t> frames =
          frames_between(part_.ranges, seen, std::min(step, options_.scan_frames - looked_at));
      if (frames.empty()) break;
      look_at(frames, open);
      seen = merged(seen, frames);
      looked_at += static_cast<std::int64_t>(frames.size());
      step *= 2;
    }
  }

  /// The part's frames, and those that were found.
  [[nodiscard]] std::vector<std::int64_t> frames() const {
    std::vector<std::int64_t> all = part_.frames;
    for (const auto& [model, one] : models_) all = merged(all, added(model, one));
    return all;
  }

  /// Detections that the model needs on the part's frames and those that are added for it.
  [[nodiscard]] std::int64_t wanted(ModelIndex model) const {
    return options_.wanted(model, frames_with(added(model, models_.at(model)).size()));
  }

  /// What is known of one model once frames() is what the part consists of. Frames that were added for other models
  /// count where this model was run on them.
  [[nodiscard]] report::PartEvidence evidence(ModelIndex model) const {
    const Model& one = models_.at(model);
    const std::vector<std::int64_t> all = frames();
    report::PartEvidence evidence{static_cast<std::int64_t>(all.size()), one.on_own_frames, one.scanned};
    for (const Sighting& sighting : one.further) {
      if (std::binary_search(all.begin(), all.end(), sighting.frame)) evidence.detections += sighting.detections;
    }
    return evidence;
  }

 private:
  struct Model {
    std::int64_t on_own_frames = 0;  ///< detections on the part's frames
    std::int64_t scanned = 0;        ///< further frames
    std::vector<Sighting> further;   ///< on further frames, ascending
  };

  void look_at(const std::vector<std::int64_t>& frames, const std::set<ModelIndex>& models) {
    const std::vector<session::FrameSet> sets{{frames}};
    const std::vector<capture::Stores> stores = session_.decode(sets, progress_);
    for (const ModelIndex model : models) {
      Model& one = models_.at(model);
      for (const Sighting& sighting : sightings(session_, model, stores.front(), progress_))
        if (sighting.detections > 0) one.further.push_back(sighting);
      one.scanned += static_cast<std::int64_t>(frames.size());
      std::sort(one.further.begin(), one.further.end(),
                [](const Sighting& a, const Sighting& b) { return a.frame < b.frame; });
    }
  }

  /// More frames make longer blocks, and these need more detections: what is wanted grows with what is added.
  [[nodiscard]] std::vector<std::int64_t> added(ModelIndex model, const Model& one) const {
    std::vector<std::int64_t> found;
    for (std::size_t before = 0;; before = found.size()) {
      const std::int64_t missing = options_.wanted(model, frames_with(found.size())) - one.on_own_frames;
      if (missing <= 0) return found;
      found = spread_over(one.further, missing);
      if (found.size() == before || found.size() == one.further.size()) return found;
    }
  }

  [[nodiscard]] std::int64_t frames_with(std::size_t added) const {
    return static_cast<std::int64_t>(part_.frames.size() + added);
  }

  const session::Session& session_;
  const Part part_;
  const EvidenceOptions& options_;
  Progress& progress_;
  std::map<ModelIndex, Model> models_;
};

}  // namespace

std::vector<std::int64_t> frames_between(const std::vector<FrameRange>& ranges, const std::vector<std::int64_t>& seen,
                                         std::int64_t count) {
  std::vector<std::int64_t> left;
  for (const FrameRange& range : ranges) {
    for (std::int64_t frame = range.first; frame < range.last; ++frame) {
      if (!std::binary_search(seen.begin(), seen.end(), frame)) left.push_back(frame);
    }
  }
  const auto available = static_cast<std::int64_t>(left.size());
  if (available <= count) return left;
  std::vector<std::int64_t> chosen;
  // The middle of each of `count` equal stretches: far from the frames at the ends, which were seen.
  for (std::int64_t i = 0; i < count; ++i) chosen.push_back(left[(2 * i + 1) * available / (2 * count)]);
  return chosen;
}

std::vector<std::int64_t> spread_over(const std::vector<Sighting>& sightings, std::int64_t wanted) {
  const auto available = static_cast<std::int64_t>(sightings.size());
  for (std::int64_t count = 1; count < available; count *= 2) {
    std::vector<std::int64_t> chosen;
    std::int64_t detections = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const Sighting& one = sightings[(2 * i + 1) * available / (2 * count)];
      chosen.push_back(one.frame);
      detections += one.detections;
    }
    if (detections >= wanted) return chosen;
  }
  std::vector<std::int64_t> all;
  for (const Sighting& one : sightings) all.push_back(one.frame);
  return all;
}

EvidentFrames find_evidence(const session::Session& session, const PlanFrames& frames,
                            const capture::Stores& calibration, const HoldoutStores& holdout,
                            const EvidenceOptions& options, Progress& progress) {
  const PartRanges ranges = ranges_of(session.playlist, frames);
  PartScan fits(session, {frames.calibration, calibration, ranges.calibration}, options, progress);
  PartScan selects(session, {frames.selection, holdout.selection, ranges.selection}, options, progress);
  PartScan judges(session, {frames.test, holdout.test, ranges.test}, options, progress);
  std::set<ModelIndex> short_to_select, short_to_judge;
  for (const ModelIndex model : options.models) {
    if (selects.count(model) < selects.wanted(model)) short_to_select.insert(model);
    if (judges.count(model) < judges.wanted(model)) short_to_judge.insert(model);
  }
  std::set<ModelIndex> short_anywhere = short_to_select;
  short_anywhere.insert(short_to_judge.begin(), short_to_judge.end());
  for (const ModelIndex model : short_anywhere) (void)fits.count(model);
  selects.scan(short_to_select);
  judges.scan(short_to_judge);
  fits.scan(short_anywhere);

  EvidentFrames result{{fits.frames(), selects.frames(), judges.frames()}, {}};
  result.evidence.resize(session.models.size());
  for (const ModelIndex model : options.models) {
    report::ModelEvidence evidence;
    if (short_anywhere.count(model) > 0) evidence.calibration = fits.evidence(model);
    evidence.selection = selects.evidence(model);
    evidence.test = judges.evidence(model);
    evidence.wanted = std::max(selects.wanted(model), judges.wanted(model));
    const std::string& name = session.models[model].name();
    evidence.accepted = std::find(options.accepted.begin(), options.accepted.end(), name) != options.accepted.end();
    if (!evidence.is_enough()) {
      log::warn(name + " finds " + std::to_string(evidence.test.detections) + " objects in the " +
                std::to_string(evidence.test.frames) + " frames that judge and " +
                std::to_string(evidence.selection.detections) + " in the " + std::to_string(evidence.selection.frames) +
                " that choose; " + std::to_string(evidence.wanted) + " wanted: " +
                (evidence.accepted ? "it may take layers all the same (--accept-unmeasured)" : "it takes no layers"));
    }
    result.evidence[model] = evidence;
  }
  return result;
}

}  // namespace repsim::pipeline
