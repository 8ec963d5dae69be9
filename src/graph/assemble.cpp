#include <torch/csrc/jit/passes/common_subexpression_elimination.h>
#include <torch/csrc/jit/passes/constant_pooling.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <map>
#include <set>

#include "graph_access.hpp"
#include "repsim/graph.hpp"
#include "splices.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

class Assembler {
 public:
  Assembler(std::span<const Prepared* const> models, std::span<const int> groups, std::span<const Splice> splices)
      : models_(models), groups_(groups), splices_(splices), graph_(std::make_shared<tj::Graph>()) {
    for (const int group : groups_) group_count_ = std::max(group_count_, group + 1);
    for (int group = 0; group < group_count_; ++group) graph_->addInput("x" + std::to_string(group));
    values_.resize(models.size());
  }

  Assembly run(std::span<const int> wanted, std::span<const PlaceRequest> requests) {
    if (wanted.empty()) requests_ = requests;
    const std::vector<int> order = execution_order(models_.size(), splices_);
    find_roles(wanted, requests, order);
    for (const int index : order) {
      if (models_[index]->rewritable) add_model(index);
    }
    Assembly assembly;
    assembly.device = models_.front()->device;
    assembly.models.assign(wanted.begin(), wanted.end());
    for (const int index : wanted) graph_->registerOutput(mapped(index, model(index).graph->outputs().at(0)));
    for (const PlaceRequest& request : requests) graph_->registerOutput(requested(request));

    for (tj::Node* node : graph_->nodes()) clear_source(node);
    // Where only places are asked for, checks and prints of what comes after them must not run either: a replaced value
    // may not yet have the shape that they look for.
    const auto policy = wanted.empty() ? tj::DCESideEffectPolicy::ALLOW_DELETING_NODES_WITH_SIDE_EFFECTS
                                       : tj::DCESideEffectPolicy::DONT_DELETE_NODES_WITH_SIDE_EFFECTS;
    tj::EliminateDeadCode(graph_, policy);
    tj::ConstantPooling(graph_);
    // Pooled constants and unified parameters make identical computations visible; they are done once from here on.
    tj::EliminateCommonSubexpression(graph_);
    tj::EliminateDeadCode(graph_, policy);
    graph_->lint();

    std::unordered_map<const tj::Node*, int> position;
    for (tj::Node* node : graph_->nodes()) position.emplace(node, static_cast<int>(position.size()));
    for (std::size_t i = wanted.size(); i < graph_->outputs().size(); ++i) {
      const tj::Value* value = graph_->outputs()[i];
      const auto found = position.find(value->node());
      assembly.places.push_back(found == position.end() ? Place{}
                                                        : Place{found->second, static_cast<int>(value->offset())});
    }
    while (graph_->outputs().size() > wanted.size()) graph_->eraseOutput(graph_->outputs().size() - 1);
    drop_unused_inputs(assembly, requests);
    assembly.graph = graph_;
    return assembly;
  }

 private:
  /// What a model is in the merged graph for. Checks, prints and loops are never dead code: what no result needs must
  /// not come in.
  enum class Role {
    kNone,    ///< nothing that is wanted needs it
    kGives,   ///< layers only
    kResult,  ///< all that it does
  };

  void find_roles(std::span<const int> wanted, std::span<const PlaceRequest> requests, const std::vector<int>& order) {
    roles_.assign(models_.size(), wanted.empty() ? Role::kResult : Role::kNone);
    for (const int index : wanted) roles_[index] = Role::kResult;
    for (const PlaceRequest& request : requests) roles_[request.model] = Role::kResult;
    for (auto receiver = order.rbegin(); receiver != order.rend(); ++receiver) {
      if (role(*receiver) == Role::kNone) continue;
      for (const Splice& splice : splices_) {
        for (const DonorLayer& one : splice.donor_layers()) {
          if (splice.receiver == *receiver && role(one.donor) == Role::kNone) roles_[one.donor] = Role::kGives;
        }
      }
    }
  }

  Role role(int index) const { return roles_[index]; }

