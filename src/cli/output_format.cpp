#include "output_format.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "commands.hpp"
#include "common_flags.hpp"
#include "repsim/base/atomic_file.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/base/text.hpp"
#include "repsim/base/words.hpp"

namespace repsim::cli {
namespace {

namespace fs = std::filesystem;

enum class Format { kText, kJson, kGithub, kGitlab, kJunit, kMarkdown };
constexpr auto kFormatWords = std::to_array<Word<Format>>({
    {Format::kText, "text"},
    {Format::kJson, "json"},
    {Format::kGithub, "github"},
    {Format::kGitlab, "gitlab"},
    {Format::kJunit, "junit"},
    {Format::kMarkdown, "markdown"},
});

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// GitHub shows what is appended to this file on the page of the run.
void append_summary(const std::string& markdown) {
  const std::string path = variable("GITHUB_STEP_SUMMARY");
  if (path.empty()) return;
  std::ofstream file(path, std::ios::app | std::ios::binary);
  file << markdown << "\n";
  file.flush();
  if (!file) throw input_error("the summary cannot be written", path, "check GITHUB_STEP_SUMMARY");
}

std::string in_format(Format format, const Rendered& rendered) {
  switch (format) {
    case Format::kText:
      break;
    case Format::kJson:
      return rendered.json;
    case Format::kGithub:
      if (variable("GITHUB_ACTIONS") != "true") break;
      return rendered.text + report::github_annotations(rendered.findings);
    case Format::kGitlab:
    case Format::kJunit:
      return report::junit_xml(rendered.findings);
    case Format::kMarkdown:
      return rendered.markdown;
  }
  return rendered.text;
}

}  // namespace

void add_output_format(CLI::App& app, OutputFlags& flags) {
  app.add_option("--output-format", flags.format, "Form of the result (default text; docs/ci.md)")
      ->type_name(join(all_words(kFormatWords), "|"))
      ->group("Output");
  add_text(app, "--output-file", "FILE", flags.file,
           "Write the result there in that form; stdout then has the text. gitlab: also metrics.txt beside it")
      ->group("Output");
}

void check_output_format(const OutputFlags& flags) {
  const auto format = value_of(kFormatWords, flags.format);
  if (!format) {
    throw Error(ErrorKind::kUsage, "there is no format '" + flags.format + "'", "--output-format",
                did_you_mean(flags.format, all_words(kFormatWords)));
  }
  if (*format == Format::kGitlab && !flags.file) {
    throw Error(ErrorKind::kUsage, "gitlab writes two files, and no file is given", "--output-format gitlab",
                "--output-file junit.xml; metrics.txt appears beside it");
  }
}

void print_rendered(const OutputFlags& flags, const Rendered& rendered) {
  check_output_format(flags);
  const Format format = *value_of(kFormatWords, flags.format);
  if (format == Format::kGithub) append_summary(rendered.markdown);
  if (!flags.file) return print_result(in_format(format, rendered));
  write_file_atomically(*flags.file, in_format(format, rendered));
  if (format == Format::kGitlab) {
    const fs::path metrics = fs::path(*flags.file).parent_path() / "metrics.txt";
    write_file_atomically(metrics.string(), report::openmetrics(rendered.findings));
  }
  print_result(rendered.text);
}

}  // namespace repsim::cli
