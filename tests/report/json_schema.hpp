#pragma once

#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>
#include <vector>

#include "repsim/base/json_io.hpp"

namespace repsim::test {

/// A JSON Schema of draft 7, the newest draft that valijson reads. valijson passes over keywords that it does not know.
class JsonSchema {
 public:
  explicit JsonSchema(const Json& schema) {
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    const nlohmann::json unordered = schema;
    parser.populateSchema(valijson::adapters::NlohmannJsonAdapter(unordered), schema_);
  }

  /// What of `value` the schema refuses, each with its place; empty: nothing.
  [[nodiscard]] std::vector<std::string> complaints(const Json& value) const {
    valijson::Validator validator(valijson::Validator::kStrongTypes);
    valijson::ValidationResults results;
    const nlohmann::json unordered = value;
    std::vector<std::string> found;
    if (validator.validate(schema_, valijson::adapters::NlohmannJsonAdapter(unordered), &results)) return found;
    for (valijson::ValidationResults::Error error; results.popError(error);) {
      std::string place;
      for (const std::string& part : error.context) place += part;
      found.push_back(place + ": " + error.description);
    }
    return found;
  }

 private:
  valijson::Schema schema_;
};

}  // namespace repsim::test
