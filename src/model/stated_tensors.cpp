#include "stated_tensors.hpp"

#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/serialization/unpickler.h>
#include <torch/script.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_set>

#include "repsim/base/log.hpp"
#include "repsim/base/out_of_memory.hpp"
#include "views.hpp"

namespace repsim::model {
namespace {

namespace tj = torch::jit;

/// Stands in for the classes of an archive's code: each is one without attributes.
class ClassNames : public tj::Resolver {
 public:
  /// The parser asks for lists and the like as well, and for those takes "none" and goes on to what they hold.
  c10::TypePtr resolveType(const std::string& name, const tj::SourceRange& /*place*/) override {
    return is_class(name) ? type_of(name) : nullptr;
  }
  static bool is_class(const std::string& name) {
    return name.find_first_of("[ ") == std::string::npos && name.find('.') != std::string::npos;
  }
  c10::ClassTypePtr type_of(const std::string& name) {
    c10::ClassTypePtr& type = types_[name];
    if (!type) type = c10::ClassType::create(c10::QualifiedName(name), code_, /*is_module=*/true);
    return type;
  }
  [[nodiscard]] const std::shared_ptr<tj::CompilationUnit>& code() const { return code_; }

 private:
  std::shared_ptr<tj::CompilationUnit> code_ = std::make_shared<tj::CompilationUnit>();
  std::map<std::string, c10::ClassTypePtr> types_;
};

/// Reads one pickle of an archive without the classes of its code: an object is what it was made from.
class Stated {
 public:
  Stated(const std::string& bytes, const std::vector<ZipRecord>& records, const std::string& path)
      : bytes_(bytes), path_(path) {
    for (const ZipRecord& record : records) records_[record.name.substr(record.name.find('/') + 1)] = &record;
  }

  /// @param name  of the pickle, without ".pkl"
  /// @return whether all tensors lie in their records
  bool tensors_fit(const std::string& name) {
    const auto pickle = records_.find(name + ".pkl");
    if (pickle == records_.end() || pickle->second->deflated) return true;
    std::string_view left = stored_bytes(bytes_, *pickle->second, path_);
    const auto read = [&left](char* out, std::size_t count) {
      count = std::min(count, left.size());
      std::memcpy(out, left.data(), count);
      left.remove_prefix(count);
      return count;
    };
    tj::Unpickler unpickler(
        read, [this](const c10::QualifiedName& type) { return type_of(type.qualifiedName()); },
        [](const c10::StrongTypePtr& type, const c10::IValue& from) {
          auto object = c10::ivalue::Object::create(type, 1);
          object->setSlot(0, from);
          return object;
        },
        [&](const std::string& record) { return elements(name + "/" + record); }, at::kCPU);
    return all_fit(unpickler.parse_ivalue());
  }

 private:
  /// The type of an object, or of a list or dict that may hold some: "__torch__.M", "Dict[str, __torch__.M]".
  c10::StrongTypePtr type_of(const std::string& name) {
    if (ClassNames::is_class(name)) return {classes_->code(), classes_->type_of(name)};
    return {classes_->code(), tj::ScriptTypeParser(classes_).parseType(name)};
  }

  /// The bytes of a record, where they lie. A record that is packed is Torch's matter: its size is not known here.
  at::DataPtr elements(const std::string& record) {
    const auto found = records_.find(record);
    if (found == records_.end() || found->second->deflated) throw damaged_archive("'" + record + "' is missing", path_);
    const std::string_view content = stored_bytes(bytes_, *found->second, path_);
    sizes_[content.data()] = content.size();
    return {const_cast<char*>(content.data()), at::kCPU};  // nothing writes there
  }

  /// Lists may hold one another, so each is looked at once, and none inside another one's visit.
  bool all_fit(const c10::IValue& root) {
    std::vector<c10::IValue> waiting{root};
    std::unordered_set<const void*> seen;
    while (!waiting.empty()) {
      const c10::IValue value = std::move(waiting.back());
      waiting.pop_back();
      if (value.isTensor()) {
        if (!fits(value.toTensor())) return false;
        continue;
      }
      if (!value.isPtrType() || !seen.insert(value.internalToPointer()).second) continue;
      if (value.isObject()) {
        for (const c10::IValue& slot : value.toObject()->slots()) waiting.push_back(slot);
      } else if (value.isTuple()) {
        for (const c10::IValue& element : value.toTupleRef().elements()) waiting.push_back(element);
      } else if (value.isList()) {
        for (const c10::IValue& element : value.toListRef()) waiting.push_back(element);
      } else if (value.isGenericDict()) {
        for (const auto& entry : value.toGenericDict()) waiting.insert(waiting.end(), {entry.key(), entry.value()});
      }
    }
    return true;
  }

  bool fits(const at::Tensor& tensor) const {
    if (!tensor.defined() || !lies_in_its_memory(tensor)) return !tensor.defined();
    if (tensor.layout() != at::kStrided || !tensor.has_storage()) return true;
    const auto size = sizes_.find(tensor.storage().data());
    return size == sizes_.end() || tensor.storage().nbytes() <= size->second;
  }

  const std::string& bytes_;
  const std::string& path_;
  std::map<std::string, const ZipRecord*> records_;
  std::map<const void*, std::size_t> sizes_;
  std::shared_ptr<ClassNames> classes_ = std::make_shared<ClassNames>();
};

}  // namespace

void check_stated_tensors(const std::string& bytes, const std::vector<ZipRecord>& records, const std::string& path) {
  const c10::InferenceMode no_gradients(false);
  for (const char* name : {"data", "constants"}) {
    bool fits = true;
    try {
      fits = Stated(bytes, records, path).tensors_fit(name);
    } catch (const std::exception& error) {
      rethrow_out_of_memory(error);
      log::debug(path + ": " + name + ".pkl cannot be read: " + error.what());
    }
    if (!fits) throw damaged_archive("a tensor in " + std::string(name) + ".pkl is larger than its data", path);
  }
}

}  // namespace repsim::model
