#include "repsim/findings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/sample_plan.hpp"
#include "repsim/plan_diff.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Findings sample_findings() {
  return {"check",
          "plans/a,b:c.json",
          {{Finding::Level::kPassed, "plain: sha256", ""},
           {Finding::Level::kError, "plain: fidelity", "0.95 -> 0.91\n100 % <worse> & \"bad\"\x01"},
           {Finding::Level::kNotice, "wide: fidelity", "a little"}},
          {{"repsim_fidelity", "Agreement.", "plain", 0.91},
           {"repsim_fidelity", "Agreement.", "wi\"de", 1},
           {"repsim_bundle_bytes", "Bytes.", "", 713600}}};
}

TEST(Findings, BecomeWorkflowCommandsWithTheirEscapes) {
  EXPECT_EQ(github_annotations(sample_findings()),
            "::error file=plans/a%2Cb%3Ac.json,title=repsim check%3A plain%3A fidelity::0.95 -> 0.91%0A100 %25 "
            "<worse> & \"bad\"\x01\n"
            "::notice file=plans/a%2Cb%3Ac.json,title=repsim check%3A wide%3A fidelity::a little\n");
}

TEST(Findings, BecomeJunitWhoseTextIsSafeForXml) {
  const std::string xml = junit_xml(sample_findings());
  EXPECT_THAT(xml, HasSubstr(R"(<testsuites name="repsim.check" tests="3" failures="1" errors="0">)"));
  EXPECT_THAT(xml, HasSubstr("&lt;worse&gt; &amp; &quot;bad&quot;"));
  EXPECT_THAT(xml, Not(HasSubstr("\x01")));
  EXPECT_THAT(xml, HasSubstr("<system-out>a little</system-out>"));
}

TEST(Findings, BecomeOpenMetricsWithOneTypePerName) {
  EXPECT_EQ(openmetrics(sample_findings()),
            "# TYPE repsim_fidelity gauge\n# HELP repsim_fidelity Agreement.\nrepsim_fidelity{model=\"plain\"} 0.91\n"
            "repsim_fidelity{model=\"wi\\\"de\"} 1\n# TYPE repsim_bundle_bytes gauge\n# HELP repsim_bundle_bytes "
            "Bytes.\nrepsim_bundle_bytes 713600\n# EOF\n");
}

TEST(Findings, OfADiffFailWhereThereIsDrift) {
  Plan after = sample_plan();
  after.models[0].fidelity.value = 0.91;
  const auto findings = findings_of(compare(sample_plan(), after, {}), Finding::Level::kError);
  int errors = 0;
  for (const Finding& one : findings) {
    if (one.level != Finding::Level::kError) continue;
    ++errors;
    EXPECT_EQ(one.name, "plain: fidelity");
    EXPECT_THAT(one.message, HasSubstr("0.921 -> 0.910"));
  }
  EXPECT_EQ(errors, 1);
}

TEST(Metrics, LeaveOutWhatWasNotMeasured) {
  Plan plan = sample_plan();
  plan.models[0].fidelity.value.reset();
  for (const Metric& metric : metrics_of(plan)) EXPECT_NE(metric.model, "plain");
}

}  // namespace
}  // namespace repsim::report