  const Prepared& model(int index) const { return *models_[index]; }

  tj::Value* mapped(int index, tj::Value* original) { return values_[index].at(original); }

  /// A parameter as an input of the merged graph; bit-identical ones are one input.
  tj::Value* parameter(int index, const std::string& path, const c10::IValue& value, const std::string& content,
                       bool added, bool constant = false) {
    if (!content.empty()) {
      if (const auto found = by_content_.find(content); found != by_content_.end()) return found->second;
    }
    tj::Value* input = graph_->addInput();
    input->setType(value.isTensor() ? c10::TypePtr(c10::TensorType::get()) : value.type());
    if (!content.empty()) by_content_[content] = input;
    parameters_.push_back({index, path, value, added, constant, content});
    return input;
  }

  void add_model(int index) {
    const Prepared& prepared = model(index);
    auto& map = values_[index];
    const auto inputs = prepared.graph->inputs();
    tj::Value* image = graph_->inputs().at(groups_[index]);
    image->setType(inputs[0]->type());
    map[inputs[0]] = image;
    for (std::size_t i = 0; i < prepared.parameters.size(); ++i) {
      map[inputs[i + 1]] = parameter(index, prepared.program.parameters[i].path, prepared.parameters[i],
                                     prepared.program.parameters[i].content, false);
    }
    const Splice* splice = nullptr;
    for (const Splice& one : splices_) {
      if (one.receiver == index) splice = &one;
    }
    if (role(index) ==
        Role::kNone) {  // its tensors and matrices stay known: equal ones have the same name in all methods
      if (splice) add_all_matrices(*splice, index);
      return;
    }
    const std::vector<tj::Node*> nodes = top_nodes(*prepared.graph);
    // What a receiver needs no more is left out by the same rule that says what it saves: its checks and prints of
    // removed values go with them.
    const std::vector<bool> needed = splice || role(index) == Role::kGives ? needed_nodes(prepared, splice, index)
                                                                           : std::vector<bool>(nodes.size(), true);
    tj::WithInsertPoint guard(graph_->block());
    for (std::size_t position = 0; position < nodes.size(); ++position) {
      tj::Node* original = nodes[position];
      if (!needed[position]) {
        if (splice) replace(*splice, static_cast<int>(position), index, original, map);
        continue;
      }
      if (splice && is_taken_in(*splice, static_cast<int>(position))) {
        map[original->output()] = map.at(original->input(0));
        replace(*splice, static_cast<int>(position), index, original, map);
        continue;
      }
      tj::Node* clone =
          graph_->insertNode(graph_->createClone(original, [&](tj::Value* value) { return map.at(value); }));
      for (std::size_t i = 0; i < original->outputs().size(); ++i) map[original->output(i)] = clone->output(i);
      if (!splice) continue;
      replace(*splice, static_cast<int>(position), index, original, map);
      refit(*splice, static_cast<int>(position), index, original, clone, map);
    }
  }

  /// Whether a node normalises what a refitted convolution in front of it gives normalised already.
  static bool is_taken_in(const Splice& splice, int position) {
    return std::any_of(splice.refits.begin(), splice.refits.end(),
                       [&](const ConvRefit& refit) { return refit.normalisation == position; });
  }

  /// Ops that make what is asked of a model where no results are wanted: requested values, or what they are computed
  /// from, and layers that it gives.
  std::vector<int> requested_ops(int index) const {
    const Program& program = model(index).program;
    std::vector<int> op_of;  // per node, -1: a constant
    int ops = 0;
    for (const tj::Node* node : model(index).graph->nodes())
      op_of.push_back(node->kind() == c10::prim::Constant ? -1 : ops++);
    std::vector<int> result;
    for (const PlaceRequest& request : requests_) {
      const OpIndex op = request.model == index ? op_of.at(request.place.node) : -1;
      if (op < 0) continue;
      if (!request.input) {
        result.push_back(op);
        continue;
      }
      const std::vector<int>& inputs = program.ops[op].inputs;
      result.insert(result.end(), inputs.begin(), inputs.end());
    }
    for (const Splice& splice : splices_) {
      for (const DonorLayer& one : splice.donor_layers()) {
        if (one.donor == index && role(splice.receiver) != Role::kNone)
          result.push_back(program.layers[one.donor_layer].op);
      }
    }
    return result;
  }

