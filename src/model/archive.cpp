#include "archive.hpp"

#include <caffe2/serialize/inline_container.h>
#include <torch/version.h>

#include <filesystem>
#include <sstream>

#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/hash.hpp"
#include "repsim/base/log.hpp"

namespace repsim::model {
namespace {

namespace fs = std::filesystem;

/// First line of a c10 message without its "[enforce fail at ...]" prefix; the backtrace is for the debug log.
std::string first_line(const c10::Error& error) {
  log::debug(error.what());
  std::string text = error.what_without_backtrace();
  if (const auto close = text.find("] "); text.starts_with("[enforce fail") && close != std::string::npos) {
    text = text.substr(close + 2);
  }
  return text.substr(0, text.find('\n'));
}

/// Names the operator when loading failed for want of it: "torchvision::nms".
std::string missing_operator(const std::string& message) {
  for (const std::string mark : {"Unknown builtin op: ", "Couldn't find an operator for "}) {
    if (const auto at = message.find(mark); at != std::string::npos) {
      const auto begin = at + mark.size();
      auto end = message.find_first_of(" \n(", begin);
      std::string name = message.substr(begin, end - begin);
      while (!name.empty() && name.back() == '.') name.pop_back();
      return name;
    }
  }
  return {};
}

/// What an archive without TorchScript code is instead, as far as its records tell.
Error not_torchscript(const std::vector<std::string>& records, const std::string& path) {
  const auto has = [&](const std::string& part) {
    return std::any_of(records.begin(), records.end(),
                       [&](const std::string& r) { return r.find(part) != std::string::npos; });
  };
  if (has("models/") && has(".json")) {
    return input_error("this is an ExportedProgram (.pt2), not TorchScript", path,
                       "export with torch.jit.script(model) or torch.jit.trace(model, example), then .save(path)");
  }
  if (has("data.pkl")) {
    return input_error("this file holds weights or a pickled Python object, no TorchScript code", path,
                       "in Python: torch.jit.script(model).save('model.pt') (or torch.jit.trace)");
  }
  return input_error("this zip file is no TorchScript archive", path,
                     "in Python: torch.jit.script(model).save('model.pt')");
}

void check_records(const std::string& bytes, const std::string& path) {
  if (bytes.empty()) throw input_error("the file is empty", path, "export the model again");
  std::vector<std::string> records;
  try {
    std::istringstream stream(bytes);
    caffe2::serialize::PyTorchStreamReader reader(&stream);
    records = reader.getAllRecords();
  } catch (const c10::Error& error) {
    const bool zip = bytes.starts_with("PK\x03\x04");
    log::debug(error.what());
    if (zip) throw input_error("the archive is damaged or cut short", path, "copy or export the model again");
    throw input_error("this is no TorchScript file (not a zip archive)", path,
                      "in Python: torch.jit.script(model).save('model.pt')");
  }
  const bool code =
      std::any_of(records.begin(), records.end(), [](const std::string& r) { return r.starts_with("code/"); });
  const bool data = std::find(records.begin(), records.end(), "data.pkl") != records.end();
  if (!code || !data) throw not_torchscript(records, path);
}

}  // namespace

Archive read_archive(const std::string& path, const std::string& name) {
  std::error_code code;
  if (!fs::exists(path, code)) throw input_error("no such file", path, "check the path of model '" + name + "'");
  if (!fs::is_regular_file(path, code))
    throw input_error("this is no file", path, "give the .pt file of model '" + name + "'");

  const std::string bytes = read_file(path);
  check_records(bytes, path);
  Archive archive;
  archive.file_bytes = static_cast<std::int64_t>(bytes.size());
  archive.sha256 = sha256(bytes);
  std::unordered_map<std::string, std::string> extra{{"config.txt", ""}};
  try {
    std::istringstream stream(bytes);
    archive.module = torch::jit::load(stream, at::kCPU, extra);
  } catch (const c10::Error& error) {
    const std::string operator_name = missing_operator(error.what());
    if (!operator_name.empty()) {
      throw input_error(
          "the model needs the operator " + operator_name + ", which this Torch does not have", path,
          "export the model without it (post-processing such as NMS is not needed: repsim applies its own)");
    }
    throw input_error("cannot be loaded: " + first_line(error), path,
                      std::string("export it again with Torch ") + TORCH_VERSION + " or older");
  } catch (const std::exception& error) {
    throw input_error(std::string("cannot be loaded: ") + error.what(), path, "export the model again");
  }
  for (auto& [file, content] : extra) {
    if (!content.empty()) archive.extra_files[file] = content;
  }
  return archive;
}

}  // namespace repsim::model
