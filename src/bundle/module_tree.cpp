#include "module_tree.hpp"

#include <cctype>
#include <sstream>

namespace repsim::bundle {
namespace {

namespace tj = torch::jit;

/// "fastestdet.backbone.stage1.0" -> "__torch__.fastestdet.backbone.stage1._0": every part an identifier.
std::string class_name(const std::string& path) {
  std::string result = "__torch__";
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '.');) {
    for (char& c : part) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    }
    result += std::isdigit(static_cast<unsigned char>(part.front())) != 0 ? "._" + part : "." + part;
  }
  return result;
}

}  // namespace

ModuleTree::ModuleTree(const std::vector<std::string>& identifiers)
    : identifiers_(identifiers), unit_(std::make_shared<tj::CompilationUnit>()), root_(make("__torch__.Bundle")) {}

void ModuleTree::place(const graph::AssembledParameter& parameter, bool is_buffer) {
  const c10::IValue& value = parameter.value;
  if (paths_.count(value.internalToPointer()) > 0) return;
  std::string path = identifiers_[parameter.model] + "." + parameter.path;
  while (!taken_.insert(path).second) path += "_";
  paths_[value.internalToPointer()] = path;
  const auto dot = path.rfind('.');
  tj::Module& owner = module(path.substr(0, dot));
  if (value.isTensor()) {
    owner.register_parameter(path.substr(dot + 1), model::movable(value.toTensor()), is_buffer);
  } else {
    owner.register_attribute(path.substr(dot + 1), value.type(), value);
  }
}

void ModuleTree::cut_memory() { model::cut_memory(root_); }

tj::Module ModuleTree::make(const std::string& class_name) {
  tj::Module made(c10::QualifiedName(class_name), unit_, /*shouldMangle=*/false);
  made.register_attribute("training", c10::BoolType::get(), false);
  return made;
}

tj::Module& ModuleTree::module(const std::string& path) {
  if (const auto found = modules_.find(path); found != modules_.end()) return found->second;
  const auto dot = path.rfind('.');
  const std::string name = dot == std::string::npos ? path : path.substr(dot + 1);
  tj::Module made = make(class_name(path));
  tj::Module& parent = dot == std::string::npos ? root_ : module(path.substr(0, dot));
  parent.register_module(name, made);
  return modules_.emplace(path, made).first->second;
}

tj::Value* AttributeReader::get(const std::string& path) {
  if (const auto found = values_.find(path); found != values_.end()) return found->second;
  const auto dot = path.rfind('.');
  tj::Value* owner = get(dot == std::string::npos ? "" : path.substr(0, dot));
  return values_[path] = graph_.insertGetAttr(owner, dot == std::string::npos ? path : path.substr(dot + 1));
}

}  // namespace repsim::bundle
