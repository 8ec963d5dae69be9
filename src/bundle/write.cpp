#include <torch/csrc/jit/frontend/schema_matching.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <charconv>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "archive.hpp"
#include "module_tree.hpp"
#include "repsim/bundle.hpp"
#include "reuse_memory.hpp"

namespace repsim::bundle {
namespace {

namespace tj = torch::jit;

class Writer {
 public:
  Writer(const capture::ModelSet& set, std::span<const model::Loaded* const> loaded,
         std::span<const graph::Splice> splices, std::span<const StreamMethod> streams)
      : set_(set),
        loaded_(loaded),
        splices_(splices),
        streams_(streams),
        identifiers_(identifiers(names(set))),
        tree_(identifiers_) {}

  Written run(const std::string& manifest) {
    std::vector<ModelIndex> all(set_.models.size());
    std::iota(all.begin(), all.end(), 0);
    for (const ModelIndex index : all) {
      if (model(index).rewritable) continue;
      opaque_.emplace(index, model::copy_of(loaded_[index]->module));  // gets others' tensors further down
      tree_.root().register_module(identifiers_[index], opaque_.at(index));
    }
    if (streams_.empty()) add_method("forward", all, Kind::kForward);
    for (const StreamMethod& one : streams_) add_method(one.method, one.models, Kind::kStream);
    share_with_opaque_models();
    for (const ModelIndex index : all) add_method("run_" + identifiers_[index], {index}, Kind::kModel);

    Written written;
    tree_.cut_memory();
    count(written);
    std::ostringstream stream;
    tree_.root().save(stream, {{"repsim.json", manifest}});
    written.bytes = without_debug_records(stream.str());
    return written;
  }

 private:
  static std::vector<std::string> names(const capture::ModelSet& set) {
    std::vector<std::string> result;
    for (const graph::Prepared* model : set.models) result.push_back(model->name);
    return result;
  }

  const graph::Prepared& model(ModelIndex index) const { return *set_.models[index]; }

  /// Forward takes all input groups, the others those that they need. A method of one model returns no tuple.
  enum class Kind { kForward, kStream, kModel };

  void add_method(const std::string& name, const std::vector<ModelIndex>& members, Kind kind) {
    std::vector<ModelIndex> rewritable;
    for (const ModelIndex index : members) {
      if (model(index).rewritable) rewritable.push_back(index);
    }
    const graph::Assembly assembly = graph::assemble(set_.models, set_.groups, splices_, rewritable);
    const std::shared_ptr<tj::Graph>& graph = assembly.graph;
    const std::map<int, tj::Value*> images = add_images(assembly, members, kind == Kind::kForward);
    tj::Value* self = graph->insertInput(0, "self");
    place_parameters(assembly);
    if (kind != Kind::kModel) note_stored(assembly);
    self->setType(tree_.root().type());
    AttributeReader reader(*graph, self);
    read_parameters(assembly, 1 + images.size(), reader);
    const std::vector<tj::Value*> results = results_of(*graph, members, images, reader);
    while (!graph->outputs().empty()) graph->eraseOutput(graph->outputs().size() - 1);
    const tj::WithInsertPoint guard(graph->block());
    const bool is_alone = kind == Kind::kModel;
    graph->registerOutput(is_alone ? results.front() : graph->insertNode(graph->createTuple(results))->output());
    reuse_memory(graph);
    graph->lint();
    const c10::QualifiedName qualified(*tree_.root().type()->name(), name);
    tree_.root().type()->addMethod(tree_.unit()->create_function(qualified, graph));
  }

  /// Gives the graph an input for each group that the members need, in the order of the groups. forward takes the other
  /// groups as well: its signature is one argument per group.
  /// @return by group
  std::map<int, tj::Value*> add_images(const graph::Assembly& assembly, const std::vector<ModelIndex>& members,
                                       bool all_groups) const {
    std::set<int> wanted(assembly.input_groups.begin(), assembly.input_groups.end());
    for (const ModelIndex index : members) {
      if (!model(index).rewritable) wanted.insert(set_.groups[index]);
    }
    for (int group = 0; all_groups && group < static_cast<int>(set_.specs.size()); ++group) wanted.insert(group);
    std::map<int, tj::Value*> images;
    std::size_t position = 0, next = 0;
    for (const int group : wanted) {
      if (next < assembly.input_groups.size() && assembly.input_groups[next] == group) {
        ++next;
      } else {
        tj::Value* added = assembly.graph->insertInput(position, "x" + std::to_string(group));
        const bool list = set_.specs[group].kind == model::InputKind::kList;
        added->setType(list ? c10::TypePtr(c10::ListType::ofTensors()) : c10::TypePtr(c10::TensorType::get()));
      }
      images[group] = assembly.graph->inputs()[position++];
    }
    return images;
  }

