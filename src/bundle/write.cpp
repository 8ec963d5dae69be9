#include <torch/csrc/jit/frontend/schema_matching.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include "archive.hpp"
#include "repsim/bundle.hpp"

namespace repsim::bundle {
namespace {

namespace tj = torch::jit;

/// The root module and the tree of submodules that hold the parameters under their original names.
class Tree {
 public:
  explicit Tree(const std::vector<std::string>& identifiers)
      : identifiers_(identifiers), unit_(std::make_shared<tj::CompilationUnit>()), root_(make("__torch__.Bundle")) {}

  tj::Module& root() { return root_; }
  std::shared_ptr<tj::CompilationUnit> unit() { return unit_; }

  /// Where a value is, once place() has seen it.
  [[nodiscard]] const std::string& path_of(const c10::IValue& value) const {
    return paths_.at(value.internalToPointer());
  }

  /// Registers a tensor, or what holds tensors, under its wanted path. Where another tensor has that path already (a
  /// refitted weight whose original is still used by another model that had the same), an underscore is added.
  void place(const graph::AssembledParameter& parameter, bool is_buffer) {
    const c10::IValue& value = parameter.value;
    if (paths_.count(value.internalToPointer()) > 0) return;
    std::string path = identifiers_[parameter.model] + "." + parameter.path;
    while (!taken_.insert(path).second) path += "_";
    paths_[value.internalToPointer()] = path;
    const auto dot = path.rfind('.');
    tj::Module& owner = module(path.substr(0, dot));
    if (value.isTensor()) {
      owner.register_parameter(path.substr(dot + 1), value.toTensor(), is_buffer);
    } else {
      owner.register_attribute(path.substr(dot + 1), value.type(), value);
    }
  }

 private:
  tj::Module make(const std::string& class_name) {
    tj::Module made(c10::QualifiedName(class_name), unit_, /*shouldMangle=*/false);
    made.register_attribute("training", c10::BoolType::get(), false);
    return made;
  }

  tj::Module& module(const std::string& path) {
    if (const auto found = modules_.find(path); found != modules_.end()) return found->second;
    const auto dot = path.rfind('.');
    const std::string name = dot == std::string::npos ? path : path.substr(dot + 1);
    tj::Module made = make(class_name(path));
    tj::Module& parent = dot == std::string::npos ? root_ : module(path.substr(0, dot));
    parent.register_module(name, made);
    return modules_.emplace(path, made).first->second;
  }

  /// "fastestdet.backbone.stage1.0" -> "__torch__.fastestdet.backbone.stage1._0": every part an identifier.
  static std::string class_name(const std::string& path) {
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

  const std::vector<std::string>& identifiers_;
  std::shared_ptr<tj::CompilationUnit> unit_;
  tj::Module root_;
  std::map<std::string, tj::Module> modules_;
  std::set<std::string> taken_;
  std::unordered_map<const void*, std::string> paths_;
};

/// Reads attributes from self, each prefix of a path once.
class Reader {
 public:
  Reader(tj::Graph& graph, tj::Value* self) : graph_(graph) { values_[""] = self; }

  tj::Value* get(const std::string& path) {
    if (const auto found = values_.find(path); found != values_.end()) return found->second;
    const auto dot = path.rfind('.');
    tj::Value* owner = get(dot == std::string::npos ? "" : path.substr(0, dot));
    return values_[path] = graph_.insertGetAttr(owner, dot == std::string::npos ? path : path.substr(dot + 1));
  }

 private:
  tj::Graph& graph_;
  std::map<std::string, tj::Value*> values_;
};

class Writer {
 public:
  Writer(const capture::ModelSet& set, std::span<const model::Loaded* const> loaded,
         std::span<const graph::Splice> splices)
      : set_(set), loaded_(loaded), splices_(splices), identifiers_(identifiers(names(set))), tree_(identifiers_) {}

  Written run(const std::string& manifest) {
    std::vector<int> all(set_.models.size());
    std::iota(all.begin(), all.end(), 0);
    for (const int index : all) {
      if (model(index).rewritable) continue;
      whole_.emplace(index, loaded_[index]->module.deepcopy());  // gets others' tensors further down
      tree_.root().register_module(identifiers_[index], whole_.at(index));
    }
    add_method("forward", all, /*all_inputs=*/true);
    share_with_whole_models();
    for (const int index : all) add_method("run_" + identifiers_[index], {index}, /*all_inputs=*/false);

    Written written;
    count(written);
    std::ostringstream stream;
    tree_.root().save(stream, {{"repsim.json", manifest}});
    written.bytes = without_debug_records(stream.str());
    return written;
  }

