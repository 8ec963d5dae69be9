#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <opencv2/imgcodecs.hpp>
#include <set>

#include "report/sample_plan.hpp"
#include "repsim/report_page.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

/// The page without the text of its script, which is no markup.
std::string without_script(std::string page) {
  const std::size_t begin = page.find("<script>");
  const std::size_t end = begin == std::string::npos ? begin : page.find("</script>", begin);
  return end == std::string::npos ? page : page.erase(begin + 8, end - begin - 8);
}

/// Every tag is closed, in order, and every attribute quoted. Returns the first complaint.
std::string markup_complaint(const std::string& whole) {
  const std::string page = without_script(whole);
  std::vector<std::string> open;
  for (std::size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at)) {
    std::size_t end = at + 1;
    for (bool quoted = false; end < page.size() && (quoted || page[end] != '>'); ++end) {
      if (page[end] == '"') quoted = !quoted;
      if (page[end] == '<') return "'<' inside a tag: " + page.substr(at, 80);
    }
    const std::string tag = page.substr(at + 1, end - at - 1);
    at = end;
    if (tag[0] == '!' || tag.back() == '/') continue;
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1)) return "unexpected </" + tag.substr(1) + ">";
      open.pop_back();
    } else {
      if (tag == "meta") return "meta is not closed";
      open.push_back(tag.substr(0, tag.find(' ')));
    }
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

std::string base64_decoded(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  unsigned bits = 0;
  int held = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = (bits << 6U) | static_cast<unsigned>(digits.find(c));
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes += static_cast<char>((bits >> static_cast<unsigned>(held)) & 0xFFU);
    }
  }
  return bytes;
}

/// The first picture of the page as OpenCV reads it, with transparency.
cv::Mat first_picture(const std::string& page) {
  const std::string start = "data:image/png;base64,";
  const std::size_t begin = page.find(start);
  if (begin == std::string::npos) return {};
  const std::size_t end = page.find('"', begin);
  const std::string png = base64_decoded(page.substr(begin + start.size(), end - begin - start.size()));
  return cv::imdecode(std::vector<unsigned char>(png.begin(), png.end()), cv::IMREAD_UNCHANGED);
}

TEST(Html, IsWellFormed) {
  EXPECT_EQ(markup_complaint(html(sample_plan(), {sample_matrix(20, 30)})), "");
  EXPECT_EQ(markup_complaint(html(sample_plan_without_shares(), {})), "");
  EXPECT_EQ(markup_complaint(html(sample_plan_of_mixed_donors(), {sample_matrix(20, 30)})), "");
  EXPECT_EQ(markup_complaint(html(sample_plan_of_shared_weights(), {sample_matrix(20, 30)})), "");
  EXPECT_EQ(markup_complaint(html(Plan{}, {sample_matrix(0, 3), sample_matrix(1, 1)})), "");
}

TEST(Html, ListsLayersThatRunWithOtherWeights) {
  const std::string page = html(sample_plan_of_shared_weights(), {});
  EXPECT_THAT(page,
              HasSubstr("3 layers run with weights of mobile: 1 with them as they are, 2 with differences of rank 3 "
                        "to 12; at most 0.98 % of a layer"));
  EXPECT_EQ(occurrences(page, "<td>difference of rank "), 2U);
  EXPECT_THAT(page, HasSubstr("<td>as it is</td><td class=\"num\">0.12 %</td>"));
  EXPECT_THAT(page, Not(HasSubstr("comes from layer")));
  EXPECT_THAT(html(sample_plan(), {}), Not(HasSubstr("other weights")));
}

TEST(Html, StatesTotalsAgainstTheModelsAsGivenAndAfterDeduplication) {
  const std::string page = html(sample_plan(), {});
  EXPECT_THAT(page, HasSubstr("-34.4 %, -34.3 % of deduplicated"));
  EXPECT_EQ(occurrences(page, "<span class=\"unit\">dedup.</span>"), 5U);
  EXPECT_THAT(page, HasSubstr("12,345 us"));
  Plan old = sample_plan();
  old.deduplicated.reset();
  old.before.latency_estimate_ns.reset();
  EXPECT_THAT(html(old, {}), Not(HasSubstr("dedup")));
  EXPECT_THAT(html(old, {}), Not(HasSubstr(" us")));
}

