#include "views.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_set>

#include "repsim/model.hpp"

namespace repsim::model {
namespace {

namespace tj = torch::jit;

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
      for (const c10::IValue& slot : value.toObjectRef().slots()) visit(slot);
      for (const tj::Function* method : value.toObjectRef().type()->methods()) visit(*method);
    }
  }

  std::vector<at::Tensor> take() { return std::move(tensors_); }

 private:
  void visit(const tj::Function& function) {
    if (!function.isGraphFunction() || !seen_.insert(&function).second) return;
    visit(*tj::toGraphFunction(const_cast<tj::Function&>(function)).graph()->block());
  }

  void visit(const tj::Block& block) {
    for (const tj::Node* node : block.nodes()) {
      for (const tj::Block* inner : node->blocks()) visit(*inner);
      if (node->kind() != c10::prim::Constant) continue;
      if (const auto function = node->output()->type()->cast<c10::FunctionType>()) {
        visit(*function->function());
      } else if (const auto value = tj::toIValue(node->output())) {
        visit(*value);
      }
    }
  }

  std::unordered_set<const void*> seen_;
  std::vector<at::Tensor> tensors_;
};

/// Whether a tensor has memory that can be looked at in steps.
bool has_memory(const at::Tensor& tensor) {
  return tensor.layout() == at::kStrided && tensor.is_cpu() && tensor.has_storage() &&
         tensor.storage().unsafeGetStorageImpl() != nullptr;
}

const void* memory_of(const at::Tensor& tensor) { return tensor.storage().unsafeGetStorageImpl(); }

auto item_bytes(const at::Tensor& tensor) { return static_cast<std::int64_t>(tensor.itemsize()); }

/// The bytes of its memory from the first to behind the last that a tensor shows.
struct Range {
  std::int64_t begin = 0, end = 0;
};
Range range_of(const at::Tensor& tensor) {
  std::int64_t last = tensor.storage_offset();
  for (std::int64_t i = 0; i < tensor.dim(); ++i) last += (tensor.size(i) - 1) * tensor.stride(i);
  if (tensor.numel() == 0) last = tensor.storage_offset() - 1;
  return {tensor.storage_offset() * item_bytes(tensor), (last + 1) * item_bytes(tensor)};
}

/// Tensors of equal geometry show the same elements in the same order.
auto geometry_of(const at::Tensor& tensor) {
  return std::tuple(tensor.scalar_type(), tensor.storage_offset(), tensor.sizes().vec(), tensor.strides().vec());
}

bool have_one_geometry(const std::vector<at::Tensor>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [&](const at::Tensor& one) { return geometry_of(one) == geometry_of(tensors.front()); });
}

void move_to(const at::Tensor& tensor, const at::Storage& storage, std::int64_t offset,
             const std::vector<std::int64_t>& strides) {
  c10::TensorImpl* const impl = tensor.unsafeGetTensorImpl();
  const std::vector<std::int64_t> sizes = tensor.sizes().vec();
  impl->set_allow_tensor_metadata_change(true);
  impl->set_storage_keep_dtype(storage);
  impl->set_sizes_and_strides(sizes, strides, offset);
}

at::Storage copy_of_bytes(const at::Tensor& of, Range range) {
  const at::Tensor bytes = at::empty({range.end - range.begin}, at::kByte);
  if (bytes.numel() > 0) {
    std::memcpy(bytes.mutable_data_ptr(), static_cast<const char*>(of.storage().data()) + range.begin, bytes.nbytes());
  }
  return bytes.storage();
}

/// Moves tensors to a copy of the part of their memory that they look at.
void keep_steps(const std::vector<at::Tensor>& tensors) {
  Range all = range_of(tensors.front());
  std::int64_t alignment = 1;
  for (const at::Tensor& tensor : tensors) {
    const Range range = range_of(tensor);
    all = {std::min(all.begin, range.begin), std::max(all.end, range.end)};
    alignment = std::max(alignment, item_bytes(tensor));
  }
  all.begin -= all.begin % alignment;
  if (all.begin == 0 && all.end == static_cast<std::int64_t>(tensors.front().storage().nbytes())) return;
  const at::Storage storage = copy_of_bytes(tensors.front(), all);
  for (const at::Tensor& tensor : tensors)
    move_to(tensor, storage, tensor.storage_offset() - all.begin / item_bytes(tensor), tensor.strides().vec());
}

