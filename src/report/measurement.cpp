#include "repsim/measurement.hpp"

#include "format.hpp"
#include "measurement_tables.hpp"
#include "repsim/base/text.hpp"
#include "repsim/report.hpp"
#include "text_table.hpp"

namespace repsim::report {
namespace {

using measure::Deployment;

double percent(double ratio) { return 100 * (ratio - 1); }

double ratio_of(std::int64_t value, std::int64_t baseline) {
  return baseline > 0 ? static_cast<double>(value) / static_cast<double>(baseline) : 1;
}

std::string text_of(const MeasuredTable& table) {
  TextTable text(table.titles);
  for (const std::vector<std::string>& row : table.rows) text.add_row(row);
  return text.text();
}

}  // namespace

std::optional<double> Measurement::machine_factor() const {
  if (!predicted.separate_ms || *predicted.separate_ms <= 0) return std::nullopt;
  return baseline().figures.frame_ms / *predicted.separate_ms;
}

std::optional<double> Measurement::expected_ms() const {
  const std::optional<double> factor = machine_factor();
  if (!factor || !predicted.bundle_ms) return std::nullopt;
  return *factor * *predicted.bundle_ms;
}

std::string title_of(Deployment deployment) {
  switch (deployment) {
    case Deployment::kSeparateProcesses:
      return "(a) originals, a process each";
    case Deployment::kOneProcess:
      return "(b) originals, one process";
    case Deployment::kDeduplicated:
      return "(c) bundle without shares";
    case Deployment::kBundle:
      break;
  }
  return "(d) the plan's bundle";
}

std::string change_text(double ratio) {
  const std::string text = fixed(percent(ratio), 1);
  if (text == "0.0" || text == "-0.0") return "0.0 %";
  return (text.front() == '-' ? "" : "+") + text + " %";
}

MeasuredTable memory_table(const Measurement& measurement) {
  MeasuredTable table{{"resident memory", "file", "before loading", "loaded", "running", "peak"}, {}};
  for (const MeasuredDeployment& one : measurement.deployments) {
    const measure::Figures& figures = one.figures;
    table.rows.push_back({title_of(one.deployment), human_bytes(figures.file_bytes), human_bytes(figures.before_bytes),
                          human_bytes(figures.loaded_bytes), human_bytes(figures.running_bytes),
                          human_bytes(figures.peak_bytes)});
  }
  return table;
}

std::optional<MeasuredTable> device_table(const Measurement& measurement) {
  if (!measurement.bundle().figures.device) return std::nullopt;
  MeasuredTable table{{"memory of the GPU", "allocated", "reserved", "driver"}, {}};
  for (const MeasuredDeployment& one : measurement.deployments) {
    const std::optional<measure::DeviceMemory>& memory = one.figures.device;
    if (!memory) continue;
    table.rows.push_back({title_of(one.deployment), human_bytes(memory->allocated), human_bytes(memory->reserved),
                          memory->driver ? human_bytes(*memory->driver) : "-"});
  }
  return table;
}

MeasuredTable time_table(const Measurement& measurement) {
  MeasuredTable table{{"time", "load s", "ms/frame", "90 %", "rounds", "cpu ms", "frames/s"}, {}};
  for (const MeasuredDeployment& one : measurement.deployments) {
    const measure::Figures& figures = one.figures;
    table.rows.push_back({title_of(one.deployment), fixed(figures.load_seconds, 3), fixed(figures.frame_ms, 2),
                          fixed(figures.frame_ms_90, 2), fixed(figures.least_ms, 2) + "-" + fixed(figures.most_ms, 2),
                          fixed(figures.cpu_ms, 2), fixed(figures.frames_per_second(), 1)});
  }
  return table;
}

MeasuredTable savings_table(const Measurement& measurement) {
  MeasuredTable table{{"the bundle against", "file", "running", "beyond before", "load", "ms/frame", "cpu ms"}, {}};
  const measure::Figures& bundle = measurement.bundle().figures;
  for (const MeasuredDeployment& one : measurement.deployments) {
    if (one.deployment == Deployment::kBundle) continue;
    const measure::Figures& figures = one.figures;
    table.rows.push_back({title_of(one.deployment), change_text(ratio_of(bundle.file_bytes, figures.file_bytes)),
                          change_text(ratio_of(bundle.running_bytes, figures.running_bytes)),
                          change_text(ratio_of(bundle.running_bytes - bundle.before_bytes,
                                               figures.running_bytes - figures.before_bytes)),
                          change_text(one.bundle.load_seconds), change_text(one.bundle.frame_ms),
                          change_text(one.bundle.cpu_ms)});
  }
  return table;
}

MeasuredTable alone_table(const Measurement& measurement) {
  MeasuredTable table{{"one model alone", "takes layers", "original ms", "run_<model> ms", "change", "cpu change"}, {}};
  for (const measure::Alone& alone : measurement.alone) {
    table.rows.push_back({printable(alone.model), alone.takes_layers ? "yes" : "no", fixed(alone.original_ms, 2),
                          fixed(alone.bundle_ms, 2), change_text(alone.ratio), change_text(alone.cpu_ratio)});
  }
  return table;
}

MeasuredTable predictions_table(const Measurement& measurement) {
  MeasuredTable table{{"prediction", "predicted", "measured", "error"}, {}};
  const measure::Figures &originals = measurement.baseline().figures, &bundle = measurement.bundle().figures;
  const Predicted& predicted = measurement.predicted;
  const auto bytes = [&](const char* what, std::int64_t prediction, std::int64_t measured) {
    if (measured == 0) return;  // on a GPU
    table.rows.push_back(
        {what, human_bytes(prediction), human_bytes(measured), change_text(ratio_of(prediction, measured))});
  };
  // The originals run one after another, so their peak is that of the one that needs most: (a) has each by itself.
  bytes("peak of activations, originals", predicted.separate_bytes,
        measurement.of(Deployment::kSeparateProcesses).figures.activation_bytes);
  bytes("peak of activations, bundle", predicted.bundle_bytes, bundle.activation_bytes);
  const std::optional<double> expected = measurement.expected_ms();
  if (!expected || bundle.frame_ms <= 0) return table;
  table.rows.push_back({"latency of the bundle, ms", fixed(*expected, 2), fixed(bundle.frame_ms, 2),
                        change_text(*expected / bundle.frame_ms)});
  double estimated = 0;
  for (const measure::Alone& alone : measurement.alone) estimated += alone.estimate_ms;
  const double factor = estimated > 0 ? originals.frame_ms / estimated : 0;
  for (const measure::Alone& alone : measurement.alone) {
    table.rows.push_back({"latency of " + printable(alone.model) + " alone, ms", fixed(factor * alone.estimate_ms, 2),
                          fixed(alone.original_ms, 2), change_text(factor * alone.estimate_ms / alone.original_ms)});
  }
  table.rows.push_back({"ms/frame of the bundle against (b)", change_text(*expected / originals.frame_ms),
                        change_text(measurement.baseline().bundle.frame_ms), "-"});
  return table;
}

std::string conditions_of(const Measurement& measurement) {
  const std::string threads =
      measurement.threads == 0 ? std::to_string(measurement.cores) : std::to_string(measurement.threads);
  return counted(measurement.repeats, "round") + " of " + counted(measurement.frames, "call") + ", batch " +
         std::to_string(measurement.batch) + ", on " + measurement.device + ", threads: " + threads +
         (measurement.cpu.empty() ? "" : ", " + measurement.cpu);
}

std::vector<std::string> explanations_of(const Measurement& measurement) {
  std::vector<std::string> lines{
      "(b) is the honest baseline: (a) pays for the runtime once per process, which no sharing of layers changes."};
  lines.emplace_back(
      "Resident memory is what the processes take together: their own memory adds up, mapped files (libraries) count "
      "once. Before loading it holds the runtime and the pictures.");
  if (const auto factor = measurement.machine_factor()) {
    lines.push_back("The latency estimate is of a nominal machine; this one takes " + fixed(*factor, 2) +
                    " times as long for the originals, and the prediction is scaled so.");
  }
  return lines;
}

std::string to_text(const Measurement& measurement) {
  std::string text = join(measurement.models, ", ") + "\n" + wrapped(conditions_of(measurement), "") + "\n";
  text += text_of(memory_table(measurement)) + "\n";
  if (const auto device = device_table(measurement)) text += text_of(*device) + "\n";
  text += text_of(time_table(measurement)) + "\n" + text_of(savings_table(measurement)) + "\n" +
          text_of(alone_table(measurement)) + "\n" + text_of(predictions_table(measurement)) + "\n";
  for (const std::string& line : explanations_of(measurement)) text += wrapped(line, "");
  return text;
}

}  // namespace repsim::report