  /// Per node of the prepared graph: whether a receiver still computes it. Constants always stay. Where only places are
  /// asked for, nothing behind them runs: it may not fit the replaced values yet, and dead code elimination keeps what
  /// might write into memory that others see.
  std::vector<bool> needed_nodes(const Prepared& prepared, const Splice* splice, int index) const {
    std::vector<int> replaced;
    for (std::size_t i = 0; splice && i < splice->replacements.size(); ++i)
      replaced.push_back(splice->replacements[i].receiver_layer);
    const bool all = requests_.empty() && role(index) == Role::kResult;
    const std::vector<bool> live =
        all ? live_ops(prepared.program, replaced) : live_ops(prepared.program, replaced, requested_ops(index));
    std::vector<bool> needed;
    std::size_t op = 0;
    for (const tj::Node* node : prepared.graph->nodes()) {
      needed.push_back(node->kind() == c10::prim::Constant || live.at(op++));
    }
    return needed;
  }

  void replace(const Splice& splice, int position, int index, tj::Node* original,
               std::unordered_map<tj::Value*, tj::Value*>& map) {
    for (std::size_t i = 0; i < splice.replacements.size(); ++i) {
      const FittedReplacement& one = splice.replacements[i];
      const Layer& layer = model(index).program.layers[one.receiver_layer];
      if (layer.node == position) {
        map[original->output(static_cast<std::size_t>(layer.output))] = replacement(one, index, i);
      }
    }
  }

  void refit(const Splice& splice, int position, int index, tj::Node* original, tj::Node* clone,
             std::unordered_map<tj::Value*, tj::Value*>& map) {
    for (const ConvRefit& refit : splice.refits) {
      if (refit.node != position) continue;
      const ConvGeometry geometry = convolution_geometry(model(index), position);
      const std::string path = model(index).program.parameters[geometry.weight_parameter].path;
      // Without a dot rfind gives npos, and npos + 1 is 0: an empty prefix.
      std::string bias = path.substr(0, path.rfind('.') + 1);
      bias += "bias";
      clone->replaceInput(1, parameter(index, path, refit.weight, {}, true));
      clone->replaceInput(2, parameter(index, bias, refit.bias, {}, true));
      if (!refit.correction.defined()) continue;
      map[original->output()] =
          corrected(clone->output(), clone->input(0), refit.correction, geometry, index, refit_folder(index, position));
    }
  }

  /// `result` of a convolution of `input` with what its correction adds.
  tj::Value* corrected(tj::Value* result, tj::Value* input, const Correction& correction, const ConvGeometry& geometry,
                       ModelIndex receiver, const std::string& folder) {
    const auto list = [&](const std::vector<std::int64_t>& values) {
      return graph_->insertConstant(c10::List<std::int64_t>(values));
    };
    std::vector<std::int64_t> padding = geometry.padding;  // one ring more, so that the size stays
    for (std::size_t i = 0; i < padding.size(); ++i) padding[i] += geometry.dilation[i];
    tj::Value *none = graph_->insertConstant(c10::IValue()), *one = graph_->insertConstant(1);
    const auto pointwise = [&](tj::Value* value, const std::string& path, const at::Tensor& weight) {
      return graph_->insert(c10::aten::conv2d, {value, parameter(receiver, path, weight, {}, true), none, list({1, 1}),
                                                list({0, 0}), list({1, 1}), one});
    };
    tj::Value* down =
        graph_->insert(c10::aten::conv2d, {input, parameter(receiver, folder + ".down", correction.down, {}, true),
                                           none, list(geometry.stride), list(padding), list(geometry.dilation), one});
    for (std::size_t i = 0; i < correction.auxiliary_inputs.size(); ++i) {
      const AuxiliaryInput& side = correction.auxiliary_inputs[i];
      const std::string path = side_folder(folder, i);
      tj::Value* seen = pointwise(brought(side, side.resampling, receiver, path), path + ".weight", side.weight);
      down = graph_->insert(c10::aten::add, {down, seen});
    }
    return graph_->insert(c10::aten::add, {result, pointwise(down, folder + ".up", correction.up)});
  }

