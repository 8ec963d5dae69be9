#include "repsim/manifest.hpp"

#include <map>
#include <set>

#include "repsim/base/version.hpp"
#include "repsim/candidates.hpp"
#include "repsim/inspection.hpp"
#include "repsim/report.hpp"

namespace repsim::rebuild {
namespace {

/// What the bundle needs beside Torch: all that one of its models needs.
std::vector<model::OperatorLibrary> libraries_of(const session::Session& session) {
  std::map<std::string, std::set<std::string>> needed;
  for (const session::Model& model : session.models) {
    for (const auto& [file, operators] : model.loaded.operator_libraries) {
      needed[file].insert(operators.begin(), operators.end());
    }
  }
  std::vector<model::OperatorLibrary> libraries;
  for (const auto& [file, operators] : needed) libraries.push_back({file, {operators.begin(), operators.end()}});
  return libraries;
}

}  // namespace

std::string manifest_of(const session::Session& session, std::span<const trial::FittedShare> shares,
                        std::span<const bundle::StreamMethod> streams) {
  Json models = Json::array();
  for (const session::Model& model : session.models) {
    Json one;
    one["name"] = model.name();
    one["attribute"] = model.identifier;
    one["run_method"] = "run_" + model.identifier;
    one["input_group"] = model.group;
    one["sha256"] = model.loaded.sha256;
    one["output"] = report::to_json(model.output.spec);
    models.push_back(std::move(one));
  }
  Json inputs = Json::array();
  for (const model::InputSpec& spec : session.set.specs) inputs.push_back(report::to_json(spec));
  Json list = Json::array();
  for (const trial::FittedShare& share : shares) {
    const candidates::DonorNames donors = candidates::donor_names(session, share.attachment.cut);
    list.push_back({{"receiver", session.models[share.attachment.cut.receiver].loaded.spec.name},
                    {"donor", donors.most},
                    {"donors", donors.all}});
  }
  Json manifest;
  manifest["schema_version"] = 1;
  manifest["tool"] = {{"name", "repsim"}, {"version", tool_version()}};
  manifest["inputs"] = inputs;
  manifest["models"] = models;
  if (!streams.empty()) {
    manifest["streams"] = Json::array();
    for (const bundle::StreamMethod& stream : streams) {
      Json names = Json::array();
      for (const ModelIndex model : stream.models) names.push_back(session.models[model].name());
      manifest["streams"].push_back({{"name", stream.stream}, {"run_method", stream.method}, {"models", names}});
    }
  }
  manifest["shares"] = list;
  manifest["operator_libraries"] = report::to_json(libraries_of(session));
  return repsim::to_text(manifest);
}

}  // namespace repsim::rebuild
