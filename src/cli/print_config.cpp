#include "print_config.hpp"

#include <algorithm>
#include <filesystem>

#include "cache_flag.hpp"
#include "repsim/config.hpp"
#include "repsim/model_name.hpp"
#include "repsim/report.hpp"

namespace repsim::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kDefault = "default";

/// The member at "merge.max_rank" or "models.0.input"; a null pointer where there is none.
const Json* member_at(const Json& config, const std::string& key) {
  const Json* place = &config;
  for (std::size_t begin = 0; begin <= key.size();) {
    const std::size_t end = std::min(key.find('.', begin), key.size());
    const std::string part = key.substr(begin, end - begin);
    if (place->is_array()) {
      const std::size_t index =
          part.find_first_not_of("0123456789") == std::string::npos ? std::stoul(part) : place->size();
      if (index >= place->size()) return nullptr;
      place = &(*place)[index];
    } else {
      if (!place->is_object() || !place->contains(part)) return nullptr;
      place = &(*place)[part];
    }
    begin = end + 1;
  }
  return place;
}

/// Whether one of two keys is the other, or contains it.
bool overlaps(const std::string& a, const std::string& b) {
  const auto within = [](const std::string& inner, const std::string& outer) {
    return inner == outer || inner.starts_with(outer + ".");
  };
  return within(a, b) || within(b, a);
}

/// What config file and --set say, without reading it as settings.
class Sources {
 public:
  explicit Sources(const JobFlags& flags) : flags_(flags) {
    if (flags.config) config_ = read_json(*flags.config);
    for (const std::string& assignment : flags.set) config::apply_override(config_, assignment);
  }

  /// "--set" or the name of the file; "default" where neither has the key.
  [[nodiscard]] std::string origin_of(const std::string& key) const {
    if (member_at(config_, key) == nullptr) return kDefault;
    for (const std::string& assignment : flags_.set) {
      if (overlaps(assignment.substr(0, assignment.find('=')), key)) return "--set";
    }
    return flags_.config.value_or("--set");
  }

  [[nodiscard]] const Json& config() const { return config_; }

  /// The number of the model of this name in the config; -1: it is not there.
  [[nodiscard]] int model_number(const std::string& name) const {
    const Json* models = member_at(config_, "models");
    if (models == nullptr || !models->is_array()) return -1;
    for (std::size_t i = 0; i < models->size(); ++i) {
      const Json& model = (*models)[i];
      if (model.value("name", model::name_of(model.value("path", ""))) == name) return static_cast<int>(i);
    }
    return -1;
  }

 private:
  const JobFlags& flags_;
  Json config_ = Json::object();
};

/// Whether a flag "[NAME=]VALUE" speaks of this model.
bool speaks_of(const std::vector<std::string>& texts, const std::string& name) {
  return std::any_of(texts.begin(), texts.end(), [&](const std::string& text) {
    const std::size_t equals = text.find('=');
    return equals == std::string::npos || text.substr(0, equals) == name;
  });
}

std::string origin_of_path(const JobFlags& flags, const Sources& sources, const std::string& name, int number) {
  for (const std::string& path : flags.models) {
    if (model::name_of(path) == name) return "command line";
  }
  for (const std::string& text : flags.named_models) {
    if (text.starts_with(name + "=")) return "--model";
  }
  return sources.origin_of("models." + std::to_string(number) + ".path");
}

void add_model(const JobFlags& flags, const Sources& sources, const config::Settings& settings, std::size_t index,
               std::vector<EffectiveSetting>& out) {
  const model::ModelSpec& spec = settings.models[index];
  const int number = sources.model_number(spec.name);
  const std::string here = "models." + std::to_string(index) + ".", there = "models." + std::to_string(number) + ".";
  const std::string path_origin = origin_of_path(flags, sources, spec.name, number);
  const std::string name_origin = sources.origin_of(there + "name");
  out.push_back({here + "name", spec.name,
                 path_origin == "--model"  ? path_origin
                 : name_origin == kDefault ? "the file's name"
                                           : name_origin});
  out.push_back({here + "path", spec.path, path_origin});
  std::string input_origin = "the model's archive";
  if (settings.input_sources[index] == "flags") input_origin = "--input";
  if (settings.input_sources[index] == "config") input_origin = sources.origin_of(there + "input");
  out.push_back({here + "input", spec.input ? report::to_json(*spec.input) : Json(), input_origin});
  const Json output = report::to_json(spec.output);
  for (const auto& [key, value] : output.items()) {
    const bool by_flag = key == "format" && speaks_of(flags.formats, spec.name);
    out.push_back({here + "output." + key, value, by_flag ? "--format" : sources.origin_of(there + "output." + key)});
  }
  const auto own = settings.videos_of.find(spec.name);
  if (own == settings.videos_of.end()) return;
  const bool is_one = member_at(sources.config(), there + "video") != nullptr;
  const std::string key = is_one ? "video" : "videos";
  out.push_back({here + key, is_one ? Json(own->second.front().path) : config::videos_json(own->second),
                 sources.origin_of(there + key)});
}

