#include "repsim/rebuild.hpp"

#include <algorithm>
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
std::vector<trial::FittedShare> refit(const session::Session& session, const std::vector<PlannedShare>& shares,
                                      const capture::Stores& stores, Progress& progress) {
  std::vector<trial::FittedShare> fitted(shares.size());
  trial::CalibrationFrames calibration(session, stores, progress);
  std::vector<std::vector<ModelIndex>> donors(session.models.size());
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
    if (!cut.replacements.empty()) {
      std::vector<graph::Splice> before;
      for (const std::size_t one : shares_before(shares, index)) before.push_back(fitted[one].fitted.splice);
      const fit::CutFitter fitter(session.set, calibration.for_complete_fit(receiver, nullptr), before, progress);
      fitted[index].fitted = fitter.fit(share.attachment);
    }
    if (!cut.weights.empty()) trial::fit_weights(session.set, cut, calibration.parts(), progress, fitted[index].fitted);
  }
  return fitted;
}

report::Rebuilt rebuild(const RebuildSettings& settings, const session::SingleFrames& single, Progress& progress) {
  const session::Runtime runtime({settings.threads, settings.device, settings.memory_limit});
  session::check_files({settings.libraries, {}, {}});
  const EditedPlan edited = read_edited_plan(settings.plan);
  const report::Plan& plan = edited.plan;
  check_shares(edited);
  StagedFile staged(settings.out, settings.force);
  check_videos_unchanged(plan, progress);
  const session::Session session(runtime, {session::marked(models_of(plan), single), videos_of(plan), {}, {}},
                                 progress);
  const std::vector<PlannedShare> shares = planned_shares(edited, session);

  const std::vector<session::FrameSet> sets{{plan.calibration_frames}, {plan.holdout_frames}};
  const std::vector<capture::Stores> stores = session.decode(sets, progress);
  const std::vector<trial::FittedShare> fitted = refit(session, shares, stores[0], progress);

  verify::BundleCheck check;
  check.bundle_path = staged.path().string();
  check.models = session.checked_models();
  check.set = &session.set;
  check.frames = &stores[1];
  check.seed = edited.settings.seed;
  check.playlist = &session.playlist;
  const bundle::Written written =
      bundle::write(session.set, session.loaded(), trial::splices_of(fitted), manifest_of(session, fitted));
  write_file_atomically(check.bundle_path, written.bytes);

  report::Rebuilt rebuilt;
  rebuilt.path = settings.out.string();
  rebuilt.bytes = static_cast<std::int64_t>(written.bytes.size());
  rebuilt.parameter_bytes = written.parameter_bytes;
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
  for (const verify::Verdict& verdict : verify::check_bundle(check, progress)) {
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
