#include <algorithm>

#include "repsim/measure.hpp"

namespace repsim::measure {

const char* to_string(Deployment deployment) {
  switch (deployment) {
    case Deployment::kSeparateProcesses:
      return "separate-processes";
    case Deployment::kOneProcess:
      return "one-process";
    case Deployment::kDeduplicated:
      return "deduplicated";
    case Deployment::kBundle:
      break;
  }
  return "bundle";
}

std::vector<Step> schedule(std::size_t models, std::size_t rounds) {
  std::vector<Step> round;
  for (std::size_t model = 0; model < models; ++model) round.push_back({0, Deployment::kSeparateProcesses, model});
  for (const Deployment one : {Deployment::kOneProcess, Deployment::kDeduplicated, Deployment::kBundle})
    round.push_back({0, one, 0});
  std::vector<Step> steps;
  for (std::size_t number = 0; number < rounds; ++number) {
    for (Step& step : round) step.round = number;
    steps.insert(steps.end(), round.begin(), round.end());
    std::reverse(round.begin(), round.end());
  }
  return steps;
}

}  // namespace repsim::measure
