#include "repsim/truth.hpp"
#include "fuzz.hpp"

/// A file of ground truth.
REPSIM_FUZZ_TARGET(truth) {
  using namespace repsim;
  video::VideoInfo video;
  video.path = "video.avi";
  video.frame_count = 100;
  video.width = 640;
  video.height = 480;
  return fuzz::accept_errors(
      [&] { static_cast<void>(verify::read_truth(fuzz::file_with(fuzz::text_of(data, size)), video)); });
}
