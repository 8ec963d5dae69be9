#include "choice_problem.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "repsim/base/error.hpp"

namespace repsim::planner {
namespace {

using Bits = std::vector<std::uint64_t>;

constexpr std::size_t kWord = 64;

bool has(const Bits& bits, std::size_t bit) { return ((bits[bit / kWord] >> (bit % kWord)) & 1U) != 0; }
void set(Bits& bits, std::size_t bit) { bits[bit / kWord] |= std::uint64_t{1} << (bit % kWord); }
void clear(Bits& bits, std::size_t bit) { bits[bit / kWord] &= ~(std::uint64_t{1} << (bit % kWord)); }
void join(Bits& bits, const Bits& more) {
  for (std::size_t i = 0; i < bits.size(); ++i) bits[i] |= more[i];
}
bool within(const Bits& few, const Bits& many) {
  for (std::size_t i = 0; i < few.size(); ++i) {
    if ((few[i] & ~many[i]) != 0) return false;
  }
  return true;
}

/// What models give, as one number each: layers as they are, weights below 0.
std::vector<int> items_of(std::vector<LayerIndex> layers, const std::vector<int>& parameters) {
  for (const int parameter : parameters) layers.push_back(-1 - parameter);
  return layers;
}
std::vector<int> taken_items(const Supplied& supplied) { return items_of(supplied.layers, supplied.parameters); }
std::vector<int> lost_items(const ShareOption& option) { return items_of(option.unavailable, option.gone_parameters); }

class Reducer {
 public:
  explicit Reducer(const Choice& choice) : choice_(choice), options_of_(at(choice.models)) {
    for (std::size_t i = 0; i < choice.options.size(); ++i) {
      const ShareOption& option = choice.options[i];
      const auto known = [&](ModelIndex model) { return model >= 0 && model < choice.models; };
      if (!known(option.receiver) || option.supplied.empty() ||
          !std::all_of(option.supplied.begin(), option.supplied.end(),
                       [&](const Supplied& one) { return known(one.donor); }))
        throw Error(ErrorKind::kInternal, "an option names no model");
      const bool own = std::any_of(option.supplied.begin(), option.supplied.end(),
                                   [&](const Supplied& one) { return one.donor == option.receiver; });
      if (option.value > 0 && !own) options_of_[option.receiver].push_back(i);
    }
    for (auto& options : options_of_) {
      std::stable_sort(options.begin(), options.end(),
                       [&](std::size_t a, std::size_t b) { return choice.options[a].value > choice.options[b].value; });
    }
  }

  ChoiceProblem run() {
    number();
    find_conflicts();
    find_nogoods();
    drop_beaten();
    return problem();
  }

 private:
  /// Every receiver's options begin with a word of their own, so that a row of bits is cut by words.
  void number() {
    bit_of_.assign(choice_.options.size(), kNoOption);
    for (const auto& options : options_of_) {
      first_word_.push_back(words_);
      for (std::size_t i = 0; i < options.size(); ++i) bit_of_[options[i]] = words_ * kWord + i;
      words_ += (options.size() + kWord - 1) / kWord;
    }
    first_word_.push_back(words_);
  }

  void find_conflicts() {
    // (model, layer or weight), the same, (donor, receiver)
    std::map<std::pair<int, int>, Bits> losing, taking, from;
    const auto row = [&](auto& rows, int a, int b) -> Bits& {
      return rows.try_emplace({a, b}, Bits(words_)).first->second;
    };
    for (const auto& options : options_of_) {
      for (const std::size_t index : options) {
        const ShareOption& option = choice_.options[index];
        for (const int item : lost_items(option)) set(row(losing, option.receiver, item), bit_of_[index]);
        for (const Supplied& supplied : option.supplied) {
          set(row(from, supplied.donor, option.receiver), bit_of_[index]);
          for (const int item : taken_items(supplied)) set(row(taking, supplied.donor, item), bit_of_[index]);
        }
      }
    }
    conflicts_.resize(choice_.options.size());
    const auto join_row = [&](Bits& bits, const auto& rows, int a, int b) {
      const auto found = rows.find({a, b});
      if (found != rows.end()) join(bits, found->second);
    };
    for (const auto& options : options_of_) {
      for (const std::size_t index : options) {
        const ShareOption& option = choice_.options[index];
        Bits& bits = conflicts_[index];
        bits.resize(words_);
        for (const int item : lost_items(option)) join_row(bits, taking, option.receiver, item);
        for (const Supplied& supplied : option.supplied) {
          join_row(bits, from, option.receiver, supplied.donor);  // each from the other
          for (const int item : taken_items(supplied)) join_row(bits, losing, supplied.donor, item);
        }
      }
    }
  }