 private:
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }

  static std::vector<std::string> names(const capture::ModelSet& set) {
    std::vector<std::string> result;
    for (const graph::Prepared* model : set.models) result.push_back(model->name);
    return result;
  }

  const graph::Prepared& model(int index) const { return *set_.models[index]; }

  bool is_buffer(const graph::AssembledParameter& parameter) {
    if (parameter.added) return parameter.constant;
    auto& names = parameter_names_[parameter.model];
    if (names.empty()) {
      for (const auto& named : loaded_[parameter.model]->module.named_parameters()) names.insert(named.name);
    }
    return names.count(parameter.path) == 0;
  }

  void add_method(const std::string& name, const std::vector<ModelIndex>& members, bool all_inputs) {
    std::vector<int> rewritable;
    for (const int index : members) {
      if (model(index).rewritable) rewritable.push_back(index);
    }
    graph::Assembly assembly = graph::assemble(set_.models, set_.groups, splices_, rewritable);
    const std::shared_ptr<tj::Graph> graph = assembly.graph;

    // Inputs: the groups that the members need, and for forward the others too: its signature is one per group.
    std::set<int> wanted(assembly.input_groups.begin(), assembly.input_groups.end());
    for (const int index : members) {
      if (!model(index).rewritable) wanted.insert(set_.groups[index]);
    }
    for (int group = 0; all_inputs && group < static_cast<int>(set_.specs.size()); ++group) wanted.insert(group);
    std::map<int, tj::Value*> image;
    std::size_t position = 0, next = 0;
    for (const int group : wanted) {
      if (next < assembly.input_groups.size() && assembly.input_groups[next] == group) {
        ++next;
      } else {
        tj::Value* added = graph->insertInput(position, "x" + std::to_string(group));
        const bool list = set_.specs[group].kind == model::InputKind::kList;
        added->setType(list ? c10::TypePtr(c10::ListType::ofTensors()) : c10::TypePtr(c10::TensorType::get()));
      }
      image[group] = graph->inputs()[position++];
    }

    tj::Value* self = graph->insertInput(0, "self");
    for (const bool added : {false, true}) {  // the models' own tensors have the first choice of names
      for (const graph::AssembledParameter& parameter : assembly.parameters) {
        if (parameter.added == added) tree_.place(parameter, is_buffer(parameter));
      }
    }
    for (const graph::AssembledParameter& parameter : assembly.parameters) {
      if (!all_inputs || parameter.added) continue;
      for (const at::Tensor& tensor : graph::stored_tensors(parameter.value)) {
        stored_bytes_ += static_cast<std::int64_t>(tensor.nbytes());
      }
      ++stored_tensors_;
      if (parameter.value.isTensor() && !parameter.value.toTensor().is_quantized()) {
        by_content_.emplace(graph::content_hash(parameter.value.toTensor()), parameter.value.toTensor());
      }
    }
    self->setType(tree_.root().type());

    const std::size_t first_parameter = 1 + wanted.size();
    Reader reader(*graph, self);
    {
      // Attribute reads come first, in the order of the parameters.
      tj::Node* begin = *graph->nodes().begin();
      tj::WithInsertPoint guard(begin);
      for (std::size_t i = 0; i < assembly.parameters.size(); ++i) {
        graph->inputs()[first_parameter + i]->replaceAllUsesWith(
            reader.get(tree_.path_of(assembly.parameters[i].value)));
      }
    }
    while (graph->inputs().size() > first_parameter) graph->eraseInput(graph->inputs().size() - 1);

    // Results in plan order; models that are opaque are called.
    std::vector<tj::Value*> results;
    std::size_t computed = 0;
    tj::WithInsertPoint guard(graph->block());
    for (const int index : members) {
      if (model(index).rewritable) {
        results.push_back(graph->outputs()[computed++]);
        continue;
      }
      const auto& method = loaded_[index]->module.get_method("forward");
      tj::Value* callee = reader.get(identifiers_[index]);
      // By position: what the model calls its own `self` is its business.
      // With a picture of its own, since nobody knows whether it writes into it.
      tj::Value* picture = image.at(set_.groups[index]);
      if (picture->type()->isSubtypeOf(*c10::TensorType::get())) picture = graph->insert(c10::aten::clone, {picture});
      const std::vector<tj::NamedValue> arguments{callee, picture};
      const tj::MatchedSchema matched =
          tj::matchSchema(method.function().getSchema(), tj::SourceRange(), *graph, arguments, {});
      results.push_back(graph->insertMethodCall("forward", matched));
    }
    while (!graph->outputs().empty()) graph->eraseOutput(graph->outputs().size() - 1);
    graph->registerOutput(all_inputs ? graph->insertNode(graph->createTuple(results))->output() : results.front());
    graph->lint();
    const c10::QualifiedName qualified(*tree_.root().type()->name(), name);
    tree_.root().type()->addMethod(tree_.unit()->create_function(qualified, graph));
  }