  void place_parameters(const graph::Assembly& assembly) {
    for (const bool added : {false, true}) {  // the models' own tensors have the first choice of names
      for (const graph::AssembledParameter& parameter : assembly.parameters) {
        if (parameter.added == added) tree_.place(parameter, is_buffer(parameter));
      }
    }
  }

  bool is_buffer(const graph::AssembledParameter& parameter) {
    if (parameter.added) return parameter.constant;
    auto& names = parameter_names_[parameter.model];
    if (names.empty()) {
      for (const auto& named : loaded_[parameter.model]->module.named_parameters()) names.insert(named.name);
    }
    return names.count(parameter.path) == 0;
  }

  /// Remembers which tensors of the models the bundle holds.
  void note_stored(const graph::Assembly& assembly) {
    for (const graph::AssembledParameter& parameter : assembly.parameters) {
      if (parameter.added) continue;
      stored_ += stored_memory_.add(graph::stored_tensors(parameter.value));
      // What cut_memory() may move is not what the file holds.
      if (parameter.value.isTensor() && !parameter.value.toTensor().is_quantized() &&
          model::movable(parameter.value.toTensor()).is_same(parameter.value.toTensor()))
        by_content_.emplace(graph::content_hash(parameter.value.toTensor()), parameter.value.toTensor());
    }
  }

  /// Replaces the inputs that hold parameters by reads of attributes, which come first in the graph, in the order of
  /// the parameters.
  void read_parameters(const graph::Assembly& assembly, std::size_t first_parameter, AttributeReader& reader) const {
    tj::Graph& graph = *assembly.graph;
    const tj::WithInsertPoint guard(*graph.nodes().begin());
    for (std::size_t i = 0; i < assembly.parameters.size(); ++i)
      graph.inputs()[first_parameter + i]->replaceAllUsesWith(reader.get(tree_.path_of(assembly.parameters[i].value)));
    while (graph.inputs().size() > first_parameter) graph.eraseInput(graph.inputs().size() - 1);
  }

  /// The members' results in plan order: outputs of the graph, and calls of opaque models.
  std::vector<tj::Value*> results_of(tj::Graph& graph, const std::vector<ModelIndex>& members,
                                     const std::map<int, tj::Value*>& images, AttributeReader& reader) const {
    std::vector<tj::Value*> results;
    std::size_t computed = 0;
    const tj::WithInsertPoint guard(graph.block());
    for (const ModelIndex index : members) {
      results.push_back(model(index).rewritable ? graph.outputs()[computed++]
                                                : call(graph, index, images.at(set_.groups[index]), reader));
    }
    return results;
  }

  tj::Value* call(tj::Graph& graph, ModelIndex index, tj::Value* image, AttributeReader& reader) const {
    const auto& method = loaded_[index]->module.get_method("forward");
    tj::Value* callee = reader.get(identifiers_[index]);
    // An opaque model gets an image of its own, since it may write into it.
    if (image->type()->isSubtypeOf(*c10::TensorType::get())) image = graph.insert(c10::aten::clone, {image});
    // By position: the model may call its own `self` differently.
    const std::vector<tj::NamedValue> arguments{callee, image};
    const tj::MatchedSchema matched =
        tj::matchSchema(method.function().getSchema(), tj::SourceRange(), graph, arguments, {});
    return graph.insertMethodCall("forward", matched);
  }