  void find_nogoods() {
    in_nogood_.assign(choice_.options.size(), false);
    std::vector<std::size_t> never;
    for (const auto& set_of : choice_.nogoods) {
      const std::set<std::size_t> members(set_of.begin(), set_of.end());
      if (std::any_of(members.begin(), members.end(), [&](std::size_t one) { return bit_of_.at(one) == kNoOption; }))
        continue;  // one is never chosen
      const std::size_t first = *members.begin(), last = *members.rbegin();
      if (members.size() == 1) {
        never.push_back(first);
      } else if (members.size() == 2) {
        set(conflicts_[first], bit_of_[last]);
        set(conflicts_[last], bit_of_[first]);
      } else {
        nogoods_.emplace_back(members.begin(), members.end());
        for (const std::size_t one : members) in_nogood_[one] = true;
      }
    }
    for (const std::size_t one : never) remove(one);
  }

  void remove(std::size_t index) {
    const std::size_t bit = bit_of_[index];
    if (bit == kNoOption) return;
    bit_of_[index] = kNoOption;
    auto& options = options_of_[choice_.options[index].receiver];
    options.erase(std::find(options.begin(), options.end(), index));
    for (const auto& others : options_of_) {
      for (const std::size_t other : others) clear(conflicts_[other], bit);
    }
  }

  /// Worth as much and wherever `b` may stand, `a` may stand in its place.
  bool beats(std::size_t a, std::size_t b) const {
    if (in_nogood_[a] || !within(conflicts_[a], conflicts_[b])) return false;
    return std::all_of(choice_.options[a].supplied.begin(), choice_.options[a].supplied.end(),
                       [&](const Supplied& one) {
                         return std::any_of(choice_.options[b].supplied.begin(), choice_.options[b].supplied.end(),
                                            [&](const Supplied& other) { return other.donor == one.donor; });
                       });
  }

  void drop_beaten() {
    // What goes takes its conflicts along, and others may be beaten then.
    for (bool changed = true; changed;) {
      changed = false;
      for (auto& options : options_of_) {
        std::vector<std::size_t> kept, gone;
        for (const std::size_t index : options) {  // best first
          const bool beaten = std::any_of(kept.begin(), kept.end(), [&](std::size_t one) { return beats(one, index); });
          (beaten ? gone : kept).push_back(index);
        }
        for (const std::size_t index : gone) remove(index);
        changed = changed || !gone.empty();
      }
    }
  }

