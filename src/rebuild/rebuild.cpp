#include "repsim/rebuild.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include "edited_plan.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/bundle.hpp"
#include "repsim/manifest.hpp"
#include "repsim/open_plan.hpp"
#include "repsim/single_frames.hpp"
#include "repsim/trial.hpp"

namespace repsim::rebuild {
namespace {

/// "wide", or "wide, plain" where layers name their own.
std::string donors_of(const report::Share& share) {
  std::vector<std::string> donors;
  std::string text;
  const auto add = [&](const std::string& donor) {
    if (std::find(donors.begin(), donors.end(), donor) != donors.end()) return;
    text += (donors.empty() ? "" : ", ") + donor;
    donors.push_back(donor);
  };
  for (const report::Replaced& one : share.replaced) add(report::donor_of(share, one));
  for (const report::SharedWeight& one : share.weights) add(one.donor);
  return text;
}

/// Closed-form fits of all shares, each on what the shares of its donor really produce.
/// @param stores  per stream those of the calibration frames, first
std::vector<trial::FittedShare> refit(const std::vector<OpenStream>& streams, const std::vector<PlannedShare>& shares,
                                      const std::vector<std::vector<capture::Stores>>& stores, Progress& progress) {
  std::vector<trial::FittedShare> fitted(shares.size());
  std::deque<trial::CalibrationFrames> calibrations;
  for (std::size_t i = 0; i < streams.size(); ++i)
    calibrations.emplace_back(*streams[i].session, stores[i].front(), progress);
  std::vector<std::vector<ModelIndex>> donors(streams.front().session->models.size());
  std::map<ModelIndex, std::size_t> share_of;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const graph::Cut& cut = shares[i].candidate.cut;
    donors[cut.receiver] = cut.donors();
    share_of[cut.receiver] = i;
  }
  for (const ModelIndex receiver : graph::donors_first(donors)) {
    const auto found = share_of.find(receiver);
    if (found == share_of.end()) continue;
    const std::size_t index = found->second;
    const PlannedShare& share = shares[index];
    fitted[index].candidate = share.candidate;
    fitted[index].attachment = share.attachment;
    const graph::Cut& cut = share.candidate.cut;
    const std::size_t stream = stream_of(streams, receiver);
    const capture::ModelSet& set = streams[stream].session->set;
    trial::CalibrationFrames& calibration = calibrations[stream];
    if (!cut.replacements.empty()) {
      std::vector<graph::Splice> before;
      for (const std::size_t one : shares_before(shares, index)) before.push_back(fitted[one].fitted.splice);
      const fit::CutFitter fitter(set, calibration.for_complete_fit(receiver, nullptr), before, progress);
      fitted[index].fitted = fitter.fit(share.attachment);
    }
    if (!cut.weights.empty()) trial::fit_weights(set, cut, calibration.parts(), progress, fitted[index].fitted);
  }
  return fitted;
}

/// What the bundle's writer has to know of streams; empty where there is one.
std::vector<bundle::StreamMethod> methods_of(const std::vector<OpenStream>& streams) {
  if (streams.size() == 1) return {};
  std::vector<std::string> names, identifiers;
  std::vector<std::vector<ModelIndex>> members;
  for (const session::Model& model : streams.front().session->models) identifiers.push_back(model.identifier);
  for (const OpenStream& stream : streams) {
    names.push_back(stream.stream.name);
    members.push_back(stream.session->members);
  }
  return bundle::stream_methods(names, members, identifiers);
}

/// Per model of the plan what the bundle keeps on the test frames of its stream.
std::vector<verify::Verdict> verdicts_of(const std::string& bundle_path, std::uint64_t seed,
                                         const std::vector<OpenStream>& streams,
                                         const std::vector<bundle::StreamMethod>& methods,
                                         const std::vector<std::vector<capture::Stores>>& stores, Progress& progress) {
  std::vector<verify::Verdict> verdicts(streams.front().session->models.size());
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const session::Session& session = *streams[i].session;
    verify::BundleCheck check;
    check.bundle_path = bundle_path;
    check.seed = seed;
    if (!methods.empty()) check.method = methods[i].method;
    check.models = session.checked_models();
    check.set = &session.set;
    check.frames = &stores[i][1];
    check.playlist = &session.playlist;
    std::vector<verify::Verdict> of_stream = verify::check_bundle(check, progress);
    for (std::size_t k = 0; k < of_stream.size(); ++k) verdicts[session.members[k]] = std::move(of_stream[k]);
  }
  return verdicts;
}

