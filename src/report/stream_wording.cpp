#include "format.hpp"
#include "repsim/base/text.hpp"
#include "wording.hpp"

namespace repsim::report {

std::vector<std::string> streams_in_words(const Plan& plan) {
  std::vector<std::string> lines;
  for (const PlanStream& stream : plan.streams) {
    const std::int64_t fit = std::ssize(stream.calibration_frames), judge = std::ssize(stream.holdout_frames),
                       choose = stream.choosing_frames();
    const bool is_alone = stream.models.size() == 1;
    lines.push_back(stream.name + ": " + join(stream.models, ", ") +
                    (is_alone ? " runs alone (" : " run on one frame (") + stream.run_method + "); " +
                    grouped(fit + choose + judge) + " of " + counted(stream.video_frames, "frame") + " of " +
                    stream.video_path + ": " + grouped(fit) + " fit, " +
                    (choose > 0 ? grouped(choose) + " choose, " : "") + grouped(judge) + " judge");
  }
  return lines;
}

std::string guests_in_words(const Share& share) {
  if (share.guests.empty()) return "";
  return "only weights are shared with " + join(share.guests, ", ") + ": " +
         (share.guests.size() == 1 ? "its" : "their") + " layers run on the frames of this stream as well";
}

}  // namespace repsim::report
