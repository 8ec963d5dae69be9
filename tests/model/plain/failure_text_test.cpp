#include "repsim/failure_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../../../src/model/plain/file_kind.hpp"

namespace repsim::model {
namespace {

using namespace std::string_view_literals;
using testing::HasSubstr;
using Kind = FailureCause::Kind;

/// What Torch's interpreter says of an operation in a model's code that fails.
std::string in_interpreter(const std::string& code, const std::string& source, const std::string& message) {
  return "The following operation failed in the TorchScript interpreter.\n"
         "Traceback of TorchScript, serialized code (most recent call last):\n"
         "  File \"code/__torch__.py\", line 12, in forward\n      pass\n    else:\n      " +
         code + "\n      ~~~~~~~~~~~~~~~~~~~~~~~ <--- HERE\n    conv = s.conv\n\n" +
         "Traceback of TorchScript, original code (most recent call last):\n  File \"/tmp/a.py\", line 28, in forward\n"
         "    def forward(s,x):\n        " +
         source + "\n        ~~~~~~~~~~ <--- HERE\n        return s.conv(x)\n" + message + "\n";
}

struct Text {
  std::string text, words;
  Kind kind = Kind::kUnknown;
  std::string subject = {};
  std::int64_t wanted = 0, given = 0;
};

const std::string kStack =
    "\nException raised from conv at /pytorch/aten/Convolution.cpp:423 (most recent call "
    "first):\nframe #0: c10::Error::Error(...)\n";

const std::vector<Text> kTexts{
    {in_interpreter("ops.prim.RaiseException(\"no object found\", \"builtins.RuntimeError\")", "raise RuntimeError",
                    "builtins.RuntimeError: no object\nfound"),
     "RuntimeError: no object found", Kind::kOwnCheck},
    {in_interpreter("ops.prim.RaiseException(\"AssertionError: batch must be 8\")", "assert x.size(0) == 8, \"batch\"",
                    "RuntimeError: AssertionError: batch must be 8"),
     "AssertionError: batch must be 8", Kind::kOwnCheck},
    {in_interpreter("ops.prim.RaiseException(\"AssertionError: \")", "assert x.size(0) == 8",
                    "RuntimeError: AssertionError: "),
     "AssertionError: assert x.size(0) == 8", Kind::kOwnCheck},
    {in_interpreter("_0 = torch.select(y, 1, 9)", "y[:, 9]",
                    "RuntimeError: select(): index 9 out of range for tensor of size [1, 4, 30, 30] at dimension 1"),
     "RuntimeError: select(): index 9 out of range for tensor of size [1, 4, 30, 30] at dimension 1"},
    {in_interpreter("return l[3]", "l[3]", "RuntimeError: list index out of range"),
     "RuntimeError: list index out of range"},
    {in_interpreter("return torch.view(_0, [8, 6, 96])", "view(8, 6, 96)",
                    "RuntimeError: shape '[8, 6, 96]' is invalid for input of size 576"),
     "RuntimeError: shape '[8, 6, 96]' is invalid for input of size 576", Kind::kBatch, "", 8},
    {"RuntimeError: shape '[1, 4, 3844]' is invalid for input of size 3600",
     "RuntimeError: shape '[1, 4, 3844]' is invalid for input of size 3600"},
    {"RuntimeError: shape '[-1, 5]' is invalid for input of size 12",
     "RuntimeError: shape '[-1, 5]' is invalid for input of size 12"},
    {"RuntimeError: shape '[9223372036854775807, 9223372036854775807]' is invalid for input of size 3",
     "RuntimeError: shape '[9223372036854775807, 9223372036854775807]' is invalid for input of size 3"},
    {"Given groups=1, weight of size [4, 1, 3, 3], expected input[1, 3, 32, 32] to have 1 channels, but got 3 channels "
     "instead" +
         kStack,
     "Given groups=1, weight of size [4, 1, 3, 3], expected input[1, 3, 32, 32] to have 1 channels, but got 3 channels "
     "instead",
     Kind::kChannels, "", 1, 3},
    {"Given groups=1, weight of size [4, 4, 3, 3], expected input[1, 3, 8, 8] to have 4 channels, but got 3 channels "
     "instead",
     "Given groups=1, weight of size [4, 4, 3, 3], expected input[1, 3, 8, 8] to have 4 channels, but got 3 channels "
     "instead",
     Kind::kChannels, "", 4, 3},
    // rows of pixels given to a model of channels: the layout is wrong, not the number of channels
    {"Given groups=1, weight of size [4, 3, 3, 3], expected input[1, 32, 32, 3] to have 3 channels, but got 32 "
     "channels instead",
     "Given groups=1, weight of size [4, 3, 3, 3], expected input[1, 32, 32, 3] to have 3 channels, but got 32 "
     "channels instead"},
    {"RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
     "tried "
     "to allocate 70368744177664 bytes. Error code 12 (Cannot allocate memory)",
     "RuntimeError: DefaultCPUAllocator: can't allocate memory: you tried to allocate 70368744177664 bytes. Error code "
     "12 (Cannot allocate memory)",
     Kind::kMemory, "", 0, 70368744177664},
    {"std::bad_alloc", "std::bad_alloc", Kind::kMemory},
    {"CUDA out of memory. Tried to allocate 2.00 GiB", "CUDA out of memory. Tried to allocate 2.00 GiB", Kind::kMemory},
    {"RuntimeError: Cannot initialize CUDA without ATen_cuda library. PyTorch splits its backend into two.",
     "RuntimeError: Cannot initialize CUDA without ATen_cuda library. PyTorch splits its backend into two.",
     Kind::kDevice, "cuda"},
    {"RuntimeError: Could not run 'aten::empty.memory_format' with arguments from the 'MPS' backend. This could be "
     "because it does not exist.\n\nCPU: registered at /pytorch/build",
     "RuntimeError: Could not run 'aten::empty.memory_format' with arguments from the 'MPS' backend. This could be "
     "because it does not exist.",
     Kind::kDevice, "mps"},
    {"Could not run 'my::op' with arguments from the 'CPU' backend.",
     "Could not run 'my::op' with arguments from the 'CPU' backend.", Kind::kOperator, "my::op"},
    {"Expected all tensors to be on the same device, but got weight is on cpu, different from other tensors on cuda:0",
     "Expected all tensors to be on the same device, but got weight is on cpu, different from other tensors on cuda:0",
     Kind::kDevice, "cuda"},
    {"RuntimeError: Input type (float) and bias type (double) should be the same",
     "RuntimeError: Input type (float) and bias type (double) should be the same", Kind::kDtype, "float64"},
    {"RuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same",
     "RuntimeError: Input type (float) and bias type (c10::BFloat16) should be the same", Kind::kDtype, "bfloat16"},
    // half precision is an input that repsim can give
    {"RuntimeError: Input type (float) and bias type (c10::Half) should be the same",
     "RuntimeError: Input type (float) and bias type (c10::Half) should be the same"},
    {"", ""},
    {"\n\n", ""},
};

TEST(FailureText, TellsTheCauseAndTheModelsOwnWords) {
  for (const Text& one : kTexts) {
    EXPECT_EQ(own_words(one.text), one.words);
    const FailureCause cause = cause_of(one.text);
    EXPECT_EQ(cause.kind, one.kind) << one.text;
    EXPECT_EQ(cause.subject, one.subject) << one.text;
    EXPECT_EQ(cause.wanted, one.wanted) << one.text;
    EXPECT_EQ(cause.given, one.given) << one.text;
  }
}

TEST(FailureText, IsShort) {
  std::string words = "RuntimeError: ";
  for (int i = 0; i < 200; ++i) words += "words ";
  EXPECT_LT(own_words(words).size(), 210U);
  EXPECT_TRUE(own_words(words).ends_with("words ...")) << own_words(words);
  // A text without spaces is not cut within a character.
  std::string umlauts;
  for (int i = 0; i < 300; ++i) umlauts += "\xC3\xA4";
  EXPECT_EQ(own_words("x" + umlauts).size() % 2, 1U);
}

TEST(FailureText, NamesTheRemedy) {
  InputSpec input;
  input.width = 96;
  input.height = 64;
  const auto remedy = [&](Kind kind, std::int64_t wanted = 0) {
    return advice_on({kind, "cuda", wanted, 0}, input).value_or(Advice{"none", "none"}).remedy;
  };
  EXPECT_THAT(remedy(Kind::kDevice), HasSubstr("torch.jit.trace(model, torch.rand(1, 3, 64, 96))"));
  EXPECT_THAT(remedy(Kind::kBatch, 8), HasSubstr("torch.jit.trace(model, torch.rand(1, 3, 64, 96))"));
  EXPECT_THAT(remedy(Kind::kChannels, 1), HasSubstr("x.mean(1, keepdim=True)"));
  EXPECT_THAT(remedy(Kind::kChannels, 4), HasSubstr("torch.cat([x, "));
  EXPECT_FALSE(advice_on({}, input).has_value());
  EXPECT_THAT(advice_on({Kind::kMemory, "", 0, 70368744177664}, input)->problem, HasSubstr("70.3 TB"));
}

struct File {
  std::string_view begin;
  std::string problem, remedy;
};
const std::vector<File> kFiles{
    {"version https://git-lfs.github.com/spec/v1\noid sha256:0"sv, "a Git LFS pointer", "git lfs pull"},
    {"<!DOCTYPE html>\n<html>"sv, "a web page (HTML)", "download the file itself"},
    {"\xEF\xBB\xBF \n<HTML lang=en>"sv, "a web page (HTML)", "download the file itself"},
    {"\x08\x08\x12\x07pytorch\x1a\x06"sv, "an ONNX model", "torch.jit.script"},
    {"\x40\x00\x00\x00\x00\x00\x00\x00{\"w\":{\"dtype\":\"F32\""sv, "a safetensors file",
     "safetensors.torch.load_file('m.pt')"},
    {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."sv, "weights or a pickled Python object",
     "torch.load('m.pt')"},
    {"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00}."sv, "a pickled Python object", "state_dict"},
    {"\x1f\x8b\x08\x00"sv, "a gzip file", "unpack it"},
    {"BZh91AY"sv, "a bzip2 file", "unpack it"},
    {"PK\x05\x06\x00\x00"sv, "zip archive is empty", "export the model again"},
    {"\x89HDF\r\n\x1a\n"sv, "HDF5", "torch.jit.script"},
    {"\x1c\x00\x00\x00TFL3\x14\x00"sv, "TensorFlow Lite", "torch.jit.script"},
    {"GGUF\x03\x00"sv, "a GGUF file", "torch.jit.script"},
    {"\x7f"
     "ELF\x02\x01"sv,
     "a program or a library", "--library"},
    {"epoch,loss\n1,0.3\n"sv, "no TorchScript file (not a zip archive)", "torch.jit.script"},
    {"\x08"sv, "no TorchScript file (not a zip archive)", "torch.jit.script"},
};

TEST(FileKind, IsToldByTheFirstBytes) {
  for (const File& file : kFiles) {
    const Advice advice = kind_of_file(file.begin, "folder/m.pt");
    EXPECT_THAT(advice.problem, HasSubstr(file.problem));
    EXPECT_THAT(advice.remedy, HasSubstr(file.remedy)) << file.problem;
  }
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  EXPECT_THAT(kind_of_file(tar, "m.pt").problem, HasSubstr("a tar archive"));
}

TEST(FileKind, IsToldByTheRecordsOfAnArchive) {
  const auto problem = [](const std::vector<std::string>& records, std::string_view pickled = {}) {
    return kind_of_archive(records, pickled, "folder/m.pt").problem;
  };
  EXPECT_THAT(problem({"data.pkl", "data/0", "version"}), HasSubstr("weights or a pickled Python object"));
  EXPECT_THAT(problem({"data.pkl"}, "cultralytics.nn.tasks\nDetectionModel"), HasSubstr("a checkpoint of Ultralytics"));
  EXPECT_EQ(kind_of_archive({"data.pkl"}, "cultralytics.nn.tasks\nDetectionModel", "folder/m.pt").remedy,
            "yolo export model=m.pt format=torchscript");
  EXPECT_THAT(problem({"models/model.json", "data/weights/0"}), HasSubstr("an ExportedProgram (.pt2)"));
  EXPECT_THAT(problem({"README.md", "best.PT"}), HasSubstr("'best.PT'"));
  EXPECT_THAT(problem({"arr_0.npy"}), HasSubstr("NumPy arrays"));
  EXPECT_THAT(problem({"word/document.xml"}), HasSubstr("no TorchScript archive"));
}

}  // namespace
}  // namespace repsim::model
