#include "op_table.hpp"

#include <unordered_map>

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

const std::unordered_map<std::string, OpInfo>& table() {
  static const std::unordered_map<std::string, OpInfo> kTable = [] {
    std::unordered_map<std::string, OpInfo> ops;
    const auto add = [&](OpInfo info, std::initializer_list<const char*> names) {
      for (const char* name : names) ops[name] = info;
    };
    add({Role::kLinear, "conv"}, {"aten::conv2d", "aten::_convolution", "aten::convolution", "aten::conv1d",
                                  "aten::conv3d", "aten::conv_transpose2d", "aten::conv_transpose1d"});
    add({Role::kLinear, "linear"}, {"aten::linear", "aten::addmm"});
    add({Role::kLinear, "matmul"}, {"aten::matmul", "aten::mm", "aten::bmm", "aten::baddbmm", "aten::einsum",
                                    "aten::scaled_dot_product_attention"});
    add({Role::kFollow, "norm"}, {"aten::batch_norm", "aten::layer_norm", "aten::group_norm", "aten::instance_norm"});
    add({Role::kFollow, "activation"},
        {"aten::relu",        "aten::relu_",    "aten::relu6",     "aten::relu6_",    "aten::leaky_relu",
         "aten::leaky_relu_", "aten::silu",     "aten::silu_",     "aten::hardswish", "aten::hardswish_",
         "aten::hardsigmoid", "aten::hardtanh", "aten::hardtanh_", "aten::gelu",      "aten::elu",
         "aten::selu",        "aten::prelu",    "aten::mish",      "aten::softplus",  "aten::sigmoid",
         "aten::tanh",        "aten::clamp",    "aten::clamp_",    "aten::clamp_min", "aten::softmax",
         "aten::log_softmax"});
    add({Role::kJoin, "add"}, {"aten::add", "aten::add_"});
    add({Role::kJoin, "mul"}, {"aten::mul", "aten::mul_"});
    add({Role::kJoin, "cat"}, {"aten::cat", "aten::concat", "aten::stack"});
    add({Role::kPool, "pool"}, {"aten::max_pool2d", "aten::avg_pool2d", "aten::adaptive_avg_pool2d",
                                "aten::adaptive_max_pool2d", "aten::max_pool2d_with_indices", "aten::mean"});
    add({Role::kPool, "upsample"}, {"aten::upsample_nearest2d", "aten::upsample_bilinear2d", "aten::upsample_bicubic2d",
                                    "aten::_upsample_nearest_exact2d", "aten::__interpolate", "aten::pixel_shuffle"});
    add({Role::kPool, "pad"},
        {"aten::pad", "aten::constant_pad_nd", "aten::reflection_pad2d", "aten::replication_pad2d"});
    add({Role::kBranch, "branch"}, {"prim::If"});
    return ops;
  }();
  return kTable;
}

std::int64_t product(const std::vector<std::int64_t>& sizes) {
  std::int64_t result = 1;
  for (const std::int64_t size : sizes) result *= size;
  return result;
}

}  // namespace

OpInfo op_info(const tj::Node& node) {
  const auto found = table().find(node.kind().toQualString());
  if (found != table().end()) return found->second;
  if (is_view(node)) return {Role::kView, "view"};
  return {};
}

bool is_view(const tj::Node& node) {
  static const std::set<std::string> kMayAlias = {"aten::reshape", "aten::contiguous", "aten::flatten",   "aten::to",
                                                  "aten::type_as", "aten::expand_as",  "aten::reshape_as"};
  if (kMayAlias.count(node.kind().toQualString()) > 0 || node.kind() == c10::prim::ListUnpack) return true;
  const c10::FunctionSchema* schema = node.maybeSchema();
  if (!schema || schema->returns().empty()) return false;
  const c10::AliasInfo* alias = schema->returns()[0].alias_info();
  return alias && !alias->isWrite();
}

bool reads_shape_only(const tj::Node& node) {
  static const std::set<std::string> kShape = {"aten::size",
                                               "aten::dim",
                                               "aten::len",
                                               "prim::device",
                                               "prim::dtype",
                                               "prim::shape",
                                               "aten::is_floating_point",
                                               "aten::numel",
                                               "prim::layout",
                                               "aten::__is__",
                                               "aten::__isnot__"};
  return kShape.count(node.kind().toQualString()) > 0;
}

std::int64_t flops_of(const tj::Node& node,
                      const std::function<const std::vector<std::int64_t>*(const tj::Value*)>& sizes) {
  if (node.outputs().empty() || !node.kind().is_aten() || is_view(node) || reads_shape_only(node)) return 0;
  const std::vector<std::int64_t>* out = sizes(node.output(0));
  if (!out) return 0;
  const std::int64_t elements = product(*out);
  const std::string kind = node.kind().toQualString();
  const OpInfo info = op_info(node);
  if (info.role == Role::kLinear) {
    const std::string name = info.kind;
    const auto* input = sizes(node.input(0));
    if (name == "conv") {
      const auto* weight = sizes(node.input(1));
      if (!weight || weight->size() < 3) return 0;
      // Transposed: every input element meets a kernel; else every output element does.
      bool transposed = kind.starts_with("aten::conv_transpose");
      if ((kind == "aten::_convolution" || kind == "aten::convolution") && node.inputs().size() > 6) {
        if (const auto constant = tj::toIValue(node.input(6))) transposed = constant->toBool();
      }
      if (transposed && !input) return 0;
      return 2 * (transposed ? product(*input) : elements) * (product(*weight) / (*weight)[0]);
    }
    const auto* depth_of = kind == "aten::addmm" || kind == "aten::baddbmm" ? sizes(node.input(1)) : input;
    return depth_of && !depth_of->empty() ? 2 * elements * depth_of->back() : 0;
  }
  if (std::string(info.kind) == "norm") return 2 * elements;
  return elements;
}

}  // namespace repsim::graph
