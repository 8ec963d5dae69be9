// The models side by side: blocks of layers, arrows from donors to what they replace.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <string>
#include <vector>

#include "report/sample_plan.hpp"
#include "repsim/base/text.hpp"
#include "repsim/report_page.hpp"

namespace repsim::report {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string drawing_of(const Plan& plan, const PageExtras& extras) {
  const std::string page = html(plan, {}, extras);
  const std::size_t begin = page.find("aria-label=\"The models as columns");
  if (begin == std::string::npos) return {};
  return page.substr(begin, page.find("</section>", begin) - begin);
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// The numbers of an attribute of all tags that match.
std::vector<double> numbers(const std::string& text, const std::string& pattern) {
  std::vector<double> found;
  const std::regex expression(pattern);
  for (std::sregex_iterator one(text.begin(), text.end(), expression), end; one != end; ++one)
    found.push_back(std::stod((*one)[1]));
  return found;
}

TEST(Drawing, ShowsWhatIsReplacedGoneAddedAndGiven) {
  const std::string drawing = drawing_of(sample_plan(), sample_extras());
  // plain: stem and stage1 gone; stage2, stage3, pool replaced; neck and both heads kept, in one block
  EXPECT_EQ(count(drawing, "class=\"fate-gone\""), 1U);
  EXPECT_EQ(count(drawing, "class=\"fate-replaced\""), 3U);
  EXPECT_EQ(count(drawing, "class=\"added\""), 3U);
  // mobile: three layers are read by replaced ones, one by a correction; body.1 before them, neck and head behind
  EXPECT_EQ(count(drawing, "class=\"fate-gives\""), 4U);
  EXPECT_EQ(count(drawing, "class=\"fate-kept\""), 3U);
  EXPECT_EQ(count(drawing, "class=\"arrow-line\""), 3U);
  EXPECT_THAT(drawing, HasSubstr("2 layers gone"));
  EXPECT_THAT(drawing, HasSubstr("+ resize+linear, refit"));
  EXPECT_THAT(drawing, HasSubstr("plain backbone.stage2\ncomes from mobile backbone.body.5.project\nS 0.81, linear"));
  EXPECT_THAT(drawing, HasSubstr("plain: 2 layers, gone: nothing needs it any more\nbackbone.stem (conv)\n"
                                 "backbone.stage1 (conv)\n2.0 kB of weights, 4.0 k FLOPs a frame"));
}

TEST(Drawing, PutsDonorsBeforeThoseThatTakeFromThem) {
  const std::string drawing = drawing_of(sample_plan(), sample_extras());
  EXPECT_LT(drawing.find(">mobile</text>"), drawing.find(">plain</text>"));
}

TEST(Drawing, IsNoLongerThanAScreenOrTwoForNetworksOf300Layers) {
  Plan plan = sample_plan();
  PageExtras extras = sample_extras();
  for (PageModel& model : extras.models) {
    for (int i = 0; i < 300; ++i) model.layers.push_back({"tail." + std::to_string(i), "conv", 10, 10});
  }
  const std::string drawing = drawing_of(plan, extras);
  EXPECT_THAT(
      numbers(html(plan, {}, extras), "height=\"([0-9.]+)\" viewBox=\"[^\"]*\" role=\"img\" aria-label=\"The models"),
      testing::ElementsAre(testing::AllOf(testing::Gt(200), testing::Lt(700))));
  EXPECT_LT(count(drawing, "<rect"), 30U);
  EXPECT_THAT(drawing, HasSubstr("tail.8 (conv)\n... 291 more, to tail.299")) << "a title names a dozen layers";
}

TEST(Drawing, KeepsTheBlocksOfAColumnApart) {
  const std::string drawing = drawing_of(sample_plan(), sample_extras());
  const std::string tag =
      "<rect class=\"[a-z-]+\" x=\"([0-9.]+)\" y=\"([0-9.]+)\" width=\"[0-9.]+\" height=\"([0-9.]+)\"";
  std::map<std::string, double> ends;  // by column
  const std::regex expression(tag);
  for (std::sregex_iterator one(drawing.begin(), drawing.end(), expression), end; one != end; ++one) {
    const double y = std::stod((*one)[2]);
    EXPECT_GE(y, ends[(*one)[1]]) << one->str();
    ends[(*one)[1]] = y + std::stod((*one)[3]);
  }
  EXPECT_EQ(ends.size(), 2U);
}

// Layers that run with other weights stay: the columns say how many, and the donor has a column, too.
TEST(Drawing, SaysHowManyWeightsAModelShares) {
  const std::string drawing = drawing_of(sample_plan_of_shared_weights(), sample_extras());
  EXPECT_EQ(count(drawing, "text class=\"strong head\""), 2U);
  EXPECT_THAT(drawing, HasSubstr(", 3 shared weights</text>"));
  EXPECT_EQ(count(drawing, "class=\"fate-kept\""), 2U);
  EXPECT_EQ(count(drawing, "class=\"arrow-line\""), 0U);
}

TEST(Drawing, LeavesOutModelsThatNeitherGiveNorTake) {
  Plan plan = sample_plan();
  plan.models.push_back(sample_model("loner", 100, 1));
  PageExtras extras = sample_extras();
  extras.models.push_back({"loner", {{"conv", "conv", 1, 1}}});
  const std::string drawing = drawing_of(plan, extras);
  EXPECT_EQ(count(drawing, "text class=\"strong head\""), 2U);
  EXPECT_THAT(drawing, HasSubstr("neither give nor take: loner."));
}

TEST(Drawing, CutsLongNamesBetweenCharacters) {
  std::string name;
  for (int i = 0; i < 40; ++i) name += "\u044f";
  for (const char* more : {"", "a", "ab"}) {
    Plan plan = sample_plan();
    PageExtras extras = sample_extras();
    plan.shares[0].receiver = plan.models[0].name = extras.models[0].name = name + more;
    extras.models[0].layers[0].name = plan.shares[0].removed_layers[0] = name + more;
    similarity::Matrix matrix = sample_matrix(2, 2);
    matrix.rows[0] = name + more;
    EXPECT_TRUE(is_utf8(html(plan, {matrix}, extras))) << more;
  }
}

TEST(Drawing, IsLeftOutWithoutSharesOrLayers) {
  EXPECT_EQ(drawing_of(sample_plan_without_shares(), sample_extras()), "");
  EXPECT_EQ(drawing_of(sample_plan(), {}), "");
}

TEST(Drawing, TakesLayersThatItDoesNotKnowForOthers) {
  PageExtras extras = sample_extras();
  extras.models[1].layers.erase(extras.models[1].layers.begin() + 2);  // the donor of stage2
  const std::string drawing = drawing_of(sample_plan(), extras);
  EXPECT_EQ(count(drawing, "class=\"arrow-line\""), 2U);
  EXPECT_EQ(count(drawing, "class=\"fate-replaced\""), 3U);
}

}  // namespace
}  // namespace repsim::report
