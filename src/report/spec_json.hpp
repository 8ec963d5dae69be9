#pragma once

#include "repsim/base/json_io.hpp"
#include "repsim/model_spec.hpp"

namespace repsim::report {

/// Fails at `key` when it is absent; returns it as JsonReader::optional wants it. Everything in a plan is required.
std::string required(const JsonReader& reader, std::string key);

/// A member that must be an object or list. @throws Error{kInput} when it is absent
const Json& required_child(JsonReader& reader, const std::string& key);

/// A member that may not be negative.
void read_size(JsonReader& reader, const std::string& key, std::int64_t& out);

void read_spec(JsonReader reader, model::InputSpec& out);
void read_spec(JsonReader reader, model::OutputSpec& out);

}  // namespace repsim::report