  /// Gives opaque models the bundle's tensor for each of their parameters that equals it bit by bit. They keep buffers
  /// of their own, which they may write to.
  void share_with_opaque_models() {
    for (auto& [index, opaque] : opaque_) {
      if (!model(index).keeps_weights) continue;
      std::map<const void*, int> users;
      for (const at::Tensor& tensor : graph::stored_tensors(opaque)) {
        if (tensor.has_storage()) ++users[tensor.storage().unsafeGetStorageImpl()];
      }
      for (const auto& named : opaque.named_parameters(/*recurse=*/true)) {
        const at::Tensor& own = named.value;
        if (own.is_quantized() || own.layout() != at::kStrided) continue;
        // The model may write to what it sees of this memory elsewhere.
        if (users[own.storage().unsafeGetStorageImpl()] > 1) continue;
        const auto [known, is_new] = by_content_.emplace(graph::content_hash(own), own);
        if (is_new) continue;
        tj::Module owner = opaque;
        std::string path = named.name;
        for (auto dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
          owner = owner.attr(path.substr(0, dot)).toModule();
          path = path.substr(dot + 1);
        }
        ++shared_with_opaque_;
        bytes_shared_with_opaque_ += static_cast<std::int64_t>(own.storage().nbytes());
        owner.setattr(path, known->second);
      }
    }
  }

  /// Counts what the file holds, and what it would hold if identical tensors were not stored once.
  void count(Written& written) {
    const graph::StoredSize all = graph::StoredMemory().add(graph::stored_tensors(tree_.root()));
    written.elements = all.elements;
    written.parameter_bytes = all.bytes;
    graph::StoredSize live;
    for (ModelIndex index = 0; index < static_cast<ModelIndex>(set_.models.size()); ++index) {
      graph::StoredMemory of_model;
      for (const int parameter : live_parameters(index))
        live += of_model.add(graph::stored_tensors(model(index).parameters[parameter]));
    }
    written.deduplicated = live.count - stored_.count + shared_with_opaque_;
    written.bytes_deduplicated = live.bytes - stored_.bytes + bytes_shared_with_opaque_;
  }

  /// The parameters of a model that the bundle still needs: not those of removed layers, nor of refitted convolutions
  /// and folded normalisations, nor weights in whose place another model's are.
  std::set<int> live_parameters(ModelIndex index) const {
    const graph::Program& program = model(index).program;
    std::vector<LayerIndex> replaced;
    std::set<int> gone;
    for (const graph::Splice& splice : splices_) {
      if (splice.receiver != index) continue;
      for (const graph::FittedReplacement& one : splice.replacements) replaced.push_back(one.receiver_layer);
      for (const graph::FittedWeight& weight : splice.weights) gone.insert(weight.parameter);
      for (const graph::ConvRefit& refit : splice.refits) {
        const graph::ConvGeometry geometry = graph::convolution_geometry(model(index), refit.node);
        gone.insert({geometry.weight_parameter, geometry.bias_parameter});
        if (refit.normalisation < 0) continue;
        const std::vector<int> folded = graph::normalisation_behind(model(index), refit.node)->parameters;
        gone.insert(folded.begin(), folded.end());
      }
    }
    const std::vector<bool> alive = graph::live_ops(program, replaced);
    std::set<int> live;
    for (std::size_t op = 0; op < alive.size(); ++op) {
      if (alive[op]) live.insert(program.ops[op].parameters.begin(), program.ops[op].parameters.end());
    }
    for (const int parameter : gone) live.erase(parameter);
    return live;
  }

  const capture::ModelSet& set_;
  std::span<const model::Loaded* const> loaded_;
  std::span<const graph::Splice> splices_;
  std::span<const StreamMethod> streams_;
  std::vector<std::string> identifiers_;
  ModuleTree tree_;
  std::map<ModelIndex, std::set<std::string>> parameter_names_;
  std::map<ModelIndex, tj::Module> opaque_;
  std::map<std::string, at::Tensor> by_content_;
  graph::StoredMemory stored_memory_;
  graph::StoredSize stored_;  // of the models' own tensors
  std::int64_t shared_with_opaque_ = 0, bytes_shared_with_opaque_ = 0;
};

}  // namespace

Written write(const capture::ModelSet& set, std::span<const model::Loaded* const> loaded,
              std::span<const graph::Splice> splices, const std::string& manifest,
              std::span<const StreamMethod> streams) {
  return Writer(set, loaded, splices, streams).run(manifest);
}

std::vector<int> groups_of(const torch::jit::Module& bundle, const std::string& method) {
  const auto& arguments = bundle.get_method(method).function().getSchema().arguments();
  std::vector<int> groups;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    // The writer names the argument of group 3 "x3".
    const std::string& name = arguments[i].name();
    int group = -1;
    if (name.starts_with("x")) std::from_chars(name.data() + 1, name.data() + name.size(), group);
    groups.push_back(group);
  }
  return groups;
}

}  // namespace repsim::bundle