  ChoiceProblem problem() {
    ChoiceProblem result;
    std::vector<int> variable_of(at(choice_.models), -1);
    for (ModelIndex model = 0; model < choice_.models; ++model) {
      if (options_of_[model].empty()) continue;
      variable_of[model] = static_cast<int>(result.variables.size());
      result.variables.push_back({model, {kNoOption}, {0}, {{}}});
    }
    std::map<std::size_t, std::pair<int, int>> value_of;
    for (std::size_t v = 0; v < result.variables.size(); ++v) {
      Variable& variable = result.variables[v];
      for (const std::size_t index : options_of_[variable.model]) {
        value_of[index] = {static_cast<int>(v), static_cast<int>(variable.option.size())};
        variable.option.push_back(index);
        variable.worth.push_back(choice_.options[index].value);
        std::vector<ModelIndex> donors;
        for (const Supplied& supplied : choice_.options[index].supplied) {
          if (variable_of[supplied.donor] >= 0) donors.push_back(variable_of[supplied.donor]);
        }
        variable.donors.push_back(donors);
      }
    }
    for (int a = 0; a < static_cast<int>(result.variables.size()); ++a) {
      for (int b = a + 1; b < static_cast<int>(result.variables.size()); ++b)
        result.pairs.push_back(paired(result, a, b));
    }
    for (const Variable& variable : result.variables) {
      result.nogoods_of.emplace_back(variable.option.size());
      result.conflict_count.emplace_back(variable.option.size(), 0.0);
    }
    for (const Pair& pair : result.pairs) {
      for (std::size_t x = 0; x < pair.class_a.size(); ++x) {
        for (std::size_t y = 0; y < pair.class_b.size(); ++y) {
          if (pair.fit(pair.class_a[x], pair.class_b[y])) continue;
          result.conflict_count[pair.a][x] += 1;
          result.conflict_count[pair.b][y] += 1;
        }
      }
    }
    for (const auto& members : nogoods_) {
      if (std::any_of(members.begin(), members.end(), [&](std::size_t one) { return value_of.count(one) == 0; }))
        continue;
      Nogood nogood;
      for (const std::size_t one : members) {
        const auto [variable, value] = value_of.at(one);
        result.nogoods_of[variable][value].push_back(result.nogoods.size());
        nogood.emplace_back(variable, value);
      }
      result.nogoods.push_back(nogood);
    }
    // A choice without cycles has a model that takes nothing.
    result.most_takers = std::min(static_cast<int>(result.variables.size()), std::max(0, choice_.models - 1));
    if (choice_.max_shares >= 0) result.most_takers = std::min(result.most_takers, choice_.max_shares);
    return result;
  }

  /// Class of every value of `one`: by what it excludes of `other`.
  std::vector<int> classes(const Variable& one, const Variable& other, int& count) const {
    const auto begin = static_cast<std::ptrdiff_t>(first_word_[other.model]),
               end = static_cast<std::ptrdiff_t>(first_word_[at(other.model) + 1]);
    std::map<Bits, int> known;
    known.try_emplace(Bits(static_cast<std::size_t>(end - begin)), 0);  // "nothing" excludes nothing
    std::vector<int> result{0};
    for (std::size_t value = 1; value < one.option.size(); ++value) {
      const Bits& all = conflicts_[one.option[value]];
      result.push_back(known.try_emplace(Bits(all.begin() + begin, all.begin() + end), static_cast<int>(known.size()))
                           .first->second);
    }
    count = static_cast<int>(known.size());
    return result;
  }

  Pair paired(const ChoiceProblem& problem, int a, int b) const {
    const Variable &left = problem.variables[a], &right = problem.variables[b];
    Pair pair;
    pair.a = a;
    pair.b = b;
    pair.class_a = classes(left, right, pair.classes_a);
    pair.class_b = classes(right, left, pair.classes_b);
    pair.fits.assign(at(pair.classes_a * pair.classes_b), 1);
    for (std::size_t x = 1; x < left.option.size(); ++x) {
      for (std::size_t y = 1; y < right.option.size(); ++y) {
        if (has(conflicts_[left.option[x]], bit_of_[right.option[y]]))
          pair.fits[pair.class_a[x] * pair.classes_b + pair.class_b[y]] = 0;
      }
    }
    return pair;
  }

  const Choice& choice_;
  std::vector<std::vector<std::size_t>> options_of_;  // per receiver, largest value first
  std::vector<std::size_t> bit_of_;                   // per option; kNoOption: it is never chosen
  std::vector<std::size_t> first_word_;               // per receiver, and the end
  std::size_t words_ = 0;
  std::vector<Bits> conflicts_;                    // per option
  std::vector<bool> in_nogood_;                    // per option: in one of nogoods_
  std::vector<std::vector<std::size_t>> nogoods_;  // of three and more
};

}  // namespace

std::size_t ChoiceProblem::pair_of(int a, int b) const {
  if (a > b) std::swap(a, b);
  const int n = static_cast<int>(variables.size());
  return at(a * (2 * n - a - 1) / 2 + b - a - 1);
}

ChoiceProblem reduce(const Choice& choice) { return Reducer(choice).run(); }

}  // namespace repsim::planner
