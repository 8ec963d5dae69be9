#pragma once

#include <string>
#include <vector>

#include "base/temp_folder.hpp"
#include "fixtures/fixtures.hpp"
#include "pipeline/patches.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::test {

/// Fixtures on a video of 50 frames that is written into the folder; everything else is as settings are by default.
inline pipeline::Settings fixture_settings(const TempFolder& folder, const std::vector<std::string>& models) {
  write_avi(folder / "video.avi", 50, patches);
  pipeline::Settings settings;
  for (const std::string& name : models) {
    settings.models.push_back(fixture_spec(name));
    settings.input_sources.push_back("flags");
    settings.accept_unmeasured.push_back(settings.models.back().name);  // so short a video has little evidence
  }
  settings.videos = {{(folder / "video.avi").string()}};
  return settings;
}

}  // namespace repsim::test