  /// Models that are opaque take the parameters that another model has bit by bit. Their buffers stay their own:
  /// such a model may write to them.
  void share_with_whole_models() {
    for (auto& [index, whole] : whole_) {
      for (const auto& named : whole.named_parameters(/*recurse=*/true)) {
        const at::Tensor& own = named.value;
        if (own.is_quantized() || own.layout() != at::kStrided) continue;
        const auto [known, is_new] = by_content_.emplace(graph::content_hash(own), own);
        if (is_new) continue;
        tj::Module owner = whole;
        std::string path = named.name;
        for (auto dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
          owner = owner.attr(path.substr(0, dot)).toModule();
          path = path.substr(dot + 1);
        }
        ++shared_with_whole_;
        bytes_shared_with_whole_ += static_cast<std::int64_t>(own.nbytes());
        owner.setattr(path, known->second);
      }
    }
  }

  /// What is in the file, and what would be without storing identical tensors once.
  void count(Written& written) {
    std::set<const void*> storages;
    for (const at::Tensor& tensor : graph::stored_tensors(tree_.root())) {
      if (!storages.insert(tensor.storage().unsafeGetStorageImpl()).second) continue;
      written.elements += tensor.numel();
      written.parameter_bytes += static_cast<std::int64_t>(tensor.nbytes());
    }

    std::int64_t live_bytes = 0, live_tensors = 0;
    for (int index = 0; index < static_cast<int>(set_.models.size()); ++index) {
      const graph::Program& program = model(index).program;
      std::set<int> live;
      std::vector<int> cut;
      std::set<int> refitted, folded;
      for (const graph::Splice& splice : splices_) {
        if (splice.receiver != index) continue;
        for (const graph::FittedReplacement& one : splice.replacements) cut.push_back(one.receiver_layer);
        for (const graph::ConvRefit& refit : splice.refits) {
          refitted.insert(refit.node);
          if (refit.normalisation < 0) continue;
          const std::vector<int> gone = graph::normalisation_behind(model(index), refit.node)->parameters;
          folded.insert(gone.begin(), gone.end());
        }
      }
      const std::vector<bool> alive = graph::live_ops(program, cut);
      for (std::size_t op = 0; op < alive.size(); ++op) {
        if (alive[op]) live.insert(program.ops[op].parameters.begin(), program.ops[op].parameters.end());
      }
      for (const int node : refitted) {
        const graph::ConvGeometry geometry = graph::convolution_geometry(model(index), node);
        live.erase(geometry.weight_parameter);
        live.erase(geometry.bias_parameter);
      }
      for (const int parameter : folded) live.erase(parameter);
      for (const int parameter : live) live_bytes += program.parameters[parameter].bytes;
      live_tensors += static_cast<std::int64_t>(live.size());
    }
    written.deduplicated = live_tensors - stored_tensors_ + shared_with_whole_;
    written.bytes_deduplicated = live_bytes - stored_bytes_ + bytes_shared_with_whole_;
  }

  const capture::ModelSet& set_;
  std::span<const model::Loaded* const> loaded_;
  std::span<const graph::Splice> splices_;
  std::vector<std::string> identifiers_;
  Tree tree_;
  std::map<int, std::set<std::string>> parameter_names_;
  std::map<int, tj::Module> whole_;  // models without a graph of their own, by index
  std::map<std::string, at::Tensor> by_content_;
  std::int64_t stored_bytes_ = 0, stored_tensors_ = 0;
  std::int64_t shared_with_whole_ = 0, bytes_shared_with_whole_ = 0;
};

}  // namespace

Written write(const capture::ModelSet& set, std::span<const model::Loaded* const> loaded,
              std::span<const graph::Splice> splices, const std::string& manifest) {
  return Writer(set, loaded, splices).run(manifest);
}

}  // namespace repsim::bundle
