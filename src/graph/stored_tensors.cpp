#include <set>

#include "repsim/graph.hpp"

namespace repsim::graph {
namespace {

/// Walks values and collects the tensors that an archive would store of them, each tensor and object once.
class Collector {
 public:
  void visit(const c10::IValue& value) {
    if (value.isTensor()) {
      const at::Tensor& tensor = value.toTensor();
      if (tensor.defined() && seen_.insert(tensor.unsafeGetTensorImpl()).second) tensors_.push_back(tensor);
    } else if (value.isTuple()) {
      for (const auto& element : value.toTupleRef().elements()) visit(element);
    } else if (value.isList()) {
      for (const c10::IValue& element : value.toListRef()) visit(element);
    } else if (value.isGenericDict()) {
      for (const auto& entry : value.toGenericDict()) visit(entry.value());
    } else if (value.isObject() && seen_.insert(value.internalToPointer()).second) {
      object(value);
    }
  }

  std::vector<at::Tensor> take() { return std::move(tensors_); }

 private:
  /// An archive stores of a custom class what its __getstate__ returns: packed weights come out as tensors. Modules
  /// have one too in some archives, but their attributes hold the same tensors.
  void object(const c10::IValue& value) {
    if (!value.isModule()) {
      if (auto* state = value.toObjectRef().type()->findMethod("__getstate__")) return visit((*state)({value}));
    }
    for (const c10::IValue& slot : value.toObjectRef().slots()) visit(slot);
  }

  std::set<const void*> seen_;
  std::vector<at::Tensor> tensors_;
};

/// What is stored of a sparse tensor: its values, and where they are; of one that is quantised by channels: also their
/// scales and zero points.
std::vector<at::Tensor> parts_of(const at::Tensor& tensor) {
  if (tensor.is_quantized() &&
      (tensor.qscheme() == at::kPerChannelAffine || tensor.qscheme() == at::kPerChannelAffineFloatQParams))
    return {tensor, tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()};
  switch (tensor.layout()) {
    case at::kSparse:
      return {tensor._values(), tensor._indices()};
    case at::kSparseCsr:
    case at::kSparseBsr:
      return {tensor.values(), tensor.crow_indices(), tensor.col_indices()};
    case at::kSparseCsc:
    case at::kSparseBsc:
      return {tensor.values(), tensor.ccol_indices(), tensor.row_indices()};
    default:
      return {tensor};
  }
}

}  // namespace

StoredSize& StoredSize::operator+=(const StoredSize& more) {
  elements += more.elements;
  bytes += more.bytes;
  count += more.count;
  return *this;
}

StoredSize StoredMemory::add(std::span<const at::Tensor> tensors) {
  StoredSize size;
  for (const at::Tensor& tensor : tensors) {
    bool are_values = true;  // the first part is
    for (const at::Tensor& part : parts_of(tensor)) {
      const bool whole = part.has_storage();
      const void* const memory = whole ? static_cast<const void*>(part.storage().unsafeGetStorageImpl())
                                       : static_cast<const void*>(part.unsafeGetTensorImpl());
      if (seen_.insert(memory).second) {
        kept_.push_back(part);
        const auto bytes = static_cast<std::int64_t>(whole ? part.storage().nbytes() : part.nbytes());
        size.bytes += bytes;
        ++size.count;
        if (are_values) size.elements += bytes / static_cast<std::int64_t>(part.itemsize());
      }
      are_values = false;
    }
  }
  return size;
}

std::vector<at::Tensor> stored_tensors(const c10::IValue& value) {
  Collector collector;
  collector.visit(value);
  return collector.take();
}

std::vector<at::Tensor> stored_tensors(const torch::jit::Module& module) {
  return stored_tensors(c10::IValue(module._ivalue()));
}

}  // namespace repsim::graph
