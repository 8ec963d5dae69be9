#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error_matcher.hpp"
#include "report/golden.hpp"
#include "report/json_schema.hpp"
#include "report/sample_plan.hpp"
#include "repsim/report.hpp"

namespace repsim::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

Plan sample_plan_with_accuracy() {
  Plan plan = sample_plan();
  plan.models[0].accuracy = Accuracy{0.814, 0.8, {0.79, 0.83}, {0.77, 0.82}, 77, 512};
  return plan;
}

/// The ground truth has no box on the frames that judge.
Plan sample_plan_without_boxes() {
  Plan plan = sample_plan();
  plan.models[0].accuracy = Accuracy{};
  plan.models[0].accuracy->frames = 77;
  return plan;
}

test::JsonSchema plan_schema() {
  return test::JsonSchema(read_json(std::string(REPSIM_SOURCE_DIR) + "/configs/plan.schema.json"));
}

/// Pointers to all objects (or all values) of a plan, the free-form settings left out.
void collect(const Json& json, const Json::json_pointer& at, bool objects_only,
             std::vector<Json::json_pointer>& found) {
  if (at.to_string() == "/settings") return;
  if (json.is_object() || !objects_only) found.push_back(at);
  if (json.is_object()) {
    for (const auto& [key, member] : json.items()) collect(member, at / key, objects_only, found);
  } else if (json.is_array()) {
    for (std::size_t i = 0; i < json.size(); ++i) collect(json[i], at / i, objects_only, found);
  }
}

TEST(PlanJson, IsStableText) { test::expect_golden("plan.json", repsim::to_text(to_json(sample_plan()))); }

TEST(PlanJson, ConformsToItsSchema) {
  EXPECT_THAT(plan_schema().complaints(to_json(sample_plan())), IsEmpty());
  EXPECT_THAT(plan_schema().complaints(to_json(sample_plan_with_accuracy())), IsEmpty());
  EXPECT_THAT(plan_schema().complaints(to_json(sample_plan_without_boxes())), IsEmpty());
  EXPECT_THAT(plan_schema().complaints(to_json(sample_plan_without_shares())), IsEmpty());
  EXPECT_THAT(plan_schema().complaints(to_json(sample_plan_of_mixed_donors())), IsEmpty());
  EXPECT_THAT(plan_schema().complaints(to_json(sample_plan_of_shared_weights())), IsEmpty());
}

TEST(PlanJson, HasNoNumbersForAnAccuracyThatIsUndefined) {
  const Json accuracy = to_json(sample_plan_without_boxes())["models"][0]["accuracy"];
  for (const char* key : {"own", "merged", "own_interval", "merged_interval"})
    EXPECT_TRUE(accuracy[key].is_null()) << key;
  EXPECT_EQ(accuracy["truth_boxes"], 0);
}

TEST(PlanJson, ComesBackAsItWasWritten) {
  for (const Plan& plan :
       {sample_plan(), sample_plan_with_accuracy(), sample_plan_without_boxes(), sample_plan_without_shares(),
        sample_plan_of_mixed_donors(), sample_plan_of_shared_weights()}) {
    const Json written = to_json(plan);
    const Plan read = plan_from_json(parse_json(repsim::to_text(written), "plan.json"), "plan.json");
    EXPECT_EQ(repsim::to_text(to_json(read)), repsim::to_text(written));
  }
}

TEST(PlanJson, SaysNothingOfSharedWeightsWhereThereAreNone) {
  EXPECT_FALSE(to_json(sample_plan())["shares"][0].contains("weights"));
  EXPECT_FALSE(to_json(sample_plan())["candidates"][0].contains("weights"));
  const Json weights = to_json(sample_plan_of_shared_weights())["shares"][0]["weights"];
  EXPECT_EQ(weights[1], Json::parse(R"({"layer": "backbone.stage1.conv", "donor": "mobile",
                                        "donor_layer": "backbone.body.1.conv", "rank": 3, "output_variance": 0.0098})"));
}

