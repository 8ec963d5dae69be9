#include <boost/math/distributions/normal.hpp>
#include <cmath>

#include "repsim/judgement.hpp"

namespace repsim::planner {

std::int64_t JudgingRule::wanted(double target, std::int64_t block) const {
  const double low = confidence > 0 ? target : target - tolerance;
  if (low <= 0) return min_evidence;
  if (low >= 1) return kNoNumber;
  const double z = boost::math::quantile(boost::math::normal(), (1 + interval()) / 2);
  const double needed = std::ceil(static_cast<double>(block) * z * z * low / (1 - low) - 1e-9);
  if (needed >= static_cast<double>(kNoNumber)) return kNoNumber;
  return std::max(min_evidence, static_cast<std::int64_t>(needed));
}

}  // namespace repsim::planner
