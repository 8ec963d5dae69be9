#include "repsim/inspection.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Inspection sample() {
  Inspection model;
  model.name = "plain";
  model.path = "models/plain.pt";
  model.sha256 = std::string(64, 'a');
  model.file_bytes = 12345;
  model.parameters = 3000;
  model.parameter_bytes = 12000;
  model.input.width = 320;
  model.input.height = 240;
  model.input_source = "flags";
  model.batchable = true;
  model.output.format = model::OutputFormat::kYolov8;
  model.output_structure = "Float[1,5,10]";
  model.format_reason = "one tensor of 4 + 1 rows";
  model.operator_libraries = {{"ops.so", {"my::halve", "my::nms"}}};
  model.program.unused_parameter_bytes = 16;
  graph::Layer first{"stem.0", "conv", {16, 60, 80}, "float32", 0, 448, 1792, 1'234'567, {}};
  graph::Layer second{"stem.1:add", "add", {16, 60, 80}, "float32", 1, 0, 0, 0, {0}};
  model.program.layers = {first, second};
  model.program.ops.resize(2);
  model.program.ops[0].kind = "aten::conv2d";
  model.program.ops[0].layer = 0;
  model.program.ops[0].flops = 1'234'567;
  model.program.ops[1].kind = "aten::add";
  model.program.ops[1].layer = 1;
  model.program.ops[1].inputs = {0};
  model.program.results = {1};
  model.program.rejected_layers = {
      {"view", "view of another layer"}, {"exp", "constant"}, {"view", "view of another layer"}};
  return model;
}

TEST(Inspection, IsATextWithATableOfLayers) {
  EXPECT_EQ(to_text(sample()),
            "plain  models/plain.pt\n"
            "  file        12.3 kB, sha256 aaaaaaaaaaaaaaaa...\n"
            "  parameters  3000 (12.0 kB; 16 B of it never read by forward)\n"
            "  work        1.2 MFLOPs per frame (a multiply-add counts as 2)\n"
            "  input       320x240 bgr, stretch, tensor nchw float32 (from flags), any batch size\n"
            "  output      Float[1,5,10]\n"
            "  format      yolov8: one tensor of 4 + 1 rows\n"
            "  needs       ops.so: my::halve my::nms\n"
            "\n"
            "2 layers in execution order (shape per frame):\n"
            "\n"
            "name        kind        shape          parameters      MFLOPs\n"
            "stem.0      conv        16x60x80              448        1.23\n"
            "stem.1:add  add         16x60x80                0        0.00\n"
            "\n"
            "No layers, and why:\n"
            "  exp: constant\n"
            "  view: view of another layer (2 times)\n");
}

TEST(Inspection, NamesOpsAndInputsOfEveryLayerInJson) {
  const Json json = to_json(sample());
  EXPECT_EQ(json["layers"][0]["ops"], Json({"aten::conv2d"}));
  EXPECT_EQ(json["layers"][1]["inputs"], Json({"stem.0"}));
  EXPECT_EQ(json["flops"], 1'234'567);
  EXPECT_EQ(json["not_layers"].size(), 3U);
  EXPECT_EQ(json["operator_libraries"][0]["library"], "ops.so");
}

TEST(Inspection, SaysNothingOfTheGraphOfAModelThatIsCarriedWhole) {
  Inspection model = sample();
  model.rewritable = false;
  model.opaque_reason = "draws random numbers";
  model.program = {};
  const std::string text = to_text(model);
  EXPECT_THAT(text, HasSubstr("layers      none: the model is opaque, because it draws random numbers\n"));
  EXPECT_THAT(text, HasSubstr("parameters  3000 (12.0 kB)\n"));
  EXPECT_THAT(text, Not(HasSubstr("MFLOPs")));
  const Json json = to_json(model);
  for (const char* key : {"unused_parameter_bytes", "flops", "peak_activation_bytes"}) EXPECT_TRUE(json[key].is_null());
}

}  // namespace
}  // namespace repsim::report