TEST(PlanJson, ComesBackWithTheValuesOfThePlan) {
  // The text could come back although a field was dropped on both ways; so look at fields of every struct too.
  const Plan plan = sample_plan_with_accuracy();
  const Plan read = plan_from_json(to_json(plan), "plan.json");
  EXPECT_EQ(read.settings, plan.settings);
  EXPECT_EQ(read.selection_frames, plan.selection_frames);
  EXPECT_EQ(read.holdout_frames, plan.holdout_frames);
  EXPECT_EQ(read.inputs[0].spec, plan.inputs[0].spec);
  EXPECT_EQ(read.models[0].output.classes, plan.models[0].output.classes);
  EXPECT_EQ(read.models[0].fidelity.interval.low, 0.901346);
  EXPECT_EQ(read.models[0].accuracy.value_or(Accuracy{}).truth_boxes, 512);
  EXPECT_EQ(read.models[1].accuracy, std::nullopt);
  EXPECT_EQ(read.shares[0].replaced[1].adapter, "resize+linear");
  EXPECT_EQ(read.shares[0].removed_layers, plan.shares[0].removed_layers);
  EXPECT_EQ(read.candidates[1].reason, plan.candidates[1].reason);
  EXPECT_EQ(read.candidates[2].measured_fidelity, std::nullopt);
  EXPECT_EQ(read.after.peak_activation_bytes, 8500000);
  EXPECT_EQ(read.after.latency_estimate_ns, 11095678);
  EXPECT_EQ(read.deduplicated.value_or(Totals{}).bytes, 1086800);
  EXPECT_EQ(read.candidates[0].latency_saved_ns, 1250000);
  EXPECT_EQ(read.candidates[0].memory_saved, 874400);
  EXPECT_EQ(read.candidates[1].r2, 0.91);
  EXPECT_EQ(read.candidates[1].predicted_interval->low, 0.8);
  EXPECT_EQ(read.candidates[1].predicted_interval->high, 0.93);
  EXPECT_EQ(read.candidates[0].predicted_interval, std::nullopt);
  EXPECT_EQ(read.bundle_sha256, plan.bundle_sha256);
}

TEST(PlanJson, RoundsFidelitiesTo6DecimalsAndLeavesSettingsAlone) {
  const Json json = to_json(sample_plan());
  EXPECT_EQ(json["models"][0]["fidelity"]["value"].dump(), "0.921346");
  EXPECT_EQ(json["shares"][0]["replaced"][0]["similarity"].dump(), "0.812346");
  EXPECT_EQ(json["settings"]["scale"].dump(), "0.00392156862745098");
  EXPECT_EQ(json["inputs"][0]["spec"]["scale"].get<double>(), 1.0 / 255.0);
}

TEST(PlanJson, KeepsThreeOrdersBelowTheRoundingOfADifference) {
  Plan plan = sample_plan();
  plan.models[0].fidelity.max_abs_difference = 1.23456789e-9;
  EXPECT_EQ(to_json(plan)["models"][0]["fidelity"]["max_abs_difference"].get<double>(), 1.23457e-9);
}

TEST(PlanJson, WritesNullForAnUndefinedSimilarity) {
  const Json json = to_json(sample_plan());
  EXPECT_TRUE(json["shares"][0]["replaced"][2]["similarity"].is_null());
  EXPECT_TRUE(json["candidates"][2]["similarity"].is_null());
  EXPECT_TRUE(std::isnan(plan_from_json(json, "plan.json").shares[0].replaced[2].similarity));
}

TEST(PlanJson, RefusesAMissingKeyWhereverItIs) {
  const Json plan = to_json(sample_plan_with_accuracy());
  const test::JsonSchema schema = plan_schema();
  std::vector<Json::json_pointer> objects;
  collect(plan, Json::json_pointer(), true, objects);
  for (const auto& object : objects) {
    for (const auto& [key, member] : plan[object].items()) {
      const bool new_of_candidates = key == "flops_saved" && plan[object].contains("reason");
      const bool new_of_donors =
          key == "donors" || key == "layer_donors" || (key == "donor" && plan[object].contains("donor_layer"));
      static const std::set<std::string> kNew{
          "selection",    "judgements",      "latency_saved_ms",   "memory_saved", "latency_estimate_ms",
          "deduplicated", "correction_rank", "side_inputs",        "r2",           "predicted_interval",
          "kept",         "false_alarms",    "boxes_without_area", "worst_frames", "evidence",
          "torch"};
      if (new_of_candidates || new_of_donors || kNew.count(key) > 0) continue;  // plans of earlier versions lack it
      SCOPED_TRACE(object.to_string() + " without " + key);
      Json damaged = plan;
      damaged[object].erase(key);
      EXPECT_THAT(schema.complaints(damaged), Not(IsEmpty()));
      const std::string text = test::error_text([&] { (void)plan_from_json(damaged, "old.json"); });
      EXPECT_THAT(text, HasSubstr("input: old.json: "));
      EXPECT_THAT(text, HasSubstr(key));
    }
  }
}

