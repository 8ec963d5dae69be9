// Forms of input: layout, element type, and what a failing forward is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error_matcher.hpp"
#include "fixtures/fixtures.hpp"

namespace repsim::model {
namespace {

using testing::HasSubstr;

InputSpec form(Layout layout, InputDtype dtype, InputKind kind = InputKind::kTensor) {
  InputSpec spec;
  spec.width = 5;
  spec.height = 3;
  spec.layout = layout;
  spec.dtype = dtype;
  spec.kind = kind;
  spec.scale = 1;
  return spec;
}

/// Four frames; every value of the stored pixels says where it is.
video::FrameStore numbered(const InputSpec& spec) {
  video::FrameStore store({0, 1, 2, 3}, spec);
  for (std::int64_t frame = 0; frame < 4; ++frame) {
    for (std::size_t i = 0; i < 45; ++i)
      store.pixels(frame)[i] = static_cast<std::uint8_t>(frame * 45 + static_cast<std::int64_t>(i));
  }
  return store;
}

double number_at(std::int64_t frame, std::int64_t channel, std::int64_t y, std::int64_t x) {
  return static_cast<double>(frame * 45 + (y * 5 + x) * 3 + channel);
}

/// What group_inputs makes of frames 3 and 1.
c10::IValue input_of(const InputSpec& spec) {
  capture::ModelSet set;
  set.specs = {spec};
  capture::Stores stores;
  stores.push_back(numbered(spec));
  const std::vector<int> groups{0};
  const std::vector<std::int64_t> positions{3, 1};
  return capture::group_inputs(set, stores, groups, positions).at(0);
}

class Forms : public testing::TestWithParam<std::tuple<Layout, InputDtype>> {};

TEST_P(Forms, HoldEveryPixelWhereTheyShould) {
  const auto [layout, dtype] = GetParam();
  const bool last = layout == Layout::kNhwc;
  const at::Tensor batch = input_of(form(layout, dtype)).toTensor();
  EXPECT_EQ(batch.scalar_type(), dtype == InputDtype::kUint8     ? at::kByte
                                 : dtype == InputDtype::kFloat16 ? at::kHalf
                                                                 : at::kFloat);
  ASSERT_EQ(batch.sizes(), last ? at::IntArrayRef({2, 3, 5, 3}) : at::IntArrayRef({2, 3, 3, 5}));
  EXPECT_TRUE(batch.is_contiguous());
  const std::int64_t frames[] = {3, 1};
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t c = 0; c < 3; ++c) {
      for (std::int64_t y = 0; y < 3; ++y) {
        for (std::int64_t x = 0; x < 5; ++x) {
          const at::Tensor value = last ? batch[b][y][x][c] : batch[b][c][y][x];
          ASSERT_EQ(value.item<double>(), number_at(frames[b], c, y, x));
        }
      }
    }
  }
  const auto list = input_of(form(layout, dtype, InputKind::kList)).toTensorVector();
  ASSERT_EQ(list.size(), 2U);
  for (std::int64_t b = 0; b < 2; ++b) EXPECT_TRUE(at::equal(list[static_cast<std::size_t>(b)], batch[b]));
}

INSTANTIATE_TEST_SUITE_P(, Forms,
                         testing::Combine(testing::Values(Layout::kNchw, Layout::kNhwc),
                                          testing::Values(InputDtype::kFloat32, InputDtype::kUint8,
                                                          InputDtype::kFloat16)),
                         [](const auto& info) {
                           return std::string(to_string(std::get<0>(info.param))) + "_" +
                                  to_string(std::get<1>(info.param));
                         });

TEST(Inputs, OfHalfPrecisionAreScaledInSinglePrecision) {
  InputSpec spec = form(Layout::kNchw, InputDtype::kFloat16), single = form(Layout::kNchw, InputDtype::kFloat32);
  spec.scale = single.scale = default_scale(InputDtype::kFloat16);
  spec.mean = single.mean = {0.3, 0.2, 0.1};
  EXPECT_TRUE(at::equal(input_of(spec).toTensor(), input_of(single).toTensor().to(at::kHalf)));
}

