#include <torch/csrc/jit/ir/constants.h>

#include <algorithm>
#include <map>
#include <optional>

#include "passes.hpp"

namespace repsim::graph {
namespace {

namespace tj = torch::jit;

/// What an object or a dict holds at some point of the program: values by attribute or key, in order of insertion.
class Contents {
 public:
  void set(const std::string& key, tj::Value* value) {
    for (auto& entry : entries_) {
      if (entry.first == key) {
        entry.second = value;
        return;
      }
    }
    entries_.emplace_back(key, value);
  }
  [[nodiscard]] tj::Value* get(const std::string& key) const {
    for (const auto& entry : entries_) {
      if (entry.first == key) return entry.second;
    }
    return nullptr;
  }
  [[nodiscard]] const std::vector<std::pair<std::string, tj::Value*>>& entries() const { return entries_; }

 private:
  std::vector<std::pair<std::string, tj::Value*>> entries_;
};

std::optional<std::string> constant_key(tj::Value* value) {
  const auto constant = tj::toIValue(value);
  if (!constant || !constant->isString()) return std::nullopt;
  return constant->toStringRef();
}

/// One object or dict that is made and only used in ways that can be followed.
class Aggregate {
 public:
  explicit Aggregate(tj::Node* creation) : creation_(creation), block_(creation->owningBlock()) {}

  /// Replaces the aggregate by its contents. False, and nothing changed, when some use cannot be followed.
  bool forward() {
    if (!initial_contents() || !collect_uses()) return false;
    // First a rehearsal: a read of what is not there must leave everything as it was.
    if (!walk(/*rewrite=*/false)) return false;
    walk(/*rewrite=*/true);
    for (tj::Node* node : finished_) node->destroy();
    creation_->destroy();
    return true;
  }

 private:
  struct Use {
    tj::Node* anchor;  ///< the node of the aggregate's own block that is or holds the user
    tj::Node* user;
  };

  bool is_object() const { return creation_->kind() == c10::prim::CreateObject; }

  bool initial_contents() {
    if (is_object()) return !creation_->output()->type()->expect<c10::ClassType>()->is_module();
    if (creation_->kind() == c10::prim::DictConstruct) {
      for (std::size_t i = 0; i + 1 < creation_->inputs().size(); i += 2) {
        const auto key = constant_key(creation_->input(i));
        if (!key) return false;
        start_.set(*key, creation_->input(i + 1));
      }
      return true;
    }
    // dict(list of pairs)
    const tj::Node* list = creation_->input(0)->node();
    if (list->kind() != c10::prim::ListConstruct || creation_->input(0)->uses().size() != 1) return false;
    for (const tj::Value* pair : list->inputs()) {
      if (pair->node()->kind() != c10::prim::TupleConstruct || pair->node()->inputs().size() != 2) return false;
      const auto key = constant_key(pair->node()->input(0));
      if (!key) return false;
      start_.set(*key, pair->node()->input(1));
    }
    return true;
  }

  bool collect_uses() {
    for (const tj::Use& use : creation_->output()->uses()) {
      if (use.offset != 0 || (!writes(*use.user) && !reads(*use.user))) return false;
      tj::Node* anchor = use.user;
      while (anchor->owningBlock() != block_) anchor = anchor->owningBlock()->owningNode();
      // What is written in a branch or a loop cannot be known behind it.
      if (anchor != use.user && writes(*use.user)) return false;
      uses_.push_back({anchor, use.user});
    }
    std::stable_sort(uses_.begin(), uses_.end(),
                     [](const Use& a, const Use& b) { return a.anchor != b.anchor && a.anchor->isBefore(b.anchor); });
    return true;
  }

  bool writes(const tj::Node& node) const {
    if (is_object()) return node.kind() == c10::prim::SetAttr;
    return node.kind() == c10::aten::_set_item && constant_key(const_cast<tj::Node&>(node).input(1)).has_value();
  }

  bool reads(const tj::Node& node) const {
    if (is_object()) return node.kind() == c10::prim::GetAttr;
    static const std::vector<std::string> kReads = {"aten::__getitem__", "aten::__contains__", "aten::values",
                                                    "aten::keys",        "aten::items",        "aten::len"};
    return std::find(kReads.begin(), kReads.end(), node.kind().toQualString()) != kReads.end();
  }

  bool walk(bool rewrite) {
    Contents contents = start_;
    for (const Use& use : uses_) {
      if (writes(*use.user)) {
        const std::string key = is_object() ? use.user->s(c10::attr::name) : *constant_key(use.user->input(1));
        contents.set(key, use.user->input(is_object() ? 1 : 2));
        if (rewrite) finished_.push_back(use.user);
      } else if (!read(use.user, contents, rewrite)) {
        return false;
      }
    }
    return true;
  }

  bool read(tj::Node* node, const Contents& contents, bool rewrite) {
    tj::Graph& graph = *node->owningGraph();
    const std::string kind = node->kind().toUnqualString();
    const auto answer = [&](tj::Value* value) {
      if (!rewrite) return;
      node->output()->replaceAllUsesWith(value);
      finished_.push_back(node);
    };
    tj::WithInsertPoint guard(node);
    if (is_object() || kind == "__getitem__") {
      const auto key = is_object() ? std::optional(node->s(c10::attr::name)) : constant_key(node->input(1));
      tj::Value* value = key ? contents.get(*key) : nullptr;
      if (!value || !value->type()->isSubtypeOf(*node->output()->type())) return false;
      answer(value);
    } else if (kind == "__contains__") {
      const auto key = constant_key(node->input(1));
      if (!key) return false;
      if (rewrite) answer(graph.insertConstant(contents.get(*key) != nullptr));
    } else if (kind == "len") {
      if (rewrite) answer(graph.insertConstant(static_cast<std::int64_t>(contents.entries().size())));
    } else if (rewrite) {
      std::vector<tj::Value*> elements;
      for (const auto& [key, value] : contents.entries()) {
        tj::Value* name = kind == "values" ? nullptr : graph.insertConstant(key);
        elements.push_back(kind == "values" ? value
                           : kind == "keys" ? name
                                            : graph.insertNode(graph.createTuple({name, value}))->output());
      }
      const c10::TypePtr element = node->output()->type()->expectRef<c10::ListType>().getElementType();
      answer(graph.insertNode(graph.createList(element, elements))->output());
    }
    return true;
  }

  tj::Node* creation_;
  tj::Block* block_;
  Contents start_;
  std::vector<Use> uses_;
  std::vector<tj::Node*> finished_;
};

bool makes_aggregate(const tj::Node& node) {
  return node.kind() == c10::prim::CreateObject || node.kind() == c10::prim::DictConstruct ||
         (node.kind() == c10::aten::dict && node.inputs().size() == 1);
}

void find(tj::Block* block, std::vector<tj::Node*>& found) {
  for (tj::Node* node : block->nodes()) {
    if (makes_aggregate(*node)) found.push_back(node);
    for (tj::Block* inner : node->blocks()) find(inner, found);
  }
}

}  // namespace

int forward_aggregates(const std::shared_ptr<tj::Graph>& graph) {
  int count = 0;
  std::vector<tj::Node*> found;
  find(graph->block(), found);
  for (tj::Node* node : found) {
    if (Aggregate(node).forward()) ++count;
  }
  return count;
}

}  // namespace repsim::graph
