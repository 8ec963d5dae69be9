#include "repsim/reason_text.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace repsim::report {
namespace {

using planner::Reason;
using Kind = planner::Reason::Kind;

const std::vector<std::string> kModels{"front", "wide", "tiny"};

/// The sentence for a candidate of `front`.
std::string text_of(Reason reason, const std::vector<ModelIndex>& layer_donors = {1}) {
  planner::CandidateRecord record;
  record.candidate.cut.receiver = 0;
  for (const ModelIndex donor : layer_donors) record.candidate.cut.replacements.push_back({.donor = donor});
  record.reason = std::move(reason);
  return reason_text(record, kModels);
}

TEST(ReasonText, OfAMeasuredCandidateSaysWhatItKeeps) {
  EXPECT_EQ(text_of({.kind = Kind::kHolds, .fidelity = 0.95, .target = 0.9}),
            "keeps the fidelity, another choice is better");
  EXPECT_EQ(text_of({.kind = Kind::kNear, .fidelity = 0.8996, .low = 0.87, .target = 0.9}),
            "measured fidelity 0.899 (its frames support 0.870) is near 0.900, another choice is better");
  EXPECT_EQ(text_of({.kind = Kind::kBelow, .fidelity = 0.5, .target = 0.9}), "measured fidelity 0.500 is below 0.900");
  EXPECT_EQ(text_of({.kind = Kind::kRefused, .fidelity = 0.89, .target = 0.9}),
            "fidelity 0.890 on the frames that judge is below 0.900");
  EXPECT_EQ(text_of({.kind = Kind::kRefused, .fidelity = 0.91, .low = 0.88, .target = 0.9}),
            "fidelity 0.910 (its frames support 0.880) on the frames that judge is below 0.900");
  EXPECT_EQ(text_of({.kind = Kind::kDeferred, .fidelity = 0.91}),
            "keeps 0.910 without further corrections; with them another choice saves more");
}

TEST(ReasonText, OfWhatTheTestFramesWereNotAskedSaysThatNoLookWasLeft) {
  EXPECT_EQ(text_of({.kind = Kind::kNotJudged, .fidelity = 0.93, .low = 0.91, .target = 0.9}),
            "measured fidelity 0.930 (its frames support 0.910) may hold, but no look at the frames that judge is left "
            "(--max-judgements)");
  EXPECT_EQ(text_of({.kind = Kind::kNotJudged, .fidelity = 0.93, .target = 0.9, .models = {1}}),
            "measured fidelity 0.930 on a wide that takes layers itself may hold, but no look at the frames that judge "
            "is left (--max-judgements)");
  EXPECT_EQ(text_of({.kind = Kind::kDeferredNotJudged, .fidelity = 0.88}),
            "keeps 0.880 without further corrections; with them no look at the frames that judge is left "
            "(--max-judgements)");
  EXPECT_EQ(text_of({.kind = Kind::kOutOfJudgements}),
            "not tried: no look at the frames that judge is left (--max-judgements)");
}

TEST(ReasonText, NamesDonorsThatTakeLayersThemselves) {
  EXPECT_EQ(text_of({.kind = Kind::kHolds, .models = {1}}),
            "keeps the fidelity on a wide that takes layers itself, another choice is better");
  EXPECT_EQ(text_of({.kind = Kind::kBelow, .fidelity = 0.5, .target = 0.9, .models = {1, 2}}),
            "measured fidelity 0.500 on wide+tiny that take layers themselves is below 0.900");
}

TEST(ReasonText, OfALikelyRefusalSaysWhatTheTestFramesShowed) {
  EXPECT_EQ(text_of({.kind = Kind::kLikelyRefused, .fidelity = 0.931, .target = 0.9, .loss = 0.04}),
            "measured fidelity 0.931 leaves too little: the frames that judge showed 0.040 less for front");
  EXPECT_EQ(text_of({.kind = Kind::kLikelyRefused, .fidelity = 0.931, .low = 0.92, .models = {1}, .loss = 0.04}),
            "measured fidelity 0.931 (its frames support 0.920) on a wide that takes layers itself leaves too little: "
            "the frames "
            "that judge showed 0.040 less for front");
  EXPECT_EQ(
      text_of({.kind = Kind::kLikelyRefused, .fidelity = 0.931, .target = 0.9, .near_copy = true}),
      "measured fidelity 0.931 is hardly better than that of a share that the frames that judge refused, and saves "
      "nearly as much");
  EXPECT_EQ(
      text_of({.kind = Kind::kNear, .fidelity = 0.935, .target = 0.9, .loss = 0.04}),
      "measured fidelity 0.935 is near 0.900 plus 0.040 that the frames that judge showed less, another choice is "
      "better");
}

TEST(ReasonText, WithoutAMeasurementNamesTheR2) {
  EXPECT_EQ(text_of({.kind = Kind::kNotMeasured, .target = 0.9, .r2 = 0.97}),
            "not measured: nothing of front can be compared on these frames; R2 0.970");
  EXPECT_EQ(text_of({.kind = Kind::kNotMeasured, .target = 0.98, .models = {1}, .r2 = 0.97}),
            "not measured on a wide that takes layers itself: nothing of front can be compared on these frames; R2 "
            "0.970 is below 0.980");
}

TEST(ReasonText, WithTooLittleEvidenceNamesWhatTheUserCanDo) {
  EXPECT_EQ(text_of({.kind = Kind::kTooLittleEvidence, .detections = 8, .wanted = 30}),
            "not tried: front finds 8 objects on the frames that judge, 30 wanted: --min-evidence, --accept-unmeasured "
            "front");
  EXPECT_EQ(text_of({.kind = Kind::kTooLittleEvidence, .detections = 1, .wanted = 30}),
            "not tried: front finds 1 object on the frames that judge, 30 wanted: --min-evidence, --accept-unmeasured "
            "front");
  EXPECT_EQ(text_of({.kind = Kind::kTooLittleEvidence, .wanted = 30}),
            "not tried: front finds nothing on the frames that judge, 30 wanted: --min-evidence, --accept-unmeasured "
            "front");
}

TEST(ReasonText, OfWhatWasNotTriedSaysWhyNot) {
  EXPECT_EQ(text_of({.kind = Kind::kOutOfTrials, .max_trials = 24}),
            "not tried: --max-trials 24 reached for this pair");
  EXPECT_EQ(text_of({.kind = Kind::kOutOfTrials, .max_trials = 24}, {1, 2}),
            "not tried: --max-trials 24 reached for these donors mixed");
  EXPECT_EQ(text_of({.kind = Kind::kOutOfTime}), "not tried: --max-minutes reached");
  EXPECT_EQ(text_of({.kind = Kind::kModelsFit}), "not tried: the models fit into the budget as they are");
  EXPECT_EQ(text_of({.kind = Kind::kReceiverTakesAnother}), "not tried: front already takes a better share");
  EXPECT_EQ(text_of({.kind = Kind::kDonorTakes, .models = {1}}), "not tried: its donor wide takes layers itself");
  EXPECT_EQ(text_of({.kind = Kind::kReceiverGives, .models = {2}}), "not tried: front gives layers to tiny");
  EXPECT_EQ(text_of({.kind = Kind::kNoBetterChoice}), "not tried: no choice with it is better");
  EXPECT_EQ(text_of({.kind = Kind::kNotComputable, .problem = "the maps differ"}),
            "cannot be computed: the maps differ");
}

TEST(ReasonText, OfAChosenCandidateSaysForWhat) {
  EXPECT_EQ(text_of({.kind = Kind::kChosenLargestSaving}), "largest saving that keeps the fidelity");
  EXPECT_EQ(text_of({.kind = Kind::kChosenBestFidelity}), "best worst fidelity within the budget");
  EXPECT_EQ(text_of({}), "");
}

}  // namespace
}  // namespace repsim::report
