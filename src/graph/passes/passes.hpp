#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

/// Small rewrites of one graph. prepare.cpp lists them in order.
namespace repsim::graph {

/// Replaces calls by their bodies and writes the module path of the call into the scope of the inlined nodes ("" for
/// the root's own code). Scopes are unused after loading, and they survive later rewrites and copies. A call through an
/// interface goes to the module that the model holds; a fork runs in place. Calls of foreign functions stay.
/// @return how many calls were inlined
int inline_modules(const std::shared_ptr<torch::jit::Graph>& graph, const torch::jit::Module& module);

/// The module path that inline_modules left on a node.
std::string module_path(torch::jit::Node& node);

/// Replaces reads of the attribute `training` by false: repsim runs graphs in evaluation mode only.
/// @return how many reads were replaced
int fold_training(const std::shared_ptr<torch::jit::Graph>& graph);

/// A value of the model that became a graph input: a tensor, or an object that holds tensors (a list, a dict, the
/// packed weights of a quantised module).
struct Lifted {
  std::string path;
  c10::IValue value;
  bool constant = false;  ///< it was a constant of the code, not an attribute
};

/// Whether a value is a tensor or holds tensors: a container, or an object such as the packed weights of a quantised
/// module.
bool holds_tensors(const c10::IValue& value);

/// Turns reads of attributes that hold tensors into graph inputs (appended in order of first use) and of plain
/// attributes into constants. Afterwards the graph knows no module, and its first input is the image.
/// @param reason  set when the graph uses its module in another way (it writes an attribute, or calls code that belongs
///                to no module); the graph is then unusable
std::vector<Lifted> lift_attributes(const std::shared_ptr<torch::jit::Graph>& graph, const torch::jit::Module& module,
                                    std::string& reason);

/// Turns constants of the code that hold tensors into graph inputs named constants.0, ...: frozen archives keep all
/// their weights as such constants. Single numbers stay constants.
/// @param folder  the name to use instead of `constants` where the module has such an attribute
std::vector<Lifted> lift_constants(const std::shared_ptr<torch::jit::Graph>& graph, const std::string& folder);

/// Replaces aten::dim of values whose rank is known by that rank. That decides branches in functions such as
/// F.interpolate.
/// @param ranks  observed in a run; other values stay as they are
/// @return how many were replaced
int fold_ranks(const std::shared_ptr<torch::jit::Graph>& graph,
               const std::unordered_map<const torch::jit::Value*, std::int64_t>& ranks);

/// Gives code that writes into the image a copy of its own, since all models of an input group read one tensor.
/// @return whether there is such a write
bool copy_written_image(const std::shared_ptr<torch::jit::Graph>& graph);

/// Computes numbers, strings and lists of these that depend on constants alone and that nothing writes to. Tensors stay
/// computed: as constants they would add bytes to the file.
/// @return how many values became constants
int fold_plain(const std::shared_ptr<torch::jit::Graph>& graph);

/// Replaces a list that is filled by appends in a straight line, before anything reads it, by a list that is made at
/// once. Without writes the list can be constant, and two models' lists can be recognised as equal.
/// @return how many lists were replaced
int fold_appends(const std::shared_ptr<torch::jit::Graph>& graph);

/// Replaces in-place activations and sums by their plain forms where they write into new memory that nothing has read
/// before. That is exact, whatever later operations do with the result. @return how many were replaced
int functional_in_place(const std::shared_ptr<torch::jit::Graph>& graph);

/// Replaces reads of objects and of dicts with string keys by the values themselves, where the graph makes the
/// aggregate and writes it only in a straight line. Feature pyramids that travel in a dict, or in a class of the
/// exporter, become plain data flow. @return how many aggregates are gone
int forward_aggregates(const std::shared_ptr<torch::jit::Graph>& graph);

/// Drops writes of the model to its own attributes, where they stand in a straight line. Later reads in the call become
/// the written value, earlier ones the value in the archive. To be repeated with simplify() in between: a branch that
/// is decided may hold the next write. The caller has to make sure that the state that one call leaves does not matter
/// to the next.
/// @return how many reads and writes were resolved
int forward_state(const std::shared_ptr<torch::jit::Graph>& graph, const torch::jit::Module& module);

/// Drops loops whose results nothing reads and that neither print, check nor write. Torch keeps every loop, since it
/// may have no end; then weights that no result needs would stay in the file. @return how many were dropped
int drop_dead_loops(const std::shared_ptr<torch::jit::Graph>& graph);

/// Constant propagation, peepholes, simple tuples, loops of constant length, dead code. Runs between the passes above.
void simplify(std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace repsim::graph
