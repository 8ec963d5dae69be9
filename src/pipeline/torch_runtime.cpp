#include <torch/csrc/jit/runtime/print_handler.h>
#include <torch/script.h>
#include <torch/version.h>

#include "repsim/base/log.hpp"
#include "repsim/pipeline.hpp"

namespace repsim::pipeline {
namespace {

class WarningsToLog : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override { log::debug("torch: " + std::string(warning.msg())); }
};

}  // namespace

std::string torch_version() { return TORCH_VERSION; }

void log_torch_output() {
  static WarningsToLog handler;
  c10::WarningUtils::set_warning_handler(&handler);
  torch::jit::setPrintHandler([](const std::string& text) { log::debug("a model prints: " + text); });
}

}  // namespace repsim::pipeline