  tj::Value* replacement(const FittedReplacement& one, ModelIndex receiver, std::size_t number) {
    const std::string path = replacement_folder(receiver, number);
    tj::Value* value = brought({one.donor, one.donor_layer}, one.resampling, receiver, path);
    if (!one.weight.defined()) return value;
    tj::Value* weight = parameter(receiver, path + ".weight", one.weight, {}, true);
    tj::Value* bias = parameter(receiver, path + ".bias", one.bias, {}, true);
    const auto pair = [&](std::int64_t v) { return graph_->insertConstant(c10::List<std::int64_t>({v, v})); };
    tj::Value* adapted =
        graph_->insert(c10::aten::conv2d, {value, weight, bias, pair(1), pair(0), pair(1), graph_->insertConstant(1)});
    if (!one.correction.defined()) return adapted;
    return corrected(adapted, value, one.correction, pointwise_geometry(), receiver, path);
  }

  /// A donor's layer in the receiver's coordinates.
  tj::Value* brought(const DonorLayer& from, const Resampling& to, ModelIndex receiver, const std::string& path) {
    const Layer& layer = model(from.donor).program.layers[from.donor_layer];
    const std::vector<tj::Node*> nodes = top_nodes(*model(from.donor).graph);
    tj::Value* value = mapped(from.donor, value_at(nodes, place_of(layer)));
    // The horizontal one first: a product from the right is one for all maps and channels.
    const auto [horizontal, vertical] = add_matrices(to, receiver, path);
    if (horizontal) value = graph_->insert(c10::aten::matmul, {value, horizontal});
    if (vertical) value = graph_->insert(c10::aten::matmul, {vertical, value});
    if (to.height == 0) return value;
    const bool pool = resizes_by_pooling(layer.shape.at(1), layer.shape.at(2), to.height, to.width);
    tj::Value* size = graph_->insertConstant(c10::List<std::int64_t>({to.height, to.width}));
    return pool ? graph_->insert(c10::aten::adaptive_avg_pool2d, {value, size})
                : graph_->insert(c10::aten::upsample_bilinear2d,
                                 {value, size, graph_->insertConstant(false), graph_->insertConstant(c10::IValue()),
                                  graph_->insertConstant(c10::IValue())});
  }

  /// The constant matrices of a resampling, horizontal and vertical; null where it has none. Their buffers' names are
  /// part of the bundle's format.
  std::pair<tj::Value*, tj::Value*> add_matrices(const Resampling& one, ModelIndex receiver, const std::string& path) {
    tj::Value* horizontal = one.horizontal.defined() ? matrix(receiver, path + ".columns", one.horizontal) : nullptr;
    tj::Value* vertical = one.vertical.defined() ? matrix(receiver, path + ".rows", one.vertical) : nullptr;
    return {horizontal, vertical};
  }

  /// In the order in which they would be met.
  void add_all_matrices(const Splice& splice, ModelIndex receiver) {
    const auto of_sides = [&](const Correction& correction, const std::string& folder) {
      for (std::size_t i = 0; i < correction.auxiliary_inputs.size(); ++i)
        add_matrices(correction.auxiliary_inputs[i].resampling, receiver, side_folder(folder, i));
    };
    for (std::size_t i = 0; i < splice.replacements.size(); ++i) {
      const std::string folder = replacement_folder(receiver, i);
      add_matrices(splice.replacements[i].resampling, receiver, folder);
      of_sides(splice.replacements[i].correction, folder);
    }
    for (const ConvRefit& refit : splice.refits) of_sides(refit.correction, refit_folder(receiver, refit.node));
  }