TEST(PlanJson, KeepsADonorOfASingleLayer) {
  Plan plan = sample_plan();
  plan.shares[0].replaced[1].donor = "plain";
  const Json json = to_json(plan);
  EXPECT_THAT(plan_schema().complaints(json), IsEmpty());
  const Share share = plan_from_json(json, "p.json").shares[0];
  EXPECT_EQ(donor_of(share, share.replaced[0]), "mobile");
  EXPECT_EQ(donor_of(share, share.replaced[1]), "plain");
}

// A convolution that is solved again on a donor of fewer channels has fewer weights than it had.
TEST(PlanJson, ReadsAShareThatAddsLessThanNothing) {
  Plan plan = sample_plan();
  plan.shares[0].bytes_added = -1296;
  const Json json = to_json(plan);
  EXPECT_THAT(plan_schema().complaints(json), IsEmpty());
  EXPECT_EQ(plan_from_json(json, "p.json").shares[0].bytes_added, -1296);
}

TEST(PlanJson, ReadsPlansOfBefore) {
  Json plan = to_json(sample_plan());
  plan["frames"].erase("selection");
  plan["frames"].erase("judgements");
  for (Json& candidate : plan["candidates"]) {
    for (const char* key :
         {"flops_saved", "layer_donors", "latency_saved_ms", "memory_saved", "r2", "predicted_interval"})
      candidate.erase(key);
  }
  plan["totals"].erase("deduplicated");
  for (const char* which : {"before", "after"}) plan["totals"][which].erase("latency_estimate_ms");
  plan["shares"][0].erase("donors");
  for (Json& replaced : plan["shares"][0]["replaced"]) replaced.erase("donor");
  EXPECT_THAT(plan_schema().complaints(plan), IsEmpty());
  const Plan read = plan_from_json(plan, "old.json");
  EXPECT_EQ(read.candidates[0].bytes_saved, 374400);
  EXPECT_EQ(read.candidates[0].memory_saved, std::nullopt);
  EXPECT_FALSE(read.deduplicated.has_value());
  EXPECT_EQ(read.before.latency_estimate_ns, std::nullopt);
  EXPECT_THAT(read.candidates[0].layer_donors, ElementsAre("mobile", "mobile"));
  EXPECT_THAT(read.shares[0].donors, ElementsAre("mobile"));
  for (const Replaced& replaced : read.shares[0].replaced) EXPECT_EQ(replaced.donor, "mobile");
}

TEST(PlanJson, SaysWhichDonorGivesWhichLayer) {
  const Json json = to_json(sample_plan_of_mixed_donors());
  EXPECT_EQ(json["shares"][0]["donor"], "mobile");
  EXPECT_EQ(json["shares"][0]["donors"], Json({"mobile", "tiny"}));
  EXPECT_EQ(json["shares"][0]["replaced"][2]["donor"], "tiny");
  EXPECT_EQ(json["candidates"][0]["layer_donors"], Json({"mobile", "mobile", "tiny"}));
  const Plan read = plan_from_json(json, "plan.json");
  EXPECT_EQ(read.shares[0].replaced[2].donor, "tiny");
  EXPECT_EQ(read.candidates[0].layer_donors[2], "tiny");
}

TEST(PlanJson, RefusesAnUnknownKeyWhereverItIs) {
  const Json plan = to_json(sample_plan_with_accuracy());
  const test::JsonSchema schema = plan_schema();
  std::vector<Json::json_pointer> objects;
  collect(plan, Json::json_pointer(), true, objects);
  for (const auto& object : objects) {
    SCOPED_TRACE(object.to_string());
    Json damaged = plan;
    damaged[object]["surplus"] = 1;
    EXPECT_THAT(schema.complaints(damaged), Not(IsEmpty()));
    EXPECT_THAT(test::error_text([&] { (void)plan_from_json(damaged, "old.json"); }), HasSubstr("surplus"));
  }
}

