#pragma once

#include <optional>
#include <string>
#include <vector>

#include "repsim/measurement.hpp"

/// The tables of a measurement, as texts: the terminal and the page share them.
namespace repsim::report {

struct MeasuredTable {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
};
[[nodiscard]] MeasuredTable memory_table(const Measurement& measurement);
[[nodiscard]] std::optional<MeasuredTable> device_table(const Measurement& measurement);  ///< nothing on the CPU
[[nodiscard]] MeasuredTable time_table(const Measurement& measurement);
[[nodiscard]] MeasuredTable savings_table(const Measurement& measurement);
[[nodiscard]] MeasuredTable alone_table(const Measurement& measurement);
[[nodiscard]] MeasuredTable predictions_table(const Measurement& measurement);
/// "5 rounds of 24 calls, batch 1, on cpu, threads: 2, ...".
[[nodiscard]] std::string conditions_of(const Measurement& measurement);
/// What a reader has to know of the figures, in sentences.
[[nodiscard]] std::vector<std::string> explanations_of(const Measurement& measurement);

}  // namespace repsim::report