  std::string replacement_folder(ModelIndex receiver, std::size_t number) const {
    return adapter_folder(receiver) + "." + std::to_string(number);
  }
  std::string refit_folder(ModelIndex receiver, int node) const {
    return adapter_folder(receiver) + ".refit" + std::to_string(node);
  }
  static std::string side_folder(const std::string& correction, std::size_t number) {
    return correction + ".side" + std::to_string(number);
  }

  tj::Value* matrix(ModelIndex receiver, const std::string& path, const at::Tensor& values) {
    return parameter(receiver, path, values, content_hash(values), /*added=*/true, /*constant=*/true);
  }

  /// Attribute that holds a receiver's adapters: "shared", or longer where the model has such an attribute itself.
  std::string adapter_folder(ModelIndex receiver) const {
    std::string folder = "shared";
    const auto& parameters = model(receiver).program.parameters;
    const auto clashes = [&](const Parameter& parameter) {
      return parameter.path == folder || parameter.path.starts_with(folder + ".");
    };
    while (std::any_of(parameters.begin(), parameters.end(), clashes)) folder += "_";
    return folder;
  }

  tj::Value* requested(const PlaceRequest& request) {
    const std::vector<tj::Node*> nodes = top_nodes(*model(request.model).graph);
    tj::Node* node = nodes.at(request.place.node);
    return mapped(request.model,
                  request.input ? node->input(0) : node->output(static_cast<std::size_t>(request.place.output)));
  }

  /// Source positions are paths of the machine that exported a model: they stay out of the bundle. Nodes have an empty
  /// source with a name then, not none: the interpreter asks that of a warning for its file.
  static void clear_source(tj::Node* node) {
    static const auto kNowhere = std::make_shared<tj::Source>("", std::string("bundle"), 0);
    node->setSourceRange(tj::SourceRange(kNowhere, 0, 0));
    for (tj::Block* block : node->blocks()) {
      for (tj::Node* inner : block->nodes()) clear_source(inner);
    }
  }

  void drop_unused_inputs(Assembly& assembly, std::span<const PlaceRequest> requests) {
    // Values that only probes will read have no use in the graph: all inputs stay then.
    const bool keep_all = !requests.empty();
    std::vector<AssembledParameter> kept;
    for (std::size_t i = parameters_.size(); i-- > 0;) {
      const std::size_t at = static_cast<std::size_t>(group_count_) + i;
      if (keep_all || graph_->inputs()[at]->hasUses()) {
        kept.push_back(parameters_[i]);
      } else {
        graph_->eraseInput(at);
      }
    }
    assembly.parameters.assign(kept.rbegin(), kept.rend());
    for (int group = group_count_; group-- > 0;) {
      if (keep_all || graph_->inputs()[group]->hasUses()) {
        assembly.input_groups.insert(assembly.input_groups.begin(), group);
      } else {
        graph_->eraseInput(static_cast<std::size_t>(group));
      }
    }
  }

  std::span<const Prepared* const> models_;
  std::span<const int> groups_;
  std::span<const Splice> splices_;
  std::shared_ptr<tj::Graph> graph_;
  int group_count_ = 0;
  std::span<const PlaceRequest> requests_;  // where they are all that is asked for
  std::vector<Role> roles_;                 // per model
  std::vector<std::unordered_map<tj::Value*, tj::Value*>> values_;
  std::map<std::string, tj::Value*> by_content_;
  std::vector<AssembledParameter> parameters_;
};

}  // namespace

std::vector<c10::IValue> Assembly::parameter_values() const {
  std::vector<c10::IValue> values;
  values.reserve(parameters.size());
  for (const AssembledParameter& parameter : parameters) values.push_back(parameter.value);
  return values;
}

Assembly assemble(std::span<const Prepared* const> models, std::span<const int> groups, std::span<const Splice> splices,
                  std::span<const int> wanted, std::span<const PlaceRequest> requests) {
  return Assembler(models, groups, splices).run(wanted, requests);
}

}  // namespace repsim::graph
