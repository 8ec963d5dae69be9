#include "repsim/open_bundle.hpp"

#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/lower_graph.h>

#include <filesystem>

#include "repsim/base/error.hpp"
#include "repsim/base/log.hpp"
#include "repsim/base/out_of_memory.hpp"
#include "repsim/bundle.hpp"
#include "repsim/graph.hpp"
#include "repsim/model.hpp"
#include "repsim/open_plan.hpp"

namespace repsim::rebuild {
namespace {

namespace fs = std::filesystem;

Error no_bundle(const std::string& problem, const std::string& path) {
  return input_error(problem, path, "a bundle.pt that repsim plan or repsim bundle wrote, or the folder of a plan");
}

}  // namespace

BundlePlace find_bundle(const std::string& given) {
  std::error_code failed;  // reading says what is wrong
  const bool is_folder = fs::is_directory(given, failed);
  const bool is_plan =
      is_folder ? fs::exists(fs::path(given) / "plan.json", failed) : fs::path(given).extension() == ".json";
  if (!is_plan) {
    BundlePlace place{is_folder ? (fs::path(given) / "bundle.pt").string() : given, {}};
    if (fs::status(place.path, failed).type() == fs::file_type::not_found)
      throw no_bundle("there is no such bundle", place.path);
    return place;
  }
  BundlePlace place{(plan_file(given).parent_path() / "bundle.pt").string(), read_plan(given)};
  check_unchanged(place.path, place.plan->bundle_sha256, "bundle");
  return place;
}

OpenBundle open_bundle(const std::string& path) {
  const model::OpenArchive archive = model::open_archive(path, "bundle");
  const auto found = archive.extra_files.find("repsim.json");
  if (found == archive.extra_files.end()) throw no_bundle("this is a TorchScript file, but no bundle of repsim", path);
  OpenBundle bundle{path, archive.module, report::read_manifest(found->second, path)};
  for (const report::ManifestModel& model : bundle.manifest.models) {
    if (!bundle.module.find_method(model.run_method))
      throw no_bundle("the bundle has no method " + model.run_method + ", which its repsim.json names", path);
  }
  for (const report::ManifestStream& stream : bundle.manifest.streams) {
    if (!bundle.module.find_method(stream.run_method))
      throw no_bundle("the bundle has no method " + stream.run_method + ", which its repsim.json names", path);
  }
  if (bundle.manifest.streams.empty() && !bundle.module.find_method("forward"))
    throw no_bundle("the bundle has no forward method", path);
  return bundle;
}

std::vector<int> groups_of(const OpenBundle& bundle, const std::string& method) {
  std::vector<int> groups = bundle::groups_of(bundle.module, method);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (groups[i] >= 0 && groups[i] < std::ssize(bundle.manifest.inputs)) continue;
    const auto& argument = bundle.module.get_method(method).function().getSchema().arguments()[i + 1];
    throw no_bundle(method + " takes an argument '" + argument.name() + "' that is none of the bundle's inputs",
                    bundle.path);
  }
  return groups;
}

BundleMethod lowered_method(const OpenBundle& bundle, const std::string& method, at::Device device) {
  const std::shared_ptr<torch::jit::Graph> inlined = bundle.module.get_method(method).graph()->copy();
  torch::jit::Inline(*inlined);
  std::pair<std::shared_ptr<torch::jit::Graph>, std::vector<c10::IValue>> lowered;
  try {
    lowered = torch::jit::LowerGraph(*inlined, bundle.module._ivalue());
  } catch (const std::exception& error) {
    rethrow_out_of_memory(error);
    log::debug(error.what());
    throw input_error("the graph of " + method + " cannot be brought to another device", bundle.path, "--device cpu");
  }
  const auto runner = std::make_shared<graph::Runner>(*lowered.first, lowered.second, std::vector<graph::Place>{},
                                                      /*keep_output=*/true, device);
  return [runner](std::vector<c10::IValue> inputs) { return runner->run(std::move(inputs)); };
}

BundleMethod method_of(const OpenBundle& bundle, const std::string& method, at::Device device) {
  if (!device.is_cpu()) {
    try {
      return lowered_method(bundle, method, device);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      log::warn(bundle.path + ": " + error.problem() + ", so " + method + " runs on the CPU");
    }
  }
  return [module = bundle.module, method, path = bundle.path](std::vector<c10::IValue> inputs) {
    const c10::InferenceMode no_gradients;
    const CrashNote note = model::note_of_run(path);
    return module.get_method(method)(std::move(inputs));
  };
}

}  // namespace repsim::rebuild