TEST(Html, NeedsNothingButItself) {
  const std::string page = html(sample_plan(), {sample_matrix(20, 30)});
  for (const char* outside : {"http:", "https:", "<script ", "<link", "@import", "src=", "url("}) {
    EXPECT_THAT(page, Not(HasSubstr(outside)));
  }
  EXPECT_EQ(occurrences(page, "href="), occurrences(page, "href=\"data:image/png;base64,"));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
}

// Jenkins and others serve reports with a policy that blocks styles, scripts and pictures in addresses.
TEST(Html, IsReadableWithoutStylesScriptsAndPictures) {
  const std::string page = html(sample_plan(), {sample_matrix(20, 30)}, sample_extras());
  EXPECT_THAT(page, Not(HasSubstr("style="))) << "an inline style";
  EXPECT_THAT(page, Not(testing::ContainsRegex(" on[a-z]+=\""))) << "a script in an attribute";
  const std::string body = without_script(page.substr(page.find("<body>")));
  for (std::size_t at = body.find("<svg"); at != std::string::npos; at = body.find("<svg", at + 1)) {
    const std::string svg = body.substr(at, body.find("</svg>", at) - at);
    for (const char* shape : {"<rect ", "<circle ", "<path ", "<text "}) {
      for (std::size_t one = svg.find(shape); one != std::string::npos; one = svg.find(shape, one + 1)) {
        const std::string tag = svg.substr(one, svg.find('>', one) - one);
        EXPECT_THAT(tag, testing::AnyOf(HasSubstr(" fill=\""), HasSubstr(" stroke=\""))) << "invisible, or black";
      }
    }
  }
}

TEST(Html, TellsFirstWhatIsSavedAndLastHowToMakeItAgain) {
  PageExtras extras = sample_extras();
  extras.pictures.resize(1);
  const std::string page = html(sample_plan(), {sample_matrix(20, 30)}, extras);
  std::size_t last = 0;
  for (const char* heading : {"<h1>34.4 % less parameter memory", "<h2>Before and after", "<h2>Models: agreement",
                              "<h2>Where merged and", "<h2>The models side by side", "<h2>Shares", "<h2>The front:",
                              "<h2>Similarity of representations", "<h2>What was tried", "<h2>How to make it again"}) {
    const std::size_t at = page.find(heading);
    ASSERT_NE(at, std::string::npos) << heading;
    EXPECT_GT(at, last) << heading;
    last = at;
  }
  EXPECT_THAT(page, HasSubstr("76 frames chose, 431 objects on 77 frames judged (30 wanted each)"));
}

TEST(Html, HoldsEveryValueForItsScript) {
  similarity::Matrix matrix = sample_matrix(2, 2);
  matrix.values = {1.0, std::numeric_limits<double>::quiet_NaN(), -1.0, 0.5};
  // 500 (S + 1) in base 32: 1000 = 31 * 32 + 8, 0, 750 = 23 * 32 + 14.
  const std::string page = html(sample_plan(), {matrix});
  EXPECT_THAT(page, HasSubstr("data-values=\"v8--00ne\""));
  EXPECT_THAT(page, HasSubstr("data-rows=\"" + matrix.rows[0] + "\n" + matrix.rows[1] + "\""));
  const similarity::Matrix large = sample_matrix(460, 460);
  EXPECT_EQ(occurrences(html(sample_plan(), {large, large}), "data-values=\"\""), 1U) << "pages must stay small";
}

