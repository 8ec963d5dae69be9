#include <torch/csrc/jit/passes/common_subexpression_elimination.h>
#include <torch/csrc/jit/passes/constant_pooling.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>

#include "adapter_builder.hpp"
#include "graph_access.hpp"
#include "merged_inputs.hpp"
#include "repsim/graph.hpp"
#include "splices.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// Values of a model's prepared graph, and what they are in the merged graph.
using ValueMap = std::unordered_map<tj::Value*, tj::Value*>;

/// Source positions are paths of the machine that exported a model: they stay out of the bundle. Nodes get an empty
/// source with a name instead of none, since the interpreter asks a warning's source for its file.
void clear_source(tj::Node* node) {
  static const auto kNowhere = std::make_shared<tj::Source>("", std::string("bundle"), 0);
  node->setSourceRange(tj::SourceRange(kNowhere, 0, 0));
  for (tj::Block* block : node->blocks()) {
    for (tj::Node* inner : block->nodes()) clear_source(inner);
  }
}

class Assembler {
 public:
  Assembler(std::span<const Prepared* const> models, std::span<const int> groups, std::span<const Splice> splices,
            std::span<const int> wanted, std::span<const PlaceRequest> requests)
      : models_(models),
        groups_(groups),
        splices_(splices),
        wanted_(wanted),
        requests_(requests),
        graph_(std::make_shared<tj::Graph>()),
        inputs_(*graph_, groups),
        values_(models.size()) {}

  Assembly run() {
    const std::vector<ModelIndex> order = execution_order(models_.size(), splices_);
    find_roles(order);
    for (const ModelIndex index : order) {
      if (models_[index]->rewritable) add_model(index);
    }
    for (const ModelIndex index : wanted_)
      graph_->registerOutput(values_[index].at(model(index).graph->outputs().at(0)));
    for (const PlaceRequest& request : requests_) graph_->registerOutput(requested_value(request));
    simplify();
    Assembly assembly;
    assembly.device = models_.front()->device;
    assembly.models.assign(wanted_.begin(), wanted_.end());
    assembly.places = take_places();
    inputs_.finish(/*keep_all=*/!requests_.empty(), assembly);
    assembly.graph = graph_;
    return assembly;
  }

 private:
  /// What the merged graph needs of a model. Dead code elimination keeps checks, prints and loops: what no result needs
  /// must not come in.
  enum class Role {
    kNone,        ///< nothing
    kLayers,      ///< layers that receivers read
    kEverything,  ///< its result, or values that a request names
  };

  /// Nobody asks for a model's result. The graph holds what makes the requested values and nothing behind them: a
  /// replaced value may not have the shape that later operations, checks and prints look for.
  [[nodiscard]] bool places_only() const { return wanted_.empty(); }

  [[nodiscard]] const Prepared& model(ModelIndex index) const { return *models_[index]; }

  [[nodiscard]] const Splice* splice_of(ModelIndex receiver) const {
    const auto found = std::find_if(splices_.begin(), splices_.end(),
                                    [&](const Splice& splice) { return splice.receiver == receiver; });
    return found == splices_.end() ? nullptr : &*found;
  }

  void find_roles(const std::vector<ModelIndex>& order) {
    roles_.assign(models_.size(), places_only() ? Role::kEverything : Role::kNone);
    for (const ModelIndex index : wanted_) roles_[index] = Role::kEverything;
    for (const PlaceRequest& request : requests_) roles_[request.model] = Role::kEverything;
    for (auto receiver = order.rbegin(); receiver != order.rend(); ++receiver) {
      const Splice* splice = splice_of(*receiver);
      if (roles_[*receiver] == Role::kNone || splice == nullptr) continue;
      for (const DonorLayer& one : splice->donor_layers()) {
        if (roles_[one.donor] == Role::kNone) roles_[one.donor] = Role::kLayers;
      }
    }
  }

  void add_model(ModelIndex index) {
    add_inputs(index);
    const Splice* splice = splice_of(index);
    AdapterBuilder adapters(*graph_, inputs_, index, model(index),
                            [this](const DonorLayer& layer) { return donor_value(layer); });
    if (roles_[index] == Role::kNone) {
      // Its tensors and matrices stay known: in the graphs of all methods equal tensors have one name.
      if (splice) adapters.add_matrices(*splice);
      return;
    }
    const tj::WithInsertPoint guard(graph_->block());
    if (splice) {
      add_receiver(index, *splice, adapters);
    } else {
      add_donor(index);
    }
  }

