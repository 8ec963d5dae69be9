#include "code_nesting.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <vector>

namespace repsim::model {
namespace {

using namespace std::string_view_literals;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

class Scanner {
 public:
  explicit Scanner(std::string_view code) : code_(code) {}

  std::int64_t run() {
    begin_line();
    while (at_ < code_.size()) {
      step();
      most_ = std::max(most_, inside_ + static_cast<std::int64_t>(indents_.size()));
    }
    return most_;
  }

 private:
  void step() {
    const char c = code_[at_];
    if (is_word(c)) return word();
    if (c == '\'' || c == '"') return text();
    ++at_;
    if (c == '\n') {
      if (operators_.size() == 1) begin_line();
    } else if (c == '#') {
      at_ = std::min(code_.find('\n', at_), code_.size());
    } else if ("([{"sv.find(c) != std::string_view::npos) {
      operators_.push_back(0);
      ++inside_;
    } else if (")]}"sv.find(c) != std::string_view::npos) {
      close();
    } else if (c == ',' || c == ';') {
      forget_operators();
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\\') {
      add_operator();
    }
  }

  void add_operator() {
    ++operators_.back();
    ++inside_;
  }
  void forget_operators() {
    inside_ -= operators_.back();
    operators_.back() = 0;
  }
  /// A closed bracket is a call or an index of what stands before it.
  void close() {
    if (operators_.size() > 1) {
      forget_operators();
      operators_.pop_back();
      --inside_;
    }
    add_operator();
  }

  void word() {
    const std::size_t begin = at_;
    while (at_ < code_.size() && is_word(code_[at_])) ++at_;
    static constexpr std::array kOperators{"not"sv, "and"sv, "or"sv, "in"sv, "is"sv, "if"sv, "else"sv, "lambda"sv};
    const std::string_view found = code_.substr(begin, at_ - begin);
    if (std::find(kOperators.begin(), kOperators.end(), found) != kOperators.end()) add_operator();
  }

  /// Skips a string: to its quote, or to three of them.
  void text() {
    const char quote = code_[at_];
    const std::string_view three = code_.substr(at_, 3);
    const bool triple = three.size() == 3 && three[1] == quote && three[2] == quote;
    at_ += triple ? 3 : 1;
    while (at_ < code_.size()) {
      if (code_[at_] == '\\') {
        at_ += 2;
      } else if (code_[at_] == quote && (!triple || code_.substr(at_, 3) == three)) {
        at_ += triple ? 3 : 1;
        return;
      } else {
        ++at_;
      }
    }
  }

  /// Takes the spaces at the beginning of a line; a line without anything else opens and closes no block.
  void begin_line() {
    forget_operators();
    const std::size_t begin = at_;
    while (at_ < code_.size() && (code_[at_] == ' ' || code_[at_] == '\t')) ++at_;
    if (at_ == code_.size() || code_[at_] == '\n' || code_[at_] == '#' || code_[at_] == '\r') return;
    const std::size_t indent = at_ - begin;
    while (!indents_.empty() && indents_.back() >= indent) indents_.pop_back();
    indents_.push_back(indent);
  }

  std::string_view code_;
  std::size_t at_ = 0;
  std::vector<std::size_t> indents_;
  std::vector<std::int64_t> operators_{0};  ///< per open bracket, since its last comma
  std::int64_t inside_ = 0, most_ = 0;
};

}  // namespace

std::int64_t code_nesting(std::string_view code) { return Scanner(code).run(); }

}  // namespace repsim::model
