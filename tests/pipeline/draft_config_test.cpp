// What `repsim config init` calls certain, and what it asks people to check.
#include "repsim/config_draft.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace repsim::pipeline {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::Field;
using testing::HasSubstr;
using testing::Not;

report::Inspection detector() {
  report::Inspection found;
  found.input.width = 64;
  found.input.height = 48;
  found.input_source = "archive: config.txt";
  found.output.format = model::OutputFormat::kYolov8;
  found.output.classes = {"a", "b", "c", "d", "e"};
  found.format_reason = "rows of boxes";
  return found;
}

auto note(const std::string& field, bool is_uncertain, const std::string& value) {
  return AllOf(Field(&DraftNote::field, field), Field(&DraftNote::is_uncertain, is_uncertain),
               Field(&DraftNote::value, HasSubstr(value)), Field(&DraftNote::reason, Not("")));
}

TEST(DraftNotes, AskForWhatAnArchiveDoesNotState) {
  const auto notes = notes_of({}, detector(), 1);
  EXPECT_THAT(notes, Contains(note("models.1.input.width, .height", false, "64x48")));
  EXPECT_THAT(notes, Contains(note("models.1.input.color", true, "bgr")));
  EXPECT_THAT(notes, Contains(note("models.1.input.resize", true, "stretch")));
  EXPECT_THAT(notes, Contains(note("models.1.input.scale, .mean, .std", true, "1/255")));
  EXPECT_THAT(notes, Contains(note("models.1.output.format", false, "yolov8")));
  EXPECT_THAT(notes, Contains(note("models.1.output.classes", false, "a, b, c and 2 more")));
  EXPECT_THAT(notes, Contains(note("models.1.output.score_threshold", true, "0.35")));
}

TEST(DraftNotes, TakeAStatedInputAsItIs) {
  model::ModelSpec stated;
  stated.input = model::InputSpec{.width = 64, .height = 48};
  const auto notes = notes_of(stated, detector(), 0);
  EXPECT_THAT(notes, Contains(note("models.0.input", false, "64x48")));
  EXPECT_THAT(notes, Each(Field(&DraftNote::field, Not(HasSubstr("color")))));
}

TEST(DraftNotes, TakeTheWholeInputOfExportsThatStateIt) {
  report::Inspection found = detector();
  found.input.resize = model::Resize::kLetterbox;
  found.input.color = model::Color::kRgb;
  EXPECT_THAT(notes_of({}, found, 0), Contains(note("models.0.input", false, "letterbox")));
}

TEST(DraftNotes, AskForASizeThatNothingStates) {
  report::Inspection found = detector();
  found.size_is_known = false;
  EXPECT_THAT(notes_of({}, found, 0), Contains(note("models.0.input.width, .height", true, "64x48")));
}

TEST(DraftNotes, AskWhereNoFormatWasRecognised) {
  report::Inspection found = detector();
  found.output.format = model::OutputFormat::kTensor;
  const auto notes = notes_of({}, found, 0);
  EXPECT_THAT(notes, Contains(note("models.0.output.format", true, "tensor")));
  EXPECT_THAT(notes, Each(Field(&DraftNote::field, Not(HasSubstr("score_threshold")))));
  model::ModelSpec stated;
  stated.output.format = model::OutputFormat::kTensor;
  EXPECT_THAT(notes_of(stated, found, 0), Contains(note("models.0.output.format", false, "tensor")));
}

TEST(DraftNotes, AskForMissingNames) {
  report::Inspection found = detector();
  found.output.classes.clear();
  EXPECT_THAT(notes_of({}, found, 0), Contains(note("models.0.output.classes", true, "[]")));
}

}  // namespace
}  // namespace repsim::pipeline