/// Strides without gaps, in the order of the tensor's own; a dimension that repeats one element keeps stride 0.
/// @return nothing where steps land on elements of others, as in a sliding window
std::optional<std::vector<std::int64_t>> dense_strides(const at::Tensor& tensor) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(tensor.dim())), strides = tensor.strides().vec();
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return tensor.stride(a) < tensor.stride(b); });
  std::int64_t extent = 1, count = 1;
  for (const std::int64_t dim : order) {
    if (tensor.size(dim) <= 1 || tensor.stride(dim) == 0) continue;
    if (tensor.stride(dim) < extent) return std::nullopt;
    extent += (tensor.size(dim) - 1) * tensor.stride(dim);
    strides[static_cast<std::size_t>(dim)] = count;
    count *= tensor.size(dim);
  }
  return strides;
}

/// Moves tensors of one geometry to memory without gaps.
void make_dense(const std::vector<at::Tensor>& tensors) {
  const at::Tensor& first = tensors.front();
  const auto strides = first.is_quantized() || first.is_complex() ? std::nullopt : dense_strides(first);
  if (!strides || *strides == first.strides().vec()) return keep_steps(tensors);
  at::Tensor shown = first.detach();
  std::vector<std::int64_t> sizes = first.sizes().vec();
  for (std::int64_t dim = 0; dim < first.dim(); ++dim) {
    if (first.stride(dim) != 0) continue;
    shown = shown.narrow(dim, 0, 1);
    sizes[static_cast<std::size_t>(dim)] = 1;
  }
  const at::Tensor dense = at::empty_strided(sizes, *strides, shown.options()).copy_(shown);
  // Memory of empty_strided() ends with its last element.
  for (const at::Tensor& tensor : tensors) move_to(tensor, dense.storage(), 0, *strides);
}

/// Calls `use` with the place of each element, in bytes.
void for_each_element(const at::Tensor& tensor, const std::function<void(std::int64_t)>& use) {
  if (tensor.numel() == 0) return;
  std::vector<std::int64_t> index(static_cast<std::size_t>(tensor.dim()), 0);
  std::int64_t at = tensor.storage_offset();
  for (;;) {
    use(at * item_bytes(tensor));
    std::int64_t dim = tensor.dim() - 1;
    for (; dim >= 0; --dim) {
      std::int64_t& one = index[static_cast<std::size_t>(dim)];
      at += tensor.stride(dim);
      if (++one < tensor.size(dim)) break;
      at -= tensor.size(dim) * tensor.stride(dim);
      one = 0;
    }
    if (dim < 0) return;
  }
}

/// Divides tensors whose ranges overlap into those that have elements in common: columns of one matrix have none.
std::vector<std::vector<at::Tensor>> by_common_elements(const std::vector<at::Tensor>& tensors) {
  Range all = range_of(tensors.front());
  std::int64_t unit = item_bytes(tensors.front());
  for (const at::Tensor& tensor : tensors) {
    const Range range = range_of(tensor);
    all = {std::min(all.begin, range.begin), std::max(all.end, range.end)};
    unit = std::min(unit, item_bytes(tensor));
  }
  std::vector<std::int32_t> owner(static_cast<std::size_t>((all.end - all.begin) / unit + 1), -1);
  std::vector<std::size_t> group(tensors.size());
  std::iota(group.begin(), group.end(), 0);
  const auto root = [&](std::size_t one) {
    while (group[one] != one) one = group[one];
    return one;
  };
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    for_each_element(tensors[i], [&](std::int64_t at) {
      for (std::int64_t byte = 0; byte < item_bytes(tensors[i]); byte += unit) {
        std::int32_t& known = owner[static_cast<std::size_t>((at - all.begin + byte) / unit)];
        if (known >= 0) group[root(i)] = root(static_cast<std::size_t>(known));
        known = static_cast<std::int32_t>(i);
      }
    });
  }
  std::map<std::size_t, std::vector<at::Tensor>> groups;
  for (std::size_t i = 0; i < tensors.size(); ++i) groups[root(i)].push_back(tensors[i]);
  std::vector<std::vector<at::Tensor>> result;
  for (auto& [first, members] : groups) result.push_back(std::move(members));
  return result;
}

void separate_group(const std::vector<at::Tensor>& tensors, Steps steps) {
  if (steps == Steps::kDense && have_one_geometry(tensors)) {
    make_dense(tensors);
  } else {
    keep_steps(tensors);
  }
}