TEST(PlanJson, RefusesAWrongTypeWhereverItIs) {
  const Json plan = to_json(sample_plan_with_accuracy());
  const test::JsonSchema schema = plan_schema();
  std::vector<Json::json_pointer> values;
  collect(plan, Json::json_pointer(), false, values);
  for (const auto& value : values) {
    SCOPED_TRACE(value.to_string());
    Json damaged = plan;
    damaged[value] = plan[value].is_boolean() ? Json("true") : Json(true);
    EXPECT_THAT(schema.complaints(damaged), Not(IsEmpty()));
    EXPECT_THAT(test::error_text([&] { (void)plan_from_json(damaged, "old.json"); }), HasSubstr("input: old.json"));
  }
}

TEST(PlanJson, RefusesANegativeSizeWhereverItIs) {
  const Json plan = to_json(sample_plan_with_accuracy());
  const test::JsonSchema schema = plan_schema();
  std::vector<Json::json_pointer> values;
  collect(plan, Json::json_pointer(), false, values);
  for (const auto& value : values) {
    const std::string path = value.to_string();
    const bool candidate_saves = path.find("/candidates/") == 0 && value.back().ends_with("_saved");  // may be negative
    const bool refit_adds = path.ends_with("/bytes_added");  // negative: a refit on fewer channels
    if (!plan[value].is_number_integer() || candidate_saves || refit_adds || path == "/schema_version") continue;
    SCOPED_TRACE(value.to_string());
    Json damaged = plan;
    damaged[value] = -1;
    EXPECT_THAT(schema.complaints(damaged), Not(IsEmpty()));
    EXPECT_THAT(test::error_text([&] { (void)plan_from_json(damaged, "old.json"); }), HasSubstr("is negative"));
  }
}

TEST(PlanJson, RefusesUnknownWordsAndListsOfWrongLength) {
  const auto error_with = [](const char* pointer, const Json& value) {
    Json json = to_json(sample_plan());
    json[Json::json_pointer(pointer)] = value;
    return test::error_text([&] { (void)plan_from_json(json, "p.json"); });
  };
  EXPECT_THAT(error_with("/models/0/output/format", "auto"), HasSubstr("models[0].output.format"));
  EXPECT_THAT(error_with("/inputs/0/spec/resize", "strech"), HasSubstr("did you mean 'stretch'?"));
  EXPECT_THAT(error_with("/inputs/0/spec/mean", Json::array({1, 2})), HasSubstr("needs 3 numbers"));
  EXPECT_THAT(error_with("/models/0/input_source", "elsewhere"), HasSubstr("models[0].input_source"));
  EXPECT_THAT(error_with("/candidates/0/layer_donors", Json::array({"mobile"})),
              HasSubstr("candidates[0].layer_donors"));
  EXPECT_THAT(error_with("/shares/0/replaced/0/adapter", "conv"), HasSubstr("shares[0].replaced[0].adapter"));
}

TEST(PlanJson, KeepsTheOptionsOfSsdFormats) {
  Plan plan = sample_plan();
  model::OutputSpec& spec = plan.models[0].output;
  spec.format = model::OutputFormat::kSsd;
  spec.ssd = {model::ScoreKind::kLogits, model::Background::kLast, std::nullopt, {0.1, 0.3}};
  plan.models[1].output = spec;
  plan.models[1].output.ssd.priors = model::Priors{{{8, 12.5}, {32}}, {8, 16}, true};
  const Json json = to_json(plan);
  EXPECT_THAT(plan_schema().complaints(json), IsEmpty());
  const Plan read = plan_from_json(json, "p.json");
  for (const std::size_t i : {0U, 1U}) EXPECT_EQ(read.models[i].output.ssd, plan.models[i].output.ssd);
  Json without = json;
  without["models"][0]["output"].erase("background");
  EXPECT_THAT(test::error_text([&] { (void)plan_from_json(without, "p.json"); }),
              HasSubstr("models[0].output.background"));
}

