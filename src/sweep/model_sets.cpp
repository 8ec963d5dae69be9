#include <algorithm>
#include <set>

#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/sweep.hpp"

namespace repsim::sweep {
namespace {

constexpr std::size_t kMostSets = 100'000;
const std::vector<std::string> kWords{"all-pairs"};
constexpr const char* kForms =
    R"("all-pairs", {"k_subsets": 3}, {"fixed": ["front"]}, ["front", "back"], or a list of these)";

/// Collects the sets of one member `sets`.
class SetReader {
 public:
  SetReader(const std::vector<std::string>& names, const std::string& file) : names_(names), file_(file) {}

  /// One form, or, at the top, a list of forms.
  void read(const Json& form, const std::string& field, bool is_top) {
    if (form.is_string()) {
      read_word(form.get<std::string>(), field);
    } else if (form.is_object()) {
      read_object(form, field);
    } else if (form.is_array() && !is_top) {
      add(members(form, field), field);
    } else if (form.is_array() && !form.empty()) {
      for (std::size_t i = 0; i < form.size(); ++i) read(form[i], field + "[" + std::to_string(i) + "]", false);
    } else {
      fail(field, "these are no sets", kForms);
    }
  }

  [[nodiscard]] std::vector<ModelSet> sets() && { return std::move(sets_); }

 private:
  [[noreturn]] void fail(const std::string& field, const std::string& problem, const std::string& remedy) const {
    throw input_error(problem, file_ + ": " + field, remedy);
  }

  void read_word(const std::string& word, const std::string& field) {
    if (std::find(kWords.begin(), kWords.end(), word) == kWords.end()) {
      const bool is_name = std::find(names_.begin(), names_.end(), word) != names_.end();
      fail(field, "'" + word + "' is no form of sets",
           is_name ? "a set is a list of names: [[\"" + word + "\", ...]]" : did_you_mean(word, kWords));
    }
    add_subsets(2, field);
  }

  void read_object(const Json& form, const std::string& field) {
    JsonReader reader(form, file_, field);
    const Json* fixed = reader.child("fixed");
    std::int64_t size = 0;
    reader.optional("k_subsets", size);
    reader.finish();
    if ((fixed != nullptr) == reader.has("k_subsets")) fail(field, "this has to be one form of sets", kForms);
    if (fixed == nullptr) {
      if (size < 2 || size > static_cast<std::int64_t>(names_.size()))
        fail(field + ".k_subsets", std::to_string(size) + " of " + std::to_string(names_.size()) + " models is no set",
             "2 to " + std::to_string(names_.size()));
      return add_subsets(static_cast<std::size_t>(size), field);
    }
    const ModelSet common = members(fixed->is_string() ? Json::array({*fixed}) : *fixed, field + ".fixed");
    for (std::size_t other = 0; other < names_.size(); ++other) {
      if (std::find(common.begin(), common.end(), other) != common.end()) continue;
      ModelSet set = common;
      set.push_back(other);
      add(std::move(set), field);
    }
  }

  [[nodiscard]] ModelSet members(const Json& list, const std::string& field) const {
    if (!list.is_array() || list.empty()) fail(field, "this is no list of names", R"(["front", "back"])");
    ModelSet set;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string place = field + "[" + std::to_string(i) + "]";
      if (!list[i].is_string()) fail(place, "this is no name", R"(["front", "back"])");
      const auto name = list[i].get<std::string>();
      const auto found = std::find(names_.begin(), names_.end(), name);
      if (found == names_.end()) fail(place, "there is no model named '" + name + "'", did_you_mean(name, names_));
      const auto index = static_cast<std::size_t>(found - names_.begin());
      if (std::find(set.begin(), set.end(), index) != set.end())
        fail(place, "'" + name + "' is there twice", "name every model once");
      set.push_back(index);
    }
    return set;
  }

  /// All subsets of this size, in the order of the models.
  void add_subsets(std::size_t size, const std::string& field) {
    if (names_.size() < size) fail(field, "there are only " + std::to_string(names_.size()) + " models", "more models");
    ModelSet set(size);
    for (std::size_t i = 0; i < size; ++i) set[i] = i;
    while (true) {
      add(set, field);
      std::size_t place = size;
      while (place > 0 && set[place - 1] == names_.size() - size + place - 1) --place;
      if (place == 0) return;
      ++set[place - 1];
      for (std::size_t i = place; i < size; ++i) set[i] = set[i - 1] + 1;
    }
  }

  void add(ModelSet set, const std::string& field) {
    if (set.size() < 2) fail(field, "sharing needs two models or more", R"(["front", "back"])");
    ModelSet sorted = set;
    std::sort(sorted.begin(), sorted.end());
    if (!seen_.insert(sorted).second) return;
    if (sets_.size() == kMostSets)
      fail(field, "these are more than " + std::to_string(kMostSets) + " sets", "fewer models, or smaller sets");
    sets_.push_back(std::move(set));
  }

  const std::vector<std::string>& names_;
  const std::string& file_;
  std::vector<ModelSet> sets_;
  std::set<ModelSet> seen_;
};

}  // namespace

std::vector<ModelSet> expand_sets(const Json& sets, const std::vector<std::string>& names, const std::string& file) {
  SetReader reader(names, file);
  reader.read(sets, "sets", true);
  return std::move(reader).sets();
}

std::vector<std::vector<Json>> combinations(const std::vector<Axis>& grid) {
  std::vector<std::vector<Json>> all{{}};
  for (const Axis& axis : grid) {
    std::vector<std::vector<Json>> longer;
    for (const std::vector<Json>& before : all) {
      for (const Json& value : axis.values) {
        longer.push_back(before);
        longer.back().push_back(value);
      }
    }
    all = std::move(longer);
  }
  return all;
}

}  // namespace repsim::sweep
