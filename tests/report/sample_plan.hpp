#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "repsim/report_page.hpp"

namespace repsim::report {

inline ModelEntry sample_model(const std::string& name, std::int64_t parameters, double fidelity) {
  ModelEntry model;
  model.name = name;
  model.path = "models/" + name + ".pt";
  model.sha256 = std::string(62, 'a') + "01";
  model.input.width = 320;
  model.input.height = 240;
  model.input_source = "archive";
  model.output.format = model::OutputFormat::kBoxesScoresLabels;
  model.output.boxes = model::BoxUnits::kRelative;
  model.output.classes = {"person"};
  model.format_reason = "a tuple of boxes [N,4], scores [N] and labels [N]";
  model.run_method = "run_" + name;
  model.layers = 61;
  model.parameters = parameters;
  model.bytes = 4 * parameters;
  model.flops = 3000 * parameters;
  model.fidelity.value = fidelity;
  model.fidelity.interval = {fidelity - 0.02, fidelity + 0.015};
  model.fidelity.jpeg95 = 0.9671234567;
  model.fidelity.jpeg80 = 0.912;
  model.fidelity.shift_one_pixel = 0.857;
  model.fidelity.frames = 77;
  model.fidelity.own_detections = 431;
  model.fidelity.kept = 420;
  model.fidelity.false_alarms = 5;
  model.fidelity.worst_frames = {{640, 2, 1}, {700, 1, 0}};
  model.evidence = ModelEvidence{.selection = {76, 402, 0}, .test = {77, 431, 0}, .wanted = 30};
  model.fidelity.max_abs_difference = 0.1234567891;
  return model;
}

inline Share sample_share() {
  Share share;
  share.receiver = "plain";
  share.donor = "mobile";
  share.donors = {"mobile"};
  share.replaced = {
      {"backbone.stage2", "mobile", "backbone.body.5.project", 0.8123456789, "linear", false, 0.08},
      {"backbone.stage3", "mobile", "backbone.body.9.project", 0.75, "resize+linear", true, 0.12},
      {"backbone.pool", "mobile", "backbone.body.9.pool", std::numeric_limits<double>::quiet_NaN(), "none", true, 0}};
  share.auxiliary_inputs = {{"mobile", "backbone.body.2.project"}};
  share.removed_layers = {"backbone.stem", "backbone.stage1", "backbone.stage2", "backbone.stage3", "backbone.pool"};
  share.bytes_removed = 400000;
  share.bytes_added = 25600;
  share.flops_removed = 90000000;
  share.flops_added = 1200000;
  share.predicted_fidelity = 0.915;
  share.measured_fidelity = 0.9213456789;
  return share;
}

inline std::vector<Candidate> sample_candidates() {
  std::vector<Candidate> candidates{{"plain",
                                     "mobile",
                                     {"backbone.stage2", "backbone.stage3"},
                                     {"mobile", "mobile"},
                                     {"backbone.body.5.project", "backbone.body.9.project"},
                                     0.75,
                                     374400,
                                     88800000,
                                     0.915,
                                     0.9213456789,
                                     true,
                                     "the largest saving that keeps fidelity 0.90"},
                                    {"plain",
                                     "mobile",
                                     {"neck"},
                                     {"mobile"},
                                     {"neck"},
                                     0.6,
                                     450000,
                                     95000000,
                                     0.88,
                                     0.84,
                                     false,
                                     "fidelity 0.840 is below 0.90"},
                                    {"mobile",
                                     "plain",
                                     {"backbone.body.9.project"},
                                     {"plain"},
                                     {"backbone.stage3"},
                                     std::numeric_limits<double>::quiet_NaN(),
                                     200000,
                                     60000000,
                                     0.8,
                                     std::nullopt,
                                     false,
                                     "predicted below 0.90"}};
  candidates[0].latency_saved_ns = 1250000;
  candidates[0].memory_saved = 874400;
  candidates[1].r2 = 0.91;
  candidates[1].predicted_interval = {0.8, 0.93};
  return candidates;
}

/// Two small detectors, the first of which takes its backbone from the second.
inline Plan sample_plan() {
  Plan plan;
  plan.tool_version = "0.1.0";
  plan.torch_version = "2.13.0";
  plan.settings_sha256 = std::string(62, 'b') + "02";
  plan.settings =
      Json::parse(R"({"models": [{"name": "plain"}, {"name": "mobile"}], "frames": {"count": 256, "holdout": 0.3},
                                  "merge": {"min_fidelity": 0.9, "refit": true}, "scale": 0.00392156862745098})");
  plan.video_path = "vtest.avi";
  plan.video_sha256 = std::string(62, 'c') + "03";
  plan.video_frames = 795;
  plan.calibration_frames = {0, 3, 6};
  plan.selection_frames = {7, 8};
  plan.holdout_frames = {9, 12};
  plan.judgements = 1;
  plan.models = {sample_model("plain", 168000, 0.9213456789), sample_model("mobile", 104000, 1.0)};
  plan.models[1].fidelity.bit_identical = true;
  plan.models[1].fidelity.interval = {1, 1};
  plan.models[1].fidelity.max_abs_difference = 0;
  plan.inputs = {{plan.models[0].input, {"plain", "mobile"}}};
  plan.shares = {sample_share()};
  plan.exact = {3, 1200, 2, 5000000};
  plan.candidates = sample_candidates();
  plan.before = {272000, 1088000, 816000000, 9000000, 12345678};
  plan.deduplicated = {271700, 1086800, 811000000, 9000000, 12300000};
  plan.after = {178400, 713600, 727200000, 8500000, 11095678};
  plan.bundle_bytes = 790000;
  plan.bundle_sha256 = std::string(62, 'd') + "04";
  return plan;
}