TEST(Html, EscapesAllTextOfThePlan) {
  const std::string bad = "<b id=\"x\">&'";
  Plan plan = sample_plan();
  plan.tool_version = plan.settings_sha256 = plan.video_path = plan.video_sha256 = plan.bundle_sha256 = bad;
  plan.settings["merge"]["note"] = bad;
  for (ModelEntry& model : plan.models) {
    model.name = model.path = model.sha256 = model.format_reason = model.run_method = model.opaque_reason = bad;
    model.rewritable = false;
  }
  plan.inputs[0].models = {bad};
  Share& share = plan.shares[0];
  share.receiver = share.donor = bad;
  share.donors = {bad};
  share.removed_layers = {bad};
  for (Replaced& replaced : share.replaced)
    replaced.receiver_layer = replaced.donor = replaced.donor_layer = replaced.adapter = bad;
  share.replaced[0].donor = "tiny";  // mixed: donors are named layer by layer
  for (Candidate& candidate : plan.candidates) {
    candidate.receiver = candidate.donor = candidate.reason = bad;
    candidate.receiver_layers = candidate.layer_donors = {bad};
  }
  similarity::Matrix matrix = sample_matrix(3, 3);
  matrix.row_model = matrix.col_model = matrix.rows[1] = matrix.cols[1] = bad;
  PageExtras extras;
  extras.models = {{bad, {{bad, bad, 1, 1}}}};
  extras.config = Json{{"path", bad}};
  const std::string page = html(plan, {matrix}, extras);
  EXPECT_EQ(occurrences(page, "<b id"), 0U);
  EXPECT_EQ(occurrences(page, "\"x\""), 0U);
  EXPECT_GT(occurrences(page, "&lt;b id=&quot;x&quot;&gt;&amp;&apos;"), 20U);
  EXPECT_EQ(markup_complaint(page), "");
  plan.shares.clear();
  plan.after = plan.before;
  EXPECT_EQ(occurrences(html(plan, {}), "<b id"), 0U);
}

// {{{name}}} and {{&name}} would insert text as it is.
TEST(Html, TemplatesInsertEscapedTextOnly) {
  int templates = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(std::filesystem::path(REPSIM_SOURCE_DIR) / "src" / "report" / "templates")) {
    std::ifstream stream(file.path());
    const std::string text{std::istreambuf_iterator<char>(stream), {}};
    EXPECT_THAT(text, Not(HasSubstr("{{{"))) << file.path();
    EXPECT_THAT(text, Not(HasSubstr("{{&"))) << file.path();
    ++templates;
  }
  EXPECT_GT(templates, 10);
}

TEST(Html, StaysBelowAMegabyteFor100By100Layers) {
  similarity::Matrix matrix = sample_matrix(100, 100);
  for (std::string& name : matrix.rows) name += ".a_rather_long_suffix_of_the_module_path";
  EXPECT_LT(html(sample_plan(), {matrix}).size(), 1000000U);
  EXPECT_LT(html(sample_plan(), {matrix, matrix, matrix}).size(), 1000000U);
}

TEST(Html, PictureHasTheColourOfEveryValue) {
  similarity::Matrix matrix = sample_matrix(3, 4);
  matrix.values = {std::numeric_limits<double>::quiet_NaN(), 1.0, 0.0, -0.5, 0.5, 0.25, 0.75, 0.1, 0.2, 0.3, 0.4, 0.6};
  const cv::Mat picture = first_picture(html(sample_plan(), {matrix}));
  ASSERT_EQ(picture.rows, 3);
  ASSERT_EQ(picture.cols, 4);
  ASSERT_EQ(picture.type(), CV_8UC4);
  const auto pixel = [&](int row, int col) { return picture.at<cv::Vec4b>(row, col); };
  EXPECT_EQ(pixel(0, 0)[3], 0);                          // undefined: transparent
  EXPECT_EQ(pixel(0, 1), cv::Vec4b(37, 231, 253, 255));  // 1: yellow, in OpenCV's order of channels
  EXPECT_EQ(pixel(0, 2), cv::Vec4b(84, 1, 68, 255));     // 0: dark violet
  EXPECT_EQ(pixel(0, 3), pixel(0, 2));                   // below 0: as 0
  EXPECT_EQ(pixel(1, 0), cv::Vec4b(141, 144, 33, 255));  // the middle of the ramp
  EXPECT_LT(pixel(1, 1)[1], pixel(1, 2)[1]);             // green rises with the value
}

TEST(Html, LargePictureIsWhole) {
  const similarity::Matrix matrix = sample_matrix(300, 300);
  const cv::Mat picture = first_picture(html(sample_plan(), {matrix}));
  ASSERT_EQ(picture.rows, 300);
  EXPECT_EQ(picture.at<cv::Vec4b>(299, 299)[3], 255);
  EXPECT_GT(picture.at<cv::Vec4b>(299, 299)[1], 150);
}