TEST(PlanJson, SchemaKnowsEveryFormat) {
  std::vector<std::string> names = model::output_format_names();
  names.erase(names.begin());  // a plan states what was found, never auto
  const Json schema = read_json(std::filesystem::path(REPSIM_SOURCE_DIR) / "configs" / "plan.schema.json");
  EXPECT_EQ(schema["definitions"]["output_spec"]["properties"]["format"]["enum"], Json(names))
      << "scripts/update_schemas.py writes it";
}

/// Adds the keywords of a schema and of the schemas in it.
void collect_keywords(const Json& schema, std::set<std::string>& keywords) {
  for (const auto& [keyword, rule] : schema.items()) {
    keywords.insert(keyword);
    if (keyword == "properties" || keyword == "definitions") {
      for (const auto& [name, inner] : rule.items()) collect_keywords(inner, keywords);
    } else if (keyword == "items") {
      collect_keywords(rule, keywords);
    } else if (keyword == "oneOf" || keyword == "anyOf") {
      for (const Json& inner : rule) collect_keywords(inner, keywords);
    }
  }
}

// A keyword of a later draft would pass unnoticed: whoever checks by draft 7 skips it.
TEST(Schemas, StateDraft7AndUseItsKeywordsOnly) {
  const std::set<std::string> draft7{"$schema",
                                     "$ref",
                                     "definitions",
                                     "title",
                                     "description",
                                     "default",
                                     "examples",
                                     "type",
                                     "const",
                                     "enum",
                                     "pattern",
                                     "minimum",
                                     "maximum",
                                     "exclusiveMinimum",
                                     "exclusiveMaximum",
                                     "minItems",
                                     "maxItems",
                                     "required",
                                     "uniqueItems",
                                     "items",
                                     "properties",
                                     "minLength",
                                     "minProperties",
                                     "oneOf",
                                     "anyOf",
                                     "additionalProperties"};
  for (const char* name : {"plan.schema.json", "repsim.schema.json"}) {
    const Json schema = read_json(std::filesystem::path(REPSIM_SOURCE_DIR) / "configs" / name);
    EXPECT_EQ(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    std::set<std::string> keywords;
    collect_keywords(schema, keywords);
    EXPECT_THAT(keywords, testing::IsSubsetOf(draft7)) << name;
  }
}

TEST(Schemas, AcceptTheShippedConfig) {
  const std::filesystem::path configs = std::filesystem::path(REPSIM_SOURCE_DIR) / "configs";
  const test::JsonSchema schema(read_json(configs / "repsim.schema.json"));
  Json config = read_json(configs / "demo.json");
  EXPECT_THAT(schema.complaints(config), IsEmpty());
  config["models"][0]["input"]["color"] = "rbg";
  EXPECT_THAT(schema.complaints(config), Not(IsEmpty()));
}

TEST(PlanJson, SaysWhichSchemaVersionItReads) {
  Json json = to_json(sample_plan());
  json["schema_version"] = 2;
  json["a key of version 2"] = 1;  // the version is looked at first
  EXPECT_THAT(test::error_text([&] { (void)plan_from_json(json, "p.json"); }),
              HasSubstr("p.json: schema_version: is 2, this repsim reads 1"));
}

TEST(SimilarityJson, HasNamesRoundedValuesAndNullWhereUndefined) {
  similarity::Matrix matrix = sample_matrix(2, 3);
  matrix.values[1] = 0.12345678;
  const Json json = to_json(std::vector<similarity::Matrix>{matrix}, 16, 176);
  EXPECT_EQ(json["minibatch"], 16);
  EXPECT_EQ(json["frames"], 176);
  const Json& first = json["matrices"][0];
  EXPECT_EQ(first["row_model"], "plain");
  EXPECT_EQ(first["cols"].size(), 3U);
  ASSERT_EQ(first["values"].size(), 2U);
  ASSERT_EQ(first["values"][0].size(), 3U);
  EXPECT_TRUE(first["values"][0][0].is_null());
  EXPECT_EQ(first["values"][0][1].get<double>(), 0.123457);
  EXPECT_NO_THROW((void)repsim::to_text(json));
}

}  // namespace
}  // namespace repsim::report