/// sample_plan() with a third model, which gives the pool.
inline Plan sample_plan_of_mixed_donors() {
  Plan plan = sample_plan();
  plan.models.push_back(sample_model("tiny", 9000, 1.0));
  plan.models[2].fidelity = plan.models[1].fidelity;
  plan.inputs[0].models.emplace_back("tiny");
  Share& share = plan.shares[0];
  share.donors = {"mobile", "tiny"};
  share.replaced[2] = {"backbone.pool", "tiny", "pool", 0.7, "resize", true, 0.2};
  plan.candidates[0].receiver_layers.emplace_back("backbone.pool");
  plan.candidates[0].layer_donors.emplace_back("tiny");
  plan.candidates[0].donor_layers.emplace_back("pool");
  return plan;
}

/// sample_plan() whose share is one of weights.
inline Plan sample_plan_of_shared_weights() {
  Plan plan = sample_plan();
  Share& share = plan.shares[0];
  share.replaced.clear();
  share.auxiliary_inputs.clear();
  share.removed_layers.clear();
  share.weights = {{"backbone.stem.conv", "mobile", "backbone.stem.conv", 0, 0.0012345678},
                   {"backbone.stage1.conv", "mobile", "backbone.body.1.conv", 3, 0.0098},
                   {"neck.conv", "mobile", "neck.conv", 12, 0.005}};
  share.flops_removed = 0;
  Candidate& candidate = plan.candidates[0];
  candidate.receiver_layers.clear();
  candidate.layer_donors.clear();
  candidate.donor_layers.clear();
  candidate.similarity = std::numeric_limits<double>::quiet_NaN();
  candidate.flops_saved = -share.flops_added;
  candidate.weights = Candidate::Weights{3, 15, 0.0098};
  return plan;
}

/// sample_plan() where no candidate keeps the asked fidelity, so that nothing is shared.
inline Plan sample_plan_without_shares() {
  Plan plan = sample_plan();
  plan.shares.clear();
  plan.exact = {};
  plan.deduplicated = plan.after = plan.before;
  plan.candidates[0].chosen = false;
  plan.candidates[0].measured_fidelity = 0.8799;
  plan.candidates[0].reason = "fidelity 0.879 is below 0.90";
  plan.models[0].fidelity = plan.models[1].fidelity;
  return plan;
}

/// Two pyramids of layers whose similarity falls with the difference in relative depth.
inline similarity::Matrix sample_matrix(std::size_t rows, std::size_t cols) {
  similarity::Matrix matrix{"plain", "mobile", {}, {}, {}};
  for (std::size_t i = 0; i < rows; ++i) {
    matrix.rows.push_back("backbone.stage" + std::to_string(4 * i / rows) + "." + std::to_string(i) +
                          ".branch_main.conv");
  }
  for (std::size_t j = 0; j < cols; ++j) {
    matrix.cols.push_back("backbone.body.stage" + std::to_string(5 * j / cols) + "." + std::to_string(j) +
                          ".project.conv");
  }
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < cols; ++j) {
      const double apart =
          static_cast<double>(i) / static_cast<double>(rows) - static_cast<double>(j) / static_cast<double>(cols);
      const double ripple = 0.06 * std::sin(static_cast<double>(7 * i + 3 * j));
      matrix.values.push_back(0.93 * std::exp(-5 * apart * apart) + ripple);
    }
  }
  if (!matrix.values.empty()) matrix.values[0] = std::numeric_limits<double>::quiet_NaN();
  return matrix;
}

/// The layers of sample_plan()'s models, and a config.
inline PageExtras sample_extras() {
  PageExtras extras;
  PageModel plain{"plain", {}}, mobile{"mobile", {}};
  for (const char* name : {"backbone.stem", "backbone.stage1", "backbone.stage2", "backbone.stage3", "backbone.pool",
                           "neck", "head.0", "head.1"})
    plain.layers.push_back({name, "conv", 1000, 2000});
  for (const char* name : {"backbone.body.1", "backbone.body.2.project", "backbone.body.5.project",
                           "backbone.body.9.project", "backbone.body.9.pool", "neck", "head"})
    mobile.layers.push_back({name, "conv", 500, 700});
  extras.models = {plain, mobile};
  extras.config = Json{{"video", "vtest.avi"}};
  return extras;
}

}  // namespace repsim::report