TEST(Html, TooltipsNameLayersAndValues) {
  const similarity::Matrix matrix = sample_matrix(4, 4);
  const std::string page = html(sample_plan(), {matrix});
  EXPECT_EQ(occurrences(page, "class=\"hover\""), 16U);
  EXPECT_THAT(page, HasSubstr(matrix.rows[1] + "\n" + matrix.cols[1] + "\nS 0."));
  EXPECT_THAT(page, HasSubstr(matrix.rows[0] + "\n" + matrix.cols[0] + "\nundefined"));
}

TEST(Html, TooltipsOfALargeMatrixTellOfBlocks) {
  const similarity::Matrix matrix = sample_matrix(100, 100);
  const std::string page = html(sample_plan(), {matrix});
  EXPECT_EQ(occurrences(page, "class=\"hover\""), 50U * 50U);
  EXPECT_THAT(page, HasSubstr(matrix.rows[2] + " and 1 more\n" + matrix.cols[4] + " and 1 more\nS 0."));
}

TEST(Html, RingsMarkWhatThePlanReplacesWhicheverModelIsDown) {
  similarity::Matrix matrix = sample_matrix(6, 6);
  Plan plan = sample_plan();
  plan.shares[0].replaced = {{matrix.rows[2], "mobile", matrix.cols[3], 0.9, "linear", false, 0.1},
                             {matrix.rows[3], "tiny", matrix.cols[4], 0.9, "linear", false, 0.1}};  // in another matrix
  EXPECT_EQ(occurrences(html(plan, {matrix}), "class=\"mark\""), 1U);
  std::swap(matrix.row_model, matrix.col_model);
  std::swap(matrix.rows, matrix.cols);
  EXPECT_EQ(occurrences(html(plan, {matrix}), "class=\"mark\""), 1U);
  matrix.row_model = "another";
  EXPECT_EQ(occurrences(html(plan, {matrix}), "class=\"mark\""), 0U);
}

TEST(Html, NamesTheDonorOfEveryLayerWhereThereAreSeveral) {
  const std::string page = html(sample_plan_of_mixed_donors(), {});
  EXPECT_THAT(page, HasSubstr("plain \u2190 mobile + tiny"));
  EXPECT_EQ(occurrences(page, "of tiny</div>"), 1U);
  EXPECT_EQ(occurrences(page, "of mobile</div>"), 2U);
  EXPECT_THAT(html(sample_plan(), {}), HasSubstr("comes from layer of mobile"));
}

// The chart is there twice: for wide pages, and for narrow ones, hidden until the style sheet says otherwise.
TEST(Html, ShowsEveryCandidateOnceInEachChart) {
  const std::string page = html(sample_plan(), {});
  EXPECT_EQ(occurrences(page, "class=\"predicted\""), 2 * 3U);
  EXPECT_EQ(occurrences(page, "class=\"measured\""), 2 * 1U);
  EXPECT_EQ(occurrences(page, "class=\"chosen\""), 2 * 1U);
  EXPECT_EQ(occurrences(page, "display=\"none\""), 1U);
}

TEST(Html, SpeaksOfAccuracyOnlyWithGroundTruth) {
  Plan plan = sample_plan();
  EXPECT_THAT(html(plan, {}), Not(HasSubstr("ccuracy")));
  EXPECT_THAT(html(plan, {}), Not(HasSubstr("ground truth")));
  plan.models[0].accuracy = Accuracy{0.814, 0.8, {0.79, 0.83}, {0.77, 0.82}, 77, 512};
  EXPECT_THAT(html(plan, {}), HasSubstr("against ground truth: original 0.814"));
}

TEST(Html, SaysWhatAModelKeepsAndWhereItDiffersMost) {
  const std::string page = html(sample_plan(), {});
  EXPECT_THAT(page, testing::HasSubstr("keeps 420 of 431 detections, 6.5 false alarms per 100 frames, on 77 frames"));
  EXPECT_THAT(page, testing::HasSubstr("differs most on frames 640 (2 missed, 1 false), 700 (1 missed)"));
}

}  // namespace
}  // namespace repsim::report
