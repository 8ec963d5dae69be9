#include <algorithm>
#include <string_view>

#include "repsim/program.hpp"

namespace repsim::graph {
namespace {

constexpr std::int64_t kPicosecondsPerNanosecond = 1000;

bool is_convolution(const Op& op) { return op.kind.find("conv") != std::string::npos; }

bool is_any_of(std::string_view kind, std::initializer_list<std::string_view> kinds) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

/// The shape of a convolution's weight, [out, in of a group, height, width]; nothing for those that adapters add.
const std::vector<std::int64_t>* weight_shape(const Program& program, const Op& op) {
  constexpr std::size_t kDimensions = 4;
  for (const int parameter : op.parameters) {
    const std::vector<std::int64_t>& shape = program.parameters[parameter].shape;
    if (shape.size() == kDimensions) return &shape;
  }
  return nullptr;
}

const OpCost& convolution_cost(const Program& program, const Op& op) {
  const std::vector<std::int64_t>* shape = weight_shape(program, op);
  const bool is_pointwise = shape == nullptr || (*shape)[2] * (*shape)[3] == 1;
  if (is_pointwise) return kPointwiseCost;
  const bool is_depthwise = (*shape)[1] == 1 && (*shape)[0] > 1;
  return is_depthwise ? kDepthwiseCost : kConvolutionCost;
}

const OpCost& cost_of(const Program& program, const Op& op) {
  if (is_convolution(op)) return convolution_cost(program, op);
  if (is_any_of(op.kind, {"aten::max_pool2d", "aten::max_pool2d_with_indices", "aten::adaptive_max_pool2d"}))
    return kMaxPoolCost;
  if (op.kind.starts_with("aten::upsample") ||
      is_any_of(op.kind, {"aten::avg_pool2d", "aten::adaptive_avg_pool2d", "aten::_upsample_nearest_exact2d",
                          "aten::__interpolate"}))
    return kResizeCost;
  return kOtherCost;
}

}  // namespace

std::vector<std::int64_t> op_latencies_ns(const Program& program) {
  // Bytes of each op's value; of a view those of the memory that it looks at.
  std::vector<std::int64_t> held(program.ops.size(), 0);
  std::vector<std::int64_t> latencies;
  latencies.reserve(program.ops.size());
  for (std::size_t i = 0; i < program.ops.size(); ++i) {
    const Op& op = program.ops[i];
    std::int64_t read = 0;
    for (const int input : op.inputs) read += held[input];
    held[i] = op.output_bytes > 0 ? op.output_bytes : read;
    std::int64_t moved = read + op.output_bytes;
    for (const int parameter : op.parameters) moved += program.parameters[parameter].bytes;
    const bool works = op.flops > 0 || op.output_bytes > 0;
    latencies.push_back(works ? cost_of(program, op).nanoseconds(op.flops, moved) : 0);
  }
  return latencies;
}

std::int64_t OpCost::nanoseconds(std::int64_t flops, std::int64_t bytes) const {
  return overhead_ns + (flops * ps_per_flop + bytes * ps_per_byte) / kPicosecondsPerNanosecond;
}

std::int64_t total_latency_ns(const Program& program) {
  const std::vector<bool> live = live_ops(program, {});
  const std::vector<std::int64_t> latencies = op_latencies_ns(program);
  std::int64_t total = 0;
  for (std::size_t op = 0; op < latencies.size(); ++op) {
    if (live[op]) total += latencies[op];
  }
  return total;
}

}  // namespace repsim::graph
