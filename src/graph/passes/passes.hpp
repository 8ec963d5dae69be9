#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/script.h>

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

/// Small rewrites of one graph. Each returns what it changed; prepare.cpp lists them in order.
namespace repsim::graph {

/// Replaces every call by its body and writes the module path of the call into the scope of the inlined nodes ("" for
/// the root's own code): after loading, scopes are free, and they survive later rewrites and copies.
/// Calls through interfaces go to the module that is there; forks run in place.
/// @return how many calls were inlined; calls that cannot be (foreign functions) stay
int inline_modules(const std::shared_ptr<torch::jit::Graph>& graph, const torch::jit::Module& module);

/// The module path that inline_modules left on a node.
std::string module_path(torch::jit::Node& node);

/// Replaces reads of the attribute `training` by false: the graph is only ever run in evaluation mode.
int fold_training(const std::shared_ptr<torch::jit::Graph>& graph);

/// What a model holds and its graph reads: it became a graph input. A tensor, or what tensors are kept in: a list, a
/// dict, the packed weights of a quantised module.
struct Lifted {
  std::string path;
  c10::IValue value;
  bool constant = false;  ///< stood in the code, not in an attribute
};

/// A tensor, or what holds tensors: a container of them, an object such as the packed weights of a quantised module.
bool holds_tensors(const c10::IValue& value);

/// Turns reads of attributes that hold tensors into graph inputs (appended in order of first use) and of plain
/// attributes into constants; afterwards the graph knows no module and its first input is the image.
/// @param reason  set when the graph uses its module in another way (writes an attribute, calls what is no module's
///                code): the graph is then unusable
std::vector<Lifted> lift_attributes(const std::shared_ptr<torch::jit::Graph>& graph, const torch::jit::Module& module,
                                    std::string& reason);

/// Turns constants of the code that hold tensors into graph inputs named constants.0, ...: frozen archives keep all
/// their weights so. Single numbers stay constants.
/// @param folder  the name to use instead of `constants` where the module has such an attribute
std::vector<Lifted> lift_constants(const std::shared_ptr<torch::jit::Graph>& graph, const std::string& folder);

/// Replaces aten::dim of values whose rank was observed by that rank, which resolves the branches that F.interpolate
/// and friends take by rank. Values never seen are left alone.
int fold_ranks(const std::shared_ptr<torch::jit::Graph>& graph,
               const std::unordered_map<const torch::jit::Value*, std::int64_t>& ranks);

/// Gives code that writes into the image a copy of its own: models of one input read the same tensor. @return whether
/// there was such a write
bool copy_written_image(const std::shared_ptr<torch::jit::Graph>& graph);

/// Computes beforehand what depends on constants alone: numbers, strings and lists of them that nobody writes to.
/// Tensors are left to be computed where they were: as constants they would add bytes to the file.
/// @return how many values became constants
int fold_plain(const std::shared_ptr<torch::jit::Graph>& graph);

/// Makes lists that are filled by appends in a straight line, before anybody reads them, at once: what nobody writes to
/// is constant, and is seen to be the same in two models. @return how many
int fold_appends(const std::shared_ptr<torch::jit::Graph>& graph);

/// Replaces in-place activations and sums by their plain forms where the memory that they write is new and nobody
/// looked at it before: exact without any knowledge of what becomes of the result. @return how many
int functional_in_place(const std::shared_ptr<torch::jit::Graph>& graph);

/// Takes apart objects and dicts (keys: strings) that are made in the graph and only written in a straight line: reads
/// become the values themselves. Feature pyramids that travel in a dict, or in a class of the exporter, become plain
/// data flow so. @return how many
int forward_aggregates(const std::shared_ptr<torch::jit::Graph>& graph);

/// Drops what the model writes to its own attributes in a straight line: later reads in the same call become the value
/// written, earlier ones the value in the archive. To be repeated with simplify in between: a branch that is decided so
/// may hold the next write. The caller has to make sure that what one call leaves behind does not matter to the next.
/// @return how many reads and writes were resolved
int forward_state(const std::shared_ptr<torch::jit::Graph>& graph, const torch::jit::Module& module);

/// Drops loops whose results nobody reads and that neither print, check nor write. Torch keeps every loop, since it may
/// have no end; with it, weights that no result needs would stay in the file. @return how many
int drop_dead_loops(const std::shared_ptr<torch::jit::Graph>& graph);

/// Constant propagation, peepholes, simple tuples, loops of constant length, dead code: run between the passes above.
void simplify(std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace repsim::graph
