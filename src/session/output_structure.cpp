#include "output_structure.hpp"

namespace repsim::session {

std::string output_structure(const c10::IValue& value) {
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    std::string text = std::string(c10::toString(tensor.scalar_type())) + "[";
    for (std::int64_t i = 0; i < tensor.dim(); ++i) text += (i > 0 ? "," : "") + std::to_string(tensor.size(i));
    return text + "]";
  }
  std::string inner;
  const auto add = [&](const std::string& part) { inner += (inner.empty() ? "" : ", ") + part; };
  if (value.isTuple()) {
    for (const auto& element : value.toTupleRef().elements()) add(output_structure(element));
    return "tuple(" + inner + ")";
  }
  if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) add(output_structure(element));
    return "list(" + inner + ")";
  }
  if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict())
      add((entry.key().isString() ? entry.key().toStringRef() : "?") + ": " + output_structure(entry.value()));
    return "dict(" + inner + ")";
  }
  return value.tagKind();
}

}  // namespace repsim::session
