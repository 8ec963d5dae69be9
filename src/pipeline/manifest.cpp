#include "manifest.hpp"

#include <map>
#include <set>

#include "describe_plan.hpp"
#include "repsim/inspection.hpp"
#include "repsim/report.hpp"

namespace repsim::pipeline {
namespace {

/// What the bundle needs beside Torch: all that one of its models needs.
std::vector<model::OperatorLibrary> libraries_of(const Workspace& work) {
  std::map<std::string, std::set<std::string>> needed;
  for (const session::Model& model : work.models) {
    for (const auto& [file, operators] : model.loaded.operator_libraries) {
      needed[file].insert(operators.begin(), operators.end());
    }
  }
  std::vector<model::OperatorLibrary> libraries;
  for (const auto& [file, operators] : needed) libraries.push_back({file, {operators.begin(), operators.end()}});
  return libraries;
}

}  // namespace

std::string manifest_of(const Workspace& work, const std::vector<FittedShare>& shares) {
  Json models = Json::array();
  for (std::size_t i = 0; i < work.models.size(); ++i) {
    Json one;
    one["name"] = work.models[i].loaded.spec.name;
    one["attribute"] = work.models[i].identifier;
    one["run_method"] = "run_" + work.models[i].identifier;
    one["input_group"] = work.set.groups[i];
    one["sha256"] = work.models[i].loaded.sha256;
    one["output"] = report::to_json(work.models[i].output.spec);
    models.push_back(std::move(one));
  }
  Json inputs = Json::array();
  for (const model::InputSpec& spec : work.set.specs) inputs.push_back(report::to_json(spec));
  Json list = Json::array();
  for (const FittedShare& share : shares) {
    const DonorNames donors = donor_names(work, share.candidate.cut);
    list.push_back({{"receiver", work.models[share.candidate.cut.receiver].loaded.spec.name},
                    {"donor", donors.most},
                    {"donors", donors.all}});
  }
  Json manifest;
  manifest["schema_version"] = 1;
  manifest["tool"] = {{"name", "repsim"}, {"version", REPSIM_VERSION}};
  manifest["inputs"] = inputs;
  manifest["models"] = models;
  manifest["shares"] = list;
  manifest["operator_libraries"] = report::to_json(libraries_of(work));
  return repsim::to_text(manifest);
}

}  // namespace repsim::pipeline
