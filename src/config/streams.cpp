#include "repsim/streams.hpp"

#include <algorithm>

#include "repsim/base/error.hpp"
#include "repsim/base/text.hpp"
#include "repsim/model_name.hpp"
#include "videos.hpp"

namespace repsim::config {
namespace {

bool are_equal(const std::vector<video::VideoSource>& a, const std::vector<video::VideoSource>& b) {
  // The weight of a single video decides nothing.
  const bool one = a.size() == 1 && b.size() == 1;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](const video::VideoSource& left, const video::VideoSource& right) {
                      return left.path == right.path && (one || left.weight == right.weight);
                    });
}

/// The name of the first video; where several streams would have it, with its folder before it if that tells them
/// apart, else with a number behind it.
void name_streams(std::vector<Stream>& streams) {
  std::vector<std::string> names, with_folders;
  for (const Stream& stream : streams) {
    const video::VideoSource first = stream.videos.empty() ? video::VideoSource{"none"} : stream.videos.front();
    names.push_back(first.name.empty() ? model::name_of(first.path) : first.name);
    with_folders.push_back(name_with_folder(first.path));
  }
  const auto is_unique = [](const std::vector<std::string>& among, std::size_t i) {
    return std::count(among.begin(), among.end(), among[i]) == 1;
  };
  for (std::size_t i = 0; i < streams.size(); ++i) {
    const bool needs_folder = !is_unique(names, i) && is_unique(with_folders, i);
    const std::string name = needs_folder ? with_folders[i] : names[i];
    const auto is_taken = [&](const std::string& wanted) {
      return std::any_of(streams.begin(), streams.begin() + static_cast<std::ptrdiff_t>(i),
                         [&](const Stream& other) { return other.name == wanted; });
    };
    streams[i].name = name;
    for (int number = 2; is_taken(streams[i].name); ++number) streams[i].name = name + "-" + std::to_string(number);
  }
}

}  // namespace

std::vector<Stream> streams_of(const Settings& settings) {
  std::vector<Stream> streams;
  for (std::size_t i = 0; i < settings.models.size(); ++i) {
    const auto own = settings.videos_of.find(settings.models[i].name);
    const std::vector<video::VideoSource>& videos = own == settings.videos_of.end() ? settings.videos : own->second;
    auto found = std::find_if(streams.begin(), streams.end(),
                              [&](const Stream& stream) { return are_equal(stream.videos, videos); });
    if (found == streams.end()) found = streams.insert(streams.end(), {{}, {}, videos, {}});
    if (own == settings.videos_of.end() && !found->truth) found->truth = settings.truth;
    found->models.push_back(i);
  }
  name_streams(streams);
  for (Stream& stream : streams) {
    if (stream.videos.size() != 1) continue;
    // One video has no name and no weight, whoever states it.
    video::VideoSource& only = stream.videos.front();
    if (!stream.truth) stream.truth = only.truth;
    only = {only.path};
  }
  return streams;
}

Stream only_stream(const Settings& settings, const std::string& command) {
  std::vector<Stream> streams = streams_of(settings);
  if (streams.empty()) return {{}, {}, settings.videos, settings.truth};
  if (streams.size() == 1) return std::move(streams.front());
  std::vector<std::string> names;
  for (const Stream& stream : streams) names.push_back(stream.name);
  throw Error(ErrorKind::kUsage,
              "the models run on " + std::to_string(streams.size()) + " streams (" + join(names, ", ") +
                  "), and this takes models of one stream",
              command, "the models of one stream, or no 'video' in the models' entries");
}

}  // namespace repsim::config