/// A model with this forward.
Loaded with_forward(const std::string& code, const InputSpec& input) {
  Loaded loaded;
  loaded.spec = {"m", "m.pt", input, {}};
  torch::jit::Module module("__torch__.m");
  module.register_parameter("w", at::ones({4, 3, 1, 1}), false);
  module.register_attribute("training", c10::BoolType::get(), false);
  module.define(code);
  loaded.module = std::move(module);
  loaded.module.eval();
  return loaded;
}

std::string remedy_of(const std::string& code, const InputSpec& input) {
  const auto error = test::error_of([&] { (void)graph::trace_run(with_forward(code, input)); });
  return error ? error->remedy() : "";
}

// Types by number, as no Python resolves names here: 0 uint8, 6 float32.
constexpr const char* kBytes = R"(
    def forward(self, x):
      assert x.dtype == 0
      return torch.conv2d(x.permute([0, 3, 1, 2]).to(6), self.w)
)";
constexpr const char* kList = R"(
    def forward(self, x: List[Tensor]):
      return torch.conv2d(torch.stack(x), self.w)
)";
constexpr const char* kSquare = R"(
    def forward(self, x):
      assert x.shape[2] == 320 and x.shape[3] == 320
      return torch.conv2d(x, self.w)
)";
constexpr const char* kSquareList = R"(
    def forward(self, x: List[Tensor]):
      assert x[0].shape[1] == 320 and x[0].shape[2] == 320
      return torch.conv2d(torch.stack(x), self.w)
)";
constexpr const char* kNever = R"(
    def forward(self, x):
      assert x.dim() == 7
      return torch.conv2d(x, self.w)
)";

TEST(FailingForward, IsToldAFormThatWorks) {
  const InputSpec plain = test::fixture_input();
  EXPECT_THAT(remedy_of(kBytes, plain), HasSubstr("forward works with --input m=64x48,nhwc,uint8"));
  EXPECT_THAT(remedy_of(kList, plain), HasSubstr("forward works with --input m=64x48,list"));
  EXPECT_THAT(remedy_of(kSquare, plain), HasSubstr("forward works with --input m=320x320:"));
  EXPECT_THAT(remedy_of(kSquareList, plain), HasSubstr("forward works with --input m=320x320,list"));
  EXPECT_THAT(remedy_of(kNever, plain), HasSubstr("check the input: --input m="));
}

// No size that repsim tries by itself: the archive states it.
TEST(FailingForward, IsToldTheSizeThatTheArchiveStates) {
  Loaded model = with_forward(R"(
    def forward(self, x):
      assert x.shape[2] == 176 and x.shape[3] == 208
      return torch.conv2d(x, self.w)
)",
                              test::fixture_input());
  const auto remedy = [&model] { return test::error_of([&model] { (void)graph::trace_run(model); }).value().remedy(); };
  EXPECT_THAT(remedy(), HasSubstr("check the input: --input m="));
  model.archive_input = test::fixture_input();
  model.archive_input->width = 208;
  model.archive_input->height = 176;
  EXPECT_THAT(remedy(), HasSubstr("forward works with --input m=208x176:"));
}

// Colour order and resize are kept: forward cannot tell whether they are right.
TEST(FailingForward, KeepsWhatForwardCannotJudge) {
  InputSpec spec = test::fixture_input();
  spec.color = Color::kRgb;
  spec.resize = Resize::kLetterbox;
  EXPECT_THAT(remedy_of(kList, spec), HasSubstr("m=64x48,letterbox,rgb,list"));
}

TEST(FailingForward, IsNeverFedAnotherWayInSilence) {
  EXPECT_FALSE(test::error_text([] { (void)graph::trace_run(with_forward(kBytes, test::fixture_input())); }).empty());
}

TEST(Bytes, AreLikeTheFloatsThatTheModelMakesOfThem) {
  const test::Opened opened = test::open_fixtures({"bytes"});
  EXPECT_TRUE(opened.prepared[0].batchable);
  EXPECT_GE(graph::find_layer(opened.program(0), "backbone.stage3.2"), 0);
}

}  // namespace
}  // namespace repsim::model
