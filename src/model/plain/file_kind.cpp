#include "file_kind.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

namespace repsim::model {
namespace {

using namespace std::string_view_literals;

constexpr const char* kScript = "in Python: torch.jit.script(model).save('model.pt')";

/// The line that makes a module of weights; the class is known to the user alone.
std::string load_weights(const std::string& load) {
  return "in Python: model.load_state_dict(" + load +
         "), then torch.jit.script(model.eval()).save('model.pt') (or torch.jit.trace)";
}

std::string file_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

bool is_page(std::string_view begin) {
  const auto first = begin.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos) return false;
  const std::string text = lower(begin.substr(first));
  return text.starts_with("<!doctype html") || text.starts_with("<html") || text.starts_with("<head") ||
         (text.starts_with("<?xml") && text.find("<html") != std::string::npos);
}

/// A length in eight bytes, then the header as JSON.
bool is_safetensors(std::string_view begin) {
  return begin.size() > 9 && begin[6] == '\0' && begin[7] == '\0' && begin[8] == '{' && begin[9] == '"';
}

/// A ModelProto begins with its ir_version (field 1, a small number), then another of its fields.
bool is_onnx(std::string_view begin) {
  if (begin.size() < 3 || begin[0] != '\x08' || begin[1] < 1 || begin[1] > 32) return false;
  return "\x12\x1a\x22\x28\x32\x3a\x42"sv.find(begin[2]) != std::string_view::npos;
}

struct Magic {
  std::size_t at;
  std::string_view bytes;
  const char *problem, *remedy;
};
constexpr const char* kUnpack = "unpack it, and give the .pt file that is in it";
constexpr const char* kExportFromPyTorch = "export the PyTorch model: torch.jit.script(model).save('model.pt')";
constexpr std::array<Magic, 18> kMagics{{
    {0, "version https://git-lfs"sv, "this is a Git LFS pointer, not the file that it stands for",
     "fetch the file: git lfs pull"},
    {0, "\x1f\x8b"sv, "this is a gzip file", kUnpack},
    {0, "BZh"sv, "this is a bzip2 file", kUnpack},
    {0,
     "\xfd"
     "7zXZ"sv,
     "this is an xz file", kUnpack},
    {0, "\x28\xb5\x2f\xfd"sv, "this is a zstd file", kUnpack},
    {0, "7z\xbc\xaf"sv, "this is a 7-Zip archive", kUnpack},
    {0, "Rar!"sv, "this is a RAR archive", kUnpack},
    {257, "ustar"sv, "this is a tar archive", kUnpack},
    {0, "PK\x05\x06"sv, "this zip archive is empty", "export the model again"},
    {0, "PK\x07\x08"sv, "this is a part of a zip archive", "join its parts, or export the model again"},
    {0, "\x89HDF"sv, "this is an HDF5 file (Keras weights), no TorchScript", kExportFromPyTorch},
    {4, "TFL3"sv, "this is a TensorFlow Lite model, no TorchScript", kExportFromPyTorch},
    {0, "GGUF"sv, "this is a GGUF file: weights without TorchScript code", kExportFromPyTorch},
    {0, "\x93NUMPY"sv, "this is a NumPy array, no model", kScript},
    {0,
     "\x7f"
     "ELF"sv,
     "this is a program or a library, no model", "a library of operators is given by --library"},
    {0, "\x89PNG"sv, "this is a picture, no model", "give the .pt file of the model"},
    {0, "\xff\xd8\xff"sv, "this is a picture, no model", "give the .pt file of the model"},
    {0, "7767517"sv, "this is an ncnn model, no TorchScript", kExportFromPyTorch},
}};

bool has_part(const std::vector<std::string>& records, std::string_view part) {
  return std::any_of(records.begin(), records.end(),
                     [&](const std::string& one) { return one.find(part) != std::string::npos; });
}

/// A record that may be the model that is looked for.
const std::string* packed_model(const std::vector<std::string>& records) {
  const auto found = std::find_if(records.begin(), records.end(), [](const std::string& one) {
    const std::string name = lower(one);
    return name.ends_with(".pt") || name.ends_with(".pth") || name.ends_with(".ts") || name.ends_with(".torchscript");
  });
  return found == records.end() ? nullptr : &*found;
}

}  // namespace

Advice kind_of_file(std::string_view begin, const std::string& path) {
  for (const Magic& magic : kMagics) {
    if (begin.size() > magic.at && begin.substr(magic.at).starts_with(magic.bytes))
      return {magic.problem, magic.remedy};
  }
  if (is_page(begin)) {
    return {"this is a web page (HTML), not a model",
            "download the file itself: the page is a login, an error or a preview"};
  }
  // torch.save's form before 1.6 is a pickle that begins with this number.
  const bool pickle = begin.size() > 1 && begin[0] == '\x80' && begin[1] >= 2 && begin[1] <= 5;
  if (pickle && begin.substr(2).starts_with("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv)) {
    return {"this file of torch.save holds weights or a pickled Python object, no TorchScript code",
            load_weights("torch.load('" + file_name(path) + "')")};
  }
  if (pickle) {
    return {"this is a pickled Python object, no TorchScript file",
            load_weights("the state_dict in '" + file_name(path) + "'")};
  }
  if (is_safetensors(begin)) {
    return {"this is a safetensors file: weights without TorchScript code",
            load_weights("safetensors.torch.load_file('" + file_name(path) + "')")};
  }
  if (is_onnx(begin))
    return {"this is an ONNX model, no TorchScript", "export the PyTorch model itself: " + std::string(kScript)};
  return {"this is no TorchScript file (not a zip archive)", kScript};
}

Advice kind_of_archive(const std::vector<std::string>& records, std::string_view pickled, const std::string& path) {
  if (has_part(records, "models/") && has_part(records, ".json")) {
    return {"this is an ExportedProgram (.pt2), not TorchScript",
            "export with torch.jit.script(model) or torch.jit.trace(model, example), then .save(path)"};
  }
  if (has_part(records, "data.pkl")) {
    if (pickled.find("ultralytics") != std::string_view::npos) {
      return {"this is a checkpoint of Ultralytics, no TorchScript code",
              "yolo export model=" + file_name(path) + " format=torchscript"};
    }
    return {"this file of torch.save holds weights or a pickled Python object, no TorchScript code",
            load_weights("torch.load('" + file_name(path) + "')")};
  }
  if (const std::string* model = packed_model(records))
    return {"this is a zip archive with the model in it ('" + *model + "')", kUnpack};
  if (has_part(records, ".npy")) return {"this zip archive holds NumPy arrays, no TorchScript code", kScript};
  return {"this zip file is no TorchScript archive", kScript};
}

}  // namespace repsim::model
