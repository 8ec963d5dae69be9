#pragma once

#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "repsim/findings.hpp"

/// One result in the form that its reader wants: a person, a script, a CI system.
namespace repsim::cli {

struct OutputFlags {
  std::string format = "text";
  std::optional<std::string> file;
};

/// --output-format, --output-file.
void add_output_format(CLI::App& app, OutputFlags& flags);

/// A result in all its forms.
struct Rendered {
  std::string text, json, markdown;
  report::Findings findings;
};

/// Prints the form that is asked for. With --output-file that form goes to the file, which appears whole, and the text
/// to stdout. github: annotations on stdout where GITHUB_ACTIONS is true (else the text), and the Markdown is appended
/// to the file that GITHUB_STEP_SUMMARY names. gitlab: JUnit, and metrics.txt beside the file.
/// @throws Error{kUsage} for unknown formats, Error{kInput} where a file cannot be written
void print_rendered(const OutputFlags& flags, const Rendered& rendered);

/// To be called before work that takes long. @throws Error{kUsage}
void check_output_format(const OutputFlags& flags);

}  // namespace repsim::cli