std::string absolute(const std::string& path) {
  std::error_code failed;  // the working directory may be gone
  const fs::path whole = fs::absolute(path, failed);
  return failed || path.empty() ? path : whole.lexically_normal().string();
}

// Two rows stand for the videos, of which one has a value: `video` for one video, `videos` for several. A list of one
// becomes one video, and the flag of both is that of `video`.

bool is_shown(const config::Setting& row, const config::Settings& settings) {
  if (std::holds_alternative<config::OneVideo>(row.kind)) return settings.videos.size() < 2;
  return !std::holds_alternative<config::SeveralVideos>(row.kind) || settings.videos.size() > 1;
}

std::string_view flag_key(const config::Setting& row) {
  return std::holds_alternative<config::SeveralVideos>(row.kind) ? "video" : row.key;
}

std::string origin_before_flags(const config::Setting& row, const Sources& sources) {
  const std::string origin = sources.origin_of(std::string(row.key));
  const bool may_be_a_list = std::holds_alternative<config::OneVideo>(row.kind) && origin == kDefault;
  return may_be_a_list ? sources.origin_of("videos") : origin;
}

}  // namespace

std::vector<EffectiveSetting> effective_settings(const JobFlags& flags) {
  const config::Settings settings = settings_of_job(flags);
  const Sources sources(flags);
  std::vector<EffectiveSetting> result;
  for (std::size_t i = 0; i < settings.models.size(); ++i) add_model(flags, sources, settings, i, result);
  for (const config::Setting& row : config::kSettings) {
    if (!is_shown(row, settings)) continue;
    const std::string key(row.key), before = origin_before_flags(row, sources), flag(row.flag);
    // Fidelities of the command line are added to those that are there.
    const bool adds = std::holds_alternative<config::MinFidelities>(row.kind) && before != kDefault;
    const std::string origin = !flags.settings.given(flag_key(row)) ? before : adds ? before + ", " + flag : flag;
    result.push_back({key, config::json_of(row, settings), origin});
  }
  const std::string cache = named_cache_folder(flags.cache);
  result.push_back({"--cache", cache.empty() ? Json("none") : Json(cache), flags.cache ? "--cache" : kDefault});
  return result;
}

std::string settings_text(const std::vector<EffectiveSetting>& settings) {
  std::size_t keys = 0, values = 0;
  constexpr std::size_t kLongest = 40;  // a longer value moves its own origin only
  for (const EffectiveSetting& one : settings) {
    keys = std::max(keys, one.key.size());
    if (one.value.dump().size() <= kLongest) values = std::max(values, one.value.dump().size());
  }
  std::string text;
  for (const EffectiveSetting& one : settings) {
    std::string key = one.key, value = one.value.is_null() ? "(none)" : one.value.dump();
    key.resize(std::max(key.size(), keys), ' ');
    value.resize(std::max(value.size(), values), ' ');
    text += key + "  " + value + "  " + one.origin + "\n";
  }
  return text;
}

Json to_config(const JobFlags& flags) {
  config::Settings settings = settings_of_job(flags);
  for (model::ModelSpec& spec : settings.models) spec.path = absolute(spec.path);
  for (std::string& path : settings.libraries) path = absolute(path);
  const auto make_absolute = [](std::vector<video::VideoSource>& videos) {
    for (video::VideoSource& video : videos) {
      video.path = absolute(video.path);
      if (video.truth) video.truth = absolute(*video.truth);
    }
  };
  make_absolute(settings.videos);
  for (auto& [model, videos] : settings.videos_of) make_absolute(videos);
  if (settings.truth) settings.truth = absolute(*settings.truth);
  std::vector<std::string> comment{"Effective settings, and where each value came from:"};
  for (const EffectiveSetting& one : effective_settings(flags)) {
    if (!one.key.starts_with("--") && !one.value.is_null()) comment.push_back(one.key + ": " + one.origin);
  }
  Json result{{config::kCommentKey, comment}};
  result.update(config::config_file(settings));
  return result;
}

}  // namespace repsim::cli
