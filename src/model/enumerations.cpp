#include "enumerations.hpp"

#include <torch/csrc/jit/api/function_impl.h>
#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "repsim/base/error.hpp"

namespace repsim::model {
namespace {

namespace tj = torch::jit;

/// What an operator's schema says of an argument that its code gives as a number.
struct Enumeration {
  const char* name;
  std::int64_t count;  // valid are 0 to count - 1
};

std::optional<Enumeration> enumeration_of(const c10::TypePtr& type) {
  if (const auto optional = type->cast<c10::OptionalType>()) return enumeration_of(optional->getElementType());
  switch (type->kind()) {
    case c10::TypeKind::ScalarTypeType:
      return Enumeration{"dtype", static_cast<std::int64_t>(c10::ScalarType::Undefined)};
    case c10::TypeKind::LayoutType:
      return Enumeration{"layout", static_cast<std::int64_t>(c10::Layout::NumOptions)};
    case c10::TypeKind::MemoryFormatType:
      return Enumeration{"memory format", static_cast<std::int64_t>(c10::MemoryFormat::NumOptions)};
    default:
      return std::nullopt;
  }
}

void check_node(const tj::Node& node, const std::string& path) {
  const c10::FunctionSchema* schema = node.maybeSchema();
  if (schema == nullptr) return;
  for (std::size_t i = 0; i < std::min(schema->arguments().size(), node.inputs().size()); ++i) {
    const auto enumeration = enumeration_of(schema->arguments()[i].real_type());
    const auto value = enumeration ? tj::toIValue(node.input(i)) : std::nullopt;
    if (!value || !value->isInt() || (value->toInt() >= 0 && value->toInt() < enumeration->count)) continue;
    throw input_error("the code gives " + std::string(node.kind().toQualString()) + " the " + enumeration->name + " " +
                          std::to_string(value->toInt()) + ", and Torch has no such one",
                      path, "export the model again, with this version of Torch or an older one");
  }
}

void check_block(const tj::Block& block, const std::string& path) {
  for (const tj::Node* node : block.nodes()) {
    check_node(*node, path);
    for (const tj::Block* inner : node->blocks()) check_block(*inner, path);
  }
}

}  // namespace

void check_enumerations(const torch::jit::Module& module, const std::string& path) {
  for (tj::Function* function : module._ivalue()->compilation_unit()->get_functions()) {
    if (const auto* code = tj::tryToGraphFunction(*function)) check_block(*code->graph()->block(), path);
  }
}

}  // namespace repsim::model