  void add_inputs(ModelIndex index) {
    const Prepared& prepared = model(index);
    ValueMap& map = values_[index];
    const auto inputs = prepared.graph->inputs();
    tj::Value* image = inputs_.group(groups_[index]);
    image->setType(inputs[0]->type());
    map[inputs[0]] = image;
    for (std::size_t i = 0; i < prepared.parameters.size(); ++i) {
      const Parameter& parameter = prepared.program.parameters[i];
      map[inputs[i + 1]] = inputs_.parameter(
          {index, parameter.path, prepared.parameters[i], /*added=*/false, /*constant=*/false, parameter.content});
    }
  }

  /// A model without replacements: all of it, or what makes the layers that others read.
  void add_donor(ModelIndex index) {
    const std::vector<tj::Node*> nodes = top_nodes(*model(index).graph);
    const std::vector<bool> needed =
        roles_[index] == Role::kLayers ? needed_nodes(index, nodes, {}) : std::vector<bool>(nodes.size(), true);
    for (std::size_t position = 0; position < nodes.size(); ++position) {
      if (needed[position]) clone_node(nodes[position], values_[index]);
    }
  }

  void add_receiver(ModelIndex index, const Splice& splice, AdapterBuilder& adapters) {
    ValueMap& map = values_[index];
    const std::vector<tj::Node*> nodes = top_nodes(*model(index).graph);
    std::vector<LayerIndex> replaced;
    for (const FittedReplacement& one : splice.replacements) replaced.push_back(one.receiver_layer);
    // The rule that says what a receiver saves also says what is left out, checks and prints of removed values
    // included.
    const std::vector<bool> needed = needed_nodes(index, nodes, replaced);
    for (int position = 0; position < static_cast<int>(nodes.size()); ++position) {
      tj::Node *original = nodes[position], *clone = nullptr;
      if (needed[position] && is_folded(splice, position)) {
        map[original->output()] = map.at(original->input(0));
      } else if (needed[position]) {
        clone = clone_node(original, map);
      }
      for (std::size_t i = 0; i < splice.replacements.size(); ++i) {
        const Layer& layer = model(index).program.layers[splice.replacements[i].receiver_layer];
        if (layer.node == position)
          map[value_at(nodes, place_of(layer))] = adapters.replaced(splice.replacements[i], i);
      }
      for (const ConvRefit& refit : splice.refits) {
        if (clone && refit.node == position) map[original->output()] = adapters.refitted(clone, refit);
      }
      for (const FittedWeight& weight : splice.weights) {
        if (clone && reads_weight(original, parameter_input(index, weight.parameter)))
          map[original->output()] = adapters.shared(clone, donor_weight(weight), weight);
      }
    }
  }

  /// The input of a model's prepared graph that holds a parameter.
  [[nodiscard]] tj::Value* parameter_input(ModelIndex index, int parameter) const {
    return model(index).graph->inputs().at(static_cast<std::size_t>(parameter) + 1);
  }

  static bool reads_weight(tj::Node* node, const tj::Value* weight) {
    return node->inputs().size() > 1 && node->input(1) == weight;
  }

  /// The donor's weight in the merged graph, which holds the parameters of donors already.
  [[nodiscard]] tj::Value* donor_weight(const SharedWeight& weight) const {
    return values_[weight.donor].at(parameter_input(weight.donor, weight.donor_parameter));
  }

  tj::Node* clone_node(tj::Node* original, ValueMap& map) {
    tj::Node* clone =
        graph_->insertNode(graph_->createClone(original, [&](tj::Value* value) { return map.at(value); }));
    for (std::size_t i = 0; i < original->outputs().size(); ++i) map[original->output(i)] = clone->output(i);
    return clone;
  }

  /// Whether a refitted convolution in front of this node computes what the node would: its normalisation.
  static bool is_folded(const Splice& splice, int position) {
    return std::any_of(splice.refits.begin(), splice.refits.end(),
                       [&](const ConvRefit& refit) { return refit.normalisation == position; });
  }

