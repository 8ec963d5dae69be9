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

}  // namespace

std::vector<at::Tensor> stored_tensors(const c10::IValue& value) {
  Collector collector;
  collector.visit(value);
  return collector.take();
}

std::vector<at::Tensor> stored_tensors(const torch::jit::Module& module) {
  return stored_tensors(c10::IValue(module._ivalue()));
}

}  // namespace repsim::graph
