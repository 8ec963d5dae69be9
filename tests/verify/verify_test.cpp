// Judging bundles read back from disk.
#include "repsim/verify.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error_matcher.hpp"
#include "base/temp_folder.hpp"
#include "fixtures/bundle_oracle.hpp"
#include "fixtures/fixtures.hpp"
#include "fixtures/splice_oracle.hpp"
#include "repsim/model_failure.hpp"

namespace repsim::verify {
namespace {

/// A bundle in a file, and all that it is checked with.
struct Checked {
  test::Opened opened;
  capture::Stores stores;
  test::TempFolder folder;
  BundleCheck check;

  Checked(test::Opened models, const std::vector<graph::Splice>& splices, std::int64_t frames)
      : opened(std::move(models)) {
    stores = test::picture_stores(opened.set, frames, 11);
    const auto loaded = opened.pointers();
    test::write_text(folder / "bundle.pt", bundle::write(opened.set, loaded, splices, "{}").bytes);
    check.bundle_path = (folder / "bundle.pt").string();
    for (std::size_t i = 0; i < loaded.size(); ++i) {
      const Head head{loaded[i]->spec.name, opened.outputs[i].spec,      *loaded[i]->spec.input, {},
                      opened.set.groups[i], opened.prepared[i].batchable};
      check.models.push_back({loaded[i], head});
    }
    check.set = &opened.set;
    check.frames = &stores;
  }
};

std::vector<Verdict> verdicts_of(const BundleCheck& check) {
  SilentProgress silent;
  return check_bundle(check, silent);
}

TEST(CheckBundle, WithoutSharesFindsEveryHeadIdentical) {
  const Checked checked(test::open_fixtures({"small", "wide", "list", "images"}), {}, 9);
  for (const Verdict& verdict : verdicts_of(checked.check)) {
    EXPECT_TRUE(verdict.fidelity.bit_identical);
    EXPECT_EQ(verdict.fidelity.value, 1);
    EXPECT_EQ(verdict.fidelity.max_abs_difference, 0);
    EXPECT_EQ(verdict.fidelity.frames, 9);
  }
}

TEST(CheckBundle, CountsTheOriginalsOwnDetections) {
  const Checked checked(test::open_fixtures({"small", "wide"}), {}, 5);
  const auto verdicts = verdicts_of(checked.check);
  EXPECT_GT(verdicts[0].fidelity.own_detections, 5);
  EXPECT_GT(verdicts[1].fidelity.own_detections, 5);
}

double intersection_over_union(const Detection& a, const Detection& b) {
  const double w = std::max(0.0, std::min(a.x2, b.x2) - std::max(a.x1, b.x1)),
               h = std::max(0.0, std::min(a.y2, b.y2) - std::max(a.y1, b.y1));
  const double both = w * h;
  return both / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - both);
}

/// Boxes of one frame after the score filter and a class-aware NMS, straight from the output tensors.
Detections naive_detections(const c10::IValue& output) {
  const auto& parts = output.toTupleRef().elements();
  const auto boxes = parts[0].toTensor().accessor<float, 3>();
  const auto scores = parts[1].toTensor().accessor<float, 2>();
  const auto labels = parts[2].toTensor().accessor<std::int64_t, 2>();
  Detections all;
  for (std::int64_t i = 0; i < scores.size(1); ++i) {
    if (scores[0][i] < 0.01F) continue;
    all.push_back({boxes[0][i][0], boxes[0][i][1], boxes[0][i][2], boxes[0][i][3], scores[0][i], labels[0][i]});
  }
  std::stable_sort(all.begin(), all.end(), [](const Detection& a, const Detection& b) { return a.score > b.score; });
  Detections kept;
  for (const Detection& one : all) {
    const bool covered = std::any_of(kept.begin(), kept.end(), [&](const Detection& better) {
      return better.label == one.label && intersection_over_union(better, one) > 0.45;
    });
    if (!covered) kept.push_back(one);
  }
  return kept;
}

/// AP50 in the words of docs/internals/contracts.md ("Fidelity"), a list of hits and misses at a time.
double naive_fidelity(const std::vector<Detections>& own, const std::vector<Detections>& found, double threshold) {
  struct Hit {
    double score;
    bool right;
  };
  std::vector<Hit> hits;
  double targets = 0;
  for (std::size_t frame = 0; frame < own.size(); ++frame) {
    std::vector<Detection> sure, ignored;
    for (const Detection& one : own[frame]) {
      if (one.score >= threshold) {
        sure.push_back(one);
      } else if (one.score >= threshold / 5) {
        ignored.push_back(one);
      }
    }
    targets += static_cast<double>(sure.size());
    std::vector<bool> taken(sure.size(), false);
    for (const Detection& one : found[frame]) {  // by score already
      int best = -1;
      for (std::size_t t = 0; t < sure.size(); ++t) {
        if (taken[t] || sure[t].label != one.label || intersection_over_union(sure[t], one) < 0.5) continue;
        if (best < 0 ||
            intersection_over_union(sure[t], one) > intersection_over_union(sure[static_cast<std::size_t>(best)], one))
          best = static_cast<int>(t);
      }
      if (best >= 0) {
        taken[static_cast<std::size_t>(best)] = true;
        hits.push_back({one.score, true});
        continue;
      }
      const bool meets_ignored = std::any_of(ignored.begin(), ignored.end(), [&](const Detection& other) {
        return other.label == one.label && intersection_over_union(other, one) >= 0.5;
      });
      if (!meets_ignored) hits.push_back({one.score, false});
    }
  }
  std::stable_sort(hits.begin(), hits.end(), [](const Hit& a, const Hit& b) { return a.score > b.score; });
  std::vector<double> recalls{0}, precisions{1};
  double right = 0;
  for (std::size_t i = 0; i < hits.size(); ++i) {
    right += hits[i].right ? 1 : 0;
    recalls.push_back(right / targets);
    precisions.push_back(right / static_cast<double>(i + 1));
  }
  double area = 0;
  for (std::size_t i = 1; i < recalls.size(); ++i) {
    area += (recalls[i] - recalls[i - 1]) *
            *std::max_element(precisions.begin() + static_cast<std::ptrdiff_t>(i), precisions.end());
  }
  return area;
}

TEST(CheckBundle, MeasuresTheFidelityOfASpliceAsDefined) {
  test::Opened opened = test::open_fixtures({"frozen_a", "frozen_b"});
  // The twin's layer, a little mixed up: neither identical nor lost.
  graph::Splice splice;
  splice.receiver = 0;
  const at::Tensor mixed = at::eye(12) + test::Random(1).tensor({12, 12}, 0.06);
  splice.replacements.push_back({{1, 1, 1}, {}, mixed.view({12, 12, 1, 1}).contiguous(), at::zeros({12})});
  const std::vector<graph::Splice> splices{splice};
  std::vector<Detections> own, merged;
  const capture::Stores stores = test::picture_stores(opened.set, 12, 11);
  for (std::int64_t i = 0; i < 12; ++i) {
    const c10::IValue image = test::input_of(stores[0], {i});
    own.push_back(naive_detections(test::run_file(opened.loaded[0].spec.path, image)));
    merged.push_back(naive_detections(test::spliced_output(opened, splice, {image})));
  }
  const Checked checked(std::move(opened), splices, 12);
  const Fidelity fidelity = verdicts_of(checked.check)[0].fidelity;
  const double expected = naive_fidelity(own, merged, 0.35);
  // The bundle runs sixteen frames at once, the oracle one: near-ties may fall either way.
  EXPECT_NEAR(fidelity.value.value_or(-1), expected, 0.01);
  EXPECT_GT(expected, 0.02);
  EXPECT_LT(expected, 0.99);
  EXPECT_FALSE(fidelity.bit_identical);
  EXPECT_GT(fidelity.max_abs_difference, 0);
  EXPECT_LE(fidelity.interval.low, fidelity.value);
  EXPECT_GE(fidelity.interval.high, fidelity.value);
}

TEST(CheckBundle, MeasuresRawOutputsByExplainedVariance) {
  test::Opened opened = test::open_fixtures({"tied", "shuffle"});
  graph::Splice splice;
  splice.receiver = 0;
  splice.replacements.push_back({{0, 1, 0}, {}, test::Random(2).tensor({8, 16, 1, 1}, 0.05), at::full({8}, 0.4)});
  const std::vector<graph::Splice> splices{splice};
  std::vector<at::Tensor> own, merged;
  const capture::Stores stores = test::picture_stores(opened.set, 6, 11);
  for (std::int64_t i = 0; i < 6; ++i) {
    const c10::IValue image = test::input_of(stores[0], {i});
    own.push_back(test::run_file(opened.loaded[0].spec.path, image).toTensor().to(at::kDouble));
    merged.push_back(test::spliced_output(opened, splice, {image}).toTensor().to(at::kDouble));
  }
  const at::Tensor o = at::cat(own), m = at::cat(merged);
  const double expected =
      std::max(0.0, 1 - (m - o).square().sum().item<double>() / (o - o.mean()).square().sum().item<double>());
  const Checked checked(std::move(opened), splices, 6);
  EXPECT_NEAR(verdicts_of(checked.check)[0].fidelity.value.value_or(-1), expected, 1e-4);
}

TEST(CheckBundle, ReportsAccuracyAgainstGroundTruth) {
  Checked checked(test::open_fixtures({"small", "wide"}), {}, 6);
  // The truth is what `small` finds surely: its own accuracy is 1, class 0 standing for the person.
  Truth truth{{}, {"person"}, "motchallenge"};
  const auto& indices = checked.stores[0].frames();
  for (std::int64_t i = 0; i < 6; ++i) {
    for (const Detection& one :
         naive_detections(test::run_file(checked.opened.loaded[0].spec.path, test::input_of(checked.stores[0], {i})))) {
      if (one.label == 0) truth.frames[indices[static_cast<std::size_t>(i)]].sure.push_back(one);
    }
  }
  checked.check.truth = truth;
  const auto accuracy = verdicts_of(checked.check)[0].accuracy;
  ASSERT_TRUE(accuracy.has_value());
  EXPECT_NEAR(accuracy->own.value_or(0), 1, 0.02);
  EXPECT_EQ(accuracy->own, accuracy->merged);
  EXPECT_EQ(accuracy->frames, 6);
}

TEST(CheckBundle, KnowsNoAccuracyWithoutBoxes) {
  Checked checked(test::open_fixtures({"small", "wide"}), {}, 2);
  checked.check.truth = Truth{{}, {"person"}, "motchallenge"};
  const auto accuracy = verdicts_of(checked.check)[0].accuracy;
  ASSERT_TRUE(accuracy.has_value());
  EXPECT_EQ(accuracy->own, std::nullopt);
  EXPECT_EQ(accuracy->merged, std::nullopt);
  EXPECT_EQ(accuracy->frames, 2);
}

Detection labelled(std::int64_t label) { return {0.1, 0.1, 0.2, 0.2, 1, label}; }

TEST(TruthTargets, AreTheHeadsClassesOfTheSameName) {
  const Truth truth{{{4, {{labelled(0), labelled(1), labelled(2)}, {labelled(2)}}}}, {"car", "dog", "person"}, "coco"};
  Head head;
  head.output.classes = {"person", "bicycle", "car"};
  const TruthTargets targets = truth_targets(truth, head, {3, 4}, 0);
  EXPECT_THAT(targets.labels, testing::ElementsAre(0, 2));
  EXPECT_EQ(targets.boxes, 2);
  EXPECT_TRUE(targets.targets[0].sure.empty());
  ASSERT_EQ(targets.targets[1].sure.size(), 2U);
  EXPECT_EQ(targets.targets[1].sure[0].label, 2);
  EXPECT_EQ(targets.targets[1].sure[1].label, 0);
  EXPECT_EQ(targets.targets[1].ignored.at(0).label, 0);
  head.output.classes.clear();
  EXPECT_THAT(truth_targets(truth, head, {4}, 0).labels, testing::ElementsAre(0, 1, 2));
}

TEST(TruthTargets, OfPersonsTakeTheGivenLabelWhereNoClassIsAPerson) {
  const Truth truth{{{4, {{labelled(0)}, {}}}}, {"person"}, "motchallenge"};
  Head head;
  head.output.classes = {"bicycle", "pedestrian"};
  EXPECT_THAT(truth_targets(truth, head, {4}, 1).labels, testing::ElementsAre(1));
  head.output.classes = {"bicycle", "person"};
  EXPECT_THAT(truth_targets(truth, head, {4}, 0).labels, testing::ElementsAre(1));
}

// A detection of a class that the ground truth does not have is not wrong.
TEST(TruthTargets, PrecisionIsThatOfTheirOwnClasses) {
  const Truth truth{{{0, {{labelled(0)}, {}}}}, {"car"}, "coco"};
  Head head;
  head.output.classes = {"person", "car"};
  const TruthTargets targets = truth_targets(truth, head, {0}, 0);
  EXPECT_EQ(targets.average_precision(std::vector<Detections>{{labelled(0), labelled(1)}}), 1);
  EXPECT_EQ(targets.average_precision(std::vector<Detections>{{labelled(0)}}), 0);
  EXPECT_EQ(truth_targets(truth, head, {1}, 0).average_precision(std::vector<Detections>{{}}), std::nullopt);
}

TEST(CheckBundle, GivesYardsticksOfChangedFrames) {
  Checked checked(test::open_fixtures({"small", "wide"}), {}, 8);
  capture::Stores other = test::picture_stores(checked.opened.set, 8, 12);  // other pictures altogether
  checked.check.perturbed.push_back({video::Perturbation::kJpeg95, test::picture_stores(checked.opened.set, 8, 11)});
  checked.check.perturbed.push_back({video::Perturbation::kJpeg80, std::move(other)});
  const Fidelity fidelity = verdicts_of(checked.check)[0].fidelity;
  EXPECT_EQ(fidelity.jpeg95, 1);
  EXPECT_LT(fidelity.jpeg80, 0.9);
}

TEST(CheckBundle, RefusesWhatIsNoBundleOfTheseModels) {
  Checked checked(test::open_fixtures({"small", "wide"}), {}, 2);
  checked.check.bundle_path = test::fixture_path("small").string();
  EXPECT_THAT(test::error_text([&] { (void)verdicts_of(checked.check); }), testing::StartsWith("input: "));
}

TEST(CheckBundle, NamesADamagedFile) {
  Checked checked(test::open_fixtures({"small", "wide"}), {}, 2);
  const std::string bytes = test::read_text(checked.check.bundle_path);
  test::write_text(checked.check.bundle_path, bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(test::error_text([&] { (void)verdicts_of(checked.check); }),
              testing::AllOf(testing::StartsWith("input: "), testing::HasSubstr(checked.check.bundle_path)));
}

TEST(ReadDetections, MapsBoxesToTheVideoFrame) {
  Head head;
  head.output.format = model::OutputFormat::kBoxesScoresLabels;
  head.output.boxes = model::BoxUnits::kRelative;
  head.input = test::fixture_input();
  head.to_frame = {2.0, 4.0, -0.5, 0.25};
  const c10::IValue output =
      c10::ivalue::Tuple::create({at::tensor({0.1, 0.2, 0.3, 0.4}, at::kFloat).view({1, 1, 4}),
                                  at::tensor({0.7}, at::kFloat).view({1, 1}), at::tensor({2}, at::kLong).view({1, 1})});
  const auto frames = read_detections(head, output, 1);
  ASSERT_EQ(frames.at(0).size(), 1U);
  EXPECT_NEAR(frames[0][0].x1, 2 * 0.1 - 0.5, 1e-6);
  EXPECT_NEAR(frames[0][0].y1, 4 * 0.2 + 0.25, 1e-6);
  EXPECT_NEAR(frames[0][0].x2, 2 * 0.3 - 0.5, 1e-6);
  EXPECT_NEAR(frames[0][0].y2, 4 * 0.4 + 0.25, 1e-6);
}

TEST(Measure, KnowsNoFidelityWhereBothFindNothing) {
  Head head;
  head.output.format = model::OutputFormat::kBoxesScoresLabels;
  head.output.boxes = model::BoxUnits::kRelative;
  head.input = test::fixture_input();
  const Forward silent_model = [](std::span<const std::int64_t>) -> c10::IValue {
    return c10::ivalue::Tuple::create({at::zeros({1, 3, 4}), at::full({1, 3}, 0.001), at::zeros({1, 3}, at::kLong)});
  };
  const Forward loud_model = [](std::span<const std::int64_t>) -> c10::IValue {
    return c10::ivalue::Tuple::create({at::tensor({0.0, 0.0, 1.0, 1.0}, at::kFloat).view({1, 1, 4}),
                                       at::full({1, 1}, 0.9), at::zeros({1, 1}, at::kLong)});
  };
  SilentProgress silent;
  const std::vector<std::int64_t> frames{3, 7};
  const Reference own = reference(head, silent_model, frames, silent);
  EXPECT_EQ(own.own_detections, 0);
  EXPECT_EQ(measure(head, own, silent_model, silent_model, frames, silent).fidelity, std::nullopt);
  EXPECT_EQ(measure(head, own, silent_model, loud_model, frames, silent).fidelity, 0);
}

/// A model of raw outputs that returns what `make` returns for the run's first frame.
Forward raw_model(const std::function<c10::IValue(std::int64_t)>& make) {
  return [make](std::span<const std::int64_t> positions) { return make(positions.front()); };
}

Head raw_head() {
  Head head;
  head.name = "m";
  head.output.format = model::OutputFormat::kTensor;
  head.input = test::fixture_input();
  return head;
}

// Frames 30 and 31 of a video are the positions 0 and 1.
TEST(Measure, NamesTheFrameOnWhichTheOutputChangesItsStructure) {
  const Head head = raw_head();
  SilentProgress silent;
  const std::vector<std::int64_t> frames{30, 31, 32};
  const Forward lists = raw_model([](std::int64_t position) -> c10::IValue {
    return c10::List<at::Tensor>(std::vector<at::Tensor>(position == 1 ? 2 : 1, at::ones({1, 4})));
  });
  const Forward types = raw_model(
      [](std::int64_t position) -> c10::IValue { return at::ones({1, 4}, position == 2 ? at::kLong : at::kFloat); });
  const auto text = [&](const Forward& model) {
    return test::error_text([&] { (void)measure(head, {}, model, model, frames, silent); });
  };
  EXPECT_THAT(text(lists),
              testing::HasSubstr("m: the model fails on frame 31 of the video: it returns 2 tensors (Float, Float) "
                                 "there and 1 tensor (Float) before"));
  EXPECT_THAT(text(types),
              testing::HasSubstr("m: the model fails on frame 32 of the video: it returns 1 tensor (Long) there"));
}

TEST(Measure, TellsTheMergedModelsFailureFromTheOriginals) {
  const Head head = raw_head();
  SilentProgress silent;
  const std::vector<std::int64_t> frames{30, 31};
  const Forward one = raw_model([](std::int64_t) -> c10::IValue { return at::ones({1, 4}); });
  const Forward two = raw_model(
      [](std::int64_t) -> c10::IValue { return c10::List<at::Tensor>({at::ones({1, 4}), at::ones({1, 4})}); });
  try {
    (void)measure(head, {}, one, two, frames, silent);
    ADD_FAILURE() << "no failure";
  } catch (const graph::ModelFailure& failure) {
    EXPECT_EQ(failure.scope(), graph::ModelFailure::Scope::kMerged);
  }
}

}  // namespace
}  // namespace repsim::verify