  /// Per node of a prepared graph whether the merged graph computes it when the layers `replaced` come from elsewhere.
  /// Constants always stay.
  [[nodiscard]] std::vector<bool> needed_nodes(ModelIndex index, const std::vector<tj::Node*>& nodes,
                                               const std::vector<LayerIndex>& replaced) const {
    const Program& program = model(index).program;
    const std::vector<OpIndex> ops = ops_of_nodes(nodes);
    const bool all = !(places_only() && !requests_.empty()) && roles_[index] == Role::kEverything;
    const std::vector<bool> live =
        all ? live_ops(program, replaced) : live_ops(program, replaced, requested_ops(index, ops));
    std::vector<bool> needed;
    for (const OpIndex op : ops) needed.push_back(op < 0 || live[op]);
    return needed;
  }

  /// The ops that make requested values of a model, or the inputs of these, and layers that receivers read.
  [[nodiscard]] std::vector<OpIndex> requested_ops(ModelIndex index, const std::vector<OpIndex>& ops) const {
    const Program& program = model(index).program;
    std::vector<OpIndex> result;
    for (const PlaceRequest& request : requests_) {
      if (!places_only() || request.model != index) continue;
      const OpIndex op = ops.at(request.place.node);
      if (op < 0) continue;
      if (request.input) {
        result.insert(result.end(), program.ops[op].inputs.begin(), program.ops[op].inputs.end());
      } else {
        result.push_back(op);
      }
    }
    for (const Splice& splice : splices_) {
      if (roles_[splice.receiver] == Role::kNone) continue;
      for (const DonorLayer& one : splice.donor_layers()) {
        if (one.donor == index) result.push_back(program.layers[one.donor_layer].op);
      }
    }
    return result;
  }

  [[nodiscard]] DonorValue donor_value(const DonorLayer& from) const {
    const Layer& layer = model(from.donor).program.layers[from.donor_layer];
    const std::vector<tj::Node*> nodes = top_nodes(*model(from.donor).graph);
    return {values_[from.donor].at(value_at(nodes, place_of(layer))), &layer};
  }

  [[nodiscard]] tj::Value* requested_value(const PlaceRequest& request) const {
    const std::vector<tj::Node*> nodes = top_nodes(*model(request.model).graph);
    return values_[request.model].at(request.input ? nodes.at(request.place.node)->input(0)
                                                   : value_at(nodes, request.place));
  }

  void simplify() {
    for (tj::Node* node : graph_->nodes()) clear_source(node);
    const auto policy = places_only() ? tj::DCESideEffectPolicy::ALLOW_DELETING_NODES_WITH_SIDE_EFFECTS
                                      : tj::DCESideEffectPolicy::DONT_DELETE_NODES_WITH_SIDE_EFFECTS;
    tj::EliminateDeadCode(graph_, policy);
    tj::ConstantPooling(graph_);
    // Pooled constants and unified parameters make identical computations visible; they are done once from here on.
    tj::EliminateCommonSubexpression(graph_);
    tj::EliminateDeadCode(graph_, policy);
    graph_->lint();
  }

  /// Where the requested values are now. They are no outputs of the graph from here on.
  std::vector<Place> take_places() {
    const NodePositions positions = node_positions(top_nodes(*graph_));
    std::vector<Place> places;
    for (std::size_t i = wanted_.size(); i < graph_->outputs().size(); ++i) {
      const tj::Value* value = graph_->outputs()[i];
      const auto found = positions.find(value->node());
      places.push_back(found == positions.end() ? Place{} : Place{found->second, static_cast<int>(value->offset())});
    }
    while (graph_->outputs().size() > wanted_.size()) graph_->eraseOutput(graph_->outputs().size() - 1);
    return places;
  }

  std::span<const Prepared* const> models_;
  std::span<const int> groups_;
  std::span<const Splice> splices_;
  std::span<const int> wanted_;
  std::span<const PlaceRequest> requests_;
  std::shared_ptr<tj::Graph> graph_;
  MergedInputs inputs_;
  std::vector<Role> roles_;       // per model
  std::vector<ValueMap> values_;  // per model
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
  return Assembler(models, groups, splices, wanted, requests).run();
}

}  // namespace repsim::graph
