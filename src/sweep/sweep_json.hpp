#pragma once

#include <functional>
#include <string>

#include "repsim/base/error.hpp"
#include "repsim/sweep.hpp"

/// Settings of a sweep, as parts of a config.
namespace repsim::sweep {

/// Puts a value where a config has the setting: "merge.min_fidelity" into {"merge": {...}}.
void put_setting(Json& config, const std::string& key, const Json& value);

/// Runs `work`. An error of the config reader about `file` then names the place in the sweep: `rename` turns the field
/// "models[0].path" into the field of the sweep.
template <typename Work>
auto with_field(const std::string& file, const std::function<std::string(const std::string&)>& rename,
                const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    const std::string prefix = file + ": ";
    if (!error.where().starts_with(prefix)) throw;
    throw Error(error.kind(), error.problem(), prefix + rename(error.where().substr(prefix.size())), error.remedy());
  }
}

}  // namespace repsim::sweep