/// What a bundle is made of. The old bundle is no part of it.
std::vector<InputFile> originals_of(const std::filesystem::path& given, const report::Plan& plan) {
  std::vector<InputFile> files = input_files_of(given, plan);
  std::erase_if(files, [](const InputFile& file) { return file.what == "the bundle"; });
  return files;
}

report::Rebuilt rebuild(const RebuildSettings& settings, const session::SingleFrames& single, Progress& progress) {
  const session::Runtime runtime({settings.threads, settings.device, settings.memory_limit});
  session::check_files({settings.libraries, {}, {}});
  const EditedPlan edited = read_edited_plan(settings.plan);
  const report::Plan& plan = edited.plan;
  check_shares(edited);
  check_replaces_no_input(settings.out, originals_of(settings.plan, plan), "--out");
  StagedFile staged(settings.out, settings.force);
  check_videos_unchanged(plan, progress);
  const std::vector<OpenStream> streams =
      open_streams(runtime, plan, session::marked(models_of(plan), single), stream_videos_of(plan), progress);
  const std::vector<PlannedShare> shares = planned_shares(edited, streams);

  std::vector<std::vector<capture::Stores>> stores;
  for (const OpenStream& one : streams) {
    const std::vector<session::FrameSet> sets{{one.stream.calibration_frames}, {one.stream.holdout_frames}};
    stores.push_back(one.session->decode(sets, progress));
  }
  const std::vector<trial::FittedShare> fitted = refit(streams, shares, stores, progress);

  const std::string bundle_path = staged.path().string();
  const session::Session& session = *streams.front().session;
  const std::vector<bundle::StreamMethod> methods = methods_of(streams);
  const bundle::Written written = bundle::write(session.set, session.loaded(), trial::splices_of(fitted),
                                                manifest_of(session, fitted, methods), methods);
  write_file_atomically(bundle_path, written.bytes);

  report::Rebuilt rebuilt;
  rebuilt.path = settings.out.string();
  rebuilt.bytes = static_cast<std::int64_t>(written.bytes.size());
  rebuilt.parameter_bytes = written.parameter_bytes;
  rebuilt.parameter_bytes_before = plan.before.bytes;
  rebuilt.sha256 = sha256(written.bytes);
  rebuilt.planned_sha256 = plan.bundle_sha256;
  for (std::size_t i = 0; i < fitted.size(); ++i) {
    const fit::Fitted& fit = fitted[i].fitted;
    const auto worst = [](const std::vector<double>& of_layers) {
      return of_layers.empty() ? 0.0 : *std::max_element(of_layers.begin(), of_layers.end());
    };
    rebuilt.shares.push_back({plan.shares[i].receiver, donors_of(plan.shares[i]),
                              static_cast<std::int64_t>(plan.shares[i].replaced.size()), worst(fit.residuals),
                              static_cast<std::int64_t>(plan.shares[i].weights.size()), worst(fit.output_variances)});
  }
  for (const verify::Verdict& verdict :
       verdicts_of(bundle_path, edited.settings.seed, streams, methods, stores, progress)) {
    const report::ModelEntry& entry = plan.models[rebuilt.models.size()];
    rebuilt.models.push_back(
        {entry.name, verdict.fidelity, entry.fidelity.value, report::min_fidelity(plan, entry.name).value_or(0)});
  }
  staged.commit();
  runtime.memory_limit().judge();
  return rebuilt;
}

}  // namespace

report::Rebuilt rebuild(const RebuildSettings& settings, Progress& progress) {
  return session::with_single_frames(
      [&](const session::SingleFrames& single) { return rebuild(settings, single, progress); });
}

}  // namespace repsim::rebuild