/// Separates the tensors of one memory.
void separate_memory(std::vector<at::Tensor> tensors, Steps steps) {
  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const at::Tensor& a, const at::Tensor& b) { return range_of(a).begin < range_of(b).begin; });
  std::vector<std::vector<at::Tensor>> overlapping;
  std::int64_t end = 0;
  for (const at::Tensor& tensor : tensors) {
    const Range range = range_of(tensor);
    if (overlapping.empty() || range.begin >= end) overlapping.emplace_back();
    overlapping.back().push_back(tensor);
    end = std::max(end, range.end);
  }
  for (const std::vector<at::Tensor>& group : overlapping) {
    if (have_one_geometry(group)) {
      separate_group(group, steps);
    } else {
      for (const std::vector<at::Tensor>& part : by_common_elements(group)) separate_group(part, steps);
    }
  }
}

std::int64_t bytes_of_memory(const std::vector<at::Tensor>& tensors) {
  std::set<const void*> seen;
  std::int64_t bytes = 0;
  for (const at::Tensor& tensor : tensors) {
    if (has_memory(tensor) && seen.insert(memory_of(tensor)).second)
      bytes += static_cast<std::int64_t>(tensor.storage().nbytes());
  }
  return bytes;
}

}  // namespace

std::vector<at::Tensor> tensors_of_module(const tj::Module& module) {
  Collector collector;
  collector.visit(module._ivalue());
  return collector.take();
}

bool is_part(const at::Tensor& tensor) {
  return has_memory(tensor) && (!tensor.is_non_overlapping_and_dense() || tensor.nbytes() != tensor.storage().nbytes());
}

bool lies_in_its_memory(const at::Tensor& tensor) {
  if (!has_memory(tensor)) return true;
  std::int64_t last = tensor.storage_offset(), bytes = 0;
  bool empty = false, wrong = last < 0;
  for (std::int64_t dim = 0; dim < tensor.dim(); ++dim) {
    std::int64_t step = 0;
    wrong |= tensor.size(dim) < 0 || tensor.stride(dim) < 0;
    empty |= tensor.size(dim) == 0;
    wrong |= __builtin_mul_overflow(tensor.size(dim) - 1, tensor.stride(dim), &step);
    wrong |= __builtin_add_overflow(last, step, &last);
  }
  if (wrong || empty) return !wrong;
  wrong |= __builtin_add_overflow(last, 1, &last);
  wrong |= __builtin_mul_overflow(last, static_cast<std::int64_t>(tensor.itemsize()), &bytes);
  return !wrong && bytes <= static_cast<std::int64_t>(tensor.storage().nbytes());
}

std::int64_t separate(const std::vector<at::Tensor>& tensors, Steps steps) {
  std::map<const void*, std::vector<at::Tensor>> by_memory;
  for (const at::Tensor& tensor : tensors) {
    if (has_memory(tensor)) by_memory[memory_of(tensor)].push_back(tensor);
  }
  const std::int64_t before = bytes_of_memory(tensors);
  for (auto& [memory, views] : by_memory) {
    if (std::any_of(views.begin(), views.end(), is_part)) separate_memory(std::move(views), steps);
  }
  return before - bytes_of_memory(tensors);
}

at::Tensor movable(const at::Tensor& tensor) {
  if (!is_part(tensor)) return tensor;
  at::Tensor view = tensor.detach();
  view.set_requires_grad(tensor.requires_grad());
  return view;
}

void cut_memory(const tj::Module& module) { (void)separate(tensors_of_module(module), Steps::kKept); }

tj::Module copy_of(const tj::Module& module) {
  tj::Module copy = module.deepcopy();
  const std::vector<at::Tensor> own = tensors_of_module(module), copied = tensors_of_module(copy);
  std::map<const void*, int> users;
  for (const at::Tensor& tensor : own) {
    if (has_memory(tensor)) ++users[memory_of(tensor)];
  }
  std::map<const void*, at::Storage> memory;
  for (std::size_t i = 0; i < own.size() && own.size() == copied.size(); ++i) {
    const at::Tensor& tensor = own[i];
    // Constants of the code are the same tensors in both.
    if (!has_memory(tensor) || tensor.is_same(copied[i]) || (users[memory_of(tensor)] == 1 && !is_part(tensor)))
      continue;
    at::Storage& storage = memory.try_emplace(memory_of(tensor), at::Storage()).first->second;
    if (storage.unsafeGetStorageImpl() == nullptr)
      storage = copy_of_bytes(tensor, {0, static_cast<std::int64_t>(tensor.storage().nbytes())});
    move_to(copied[i], storage, tensor.storage_offset(), tensor.strides().vec());
  }
  return copy;
}

}  // namespace repsim::model
