#include <algorithm>
#include <map>
#include <set>

#include "format.hpp"
#include "heatmap_parts.hpp"
#include "html_parts.hpp"
#include "repsim/base/text.hpp"
#include "template.hpp"
#include "wording.hpp"

namespace repsim::report {
namespace {

constexpr double kWhole = 982;                        // pixels that the page has for the drawing
constexpr double kNarrowest = 172, kWidest = 300;     // of a column
constexpr double kGap = 96;                           // between columns, for arrows
constexpr double kHead = 46;                          // above the columns, for names
constexpr double kBlock = 24, kBetween = 4;           // height of a block of one layer; space below a block
constexpr double kPerLayer = 2.5, kMostForRun = 150;  // more height of a block of several layers
constexpr double kAdded = 18;                         // height of what a share adds
constexpr double kLetter = 6.3;                       // width of a letter, about
constexpr std::size_t kNamesInTitle = 12;

/// What becomes of a layer.
enum class Fate {
  kKept,
  kGives,  ///< kept, and another model reads it
  kGone,
  kReplaced,  ///< its value comes from another model
};

struct FateLook {
  const char *word, *fill, *edge, *dash;
};
FateLook look_of(Fate fate) {
  switch (fate) {
    case Fate::kGives:
      return {"gives", "#dcebff", "#1d63d1", ""};
    case Fate::kGone:
      return {"gone", "#ffffff", "#8a96a3", "4 3"};
    case Fate::kReplaced:
      return {"replaced", "#1d63d1", "#1d63d1", ""};
    case Fate::kKept:
      break;
  }
  return {"kept", "#e4e9ef", "#b3bdc9", ""};
}

/// Layers of one fate that follow each other, or one layer that an arrow begins or ends at.
struct Block {
  Fate fate = Fate::kKept;
  std::size_t first = 0, count = 1;
  double y = 0, height = kBlock;
  const Replaced* replaced = nullptr;
};

/// A model as a column of blocks.
struct Column {
  const PageModel* model = nullptr;
  const Share* share = nullptr;  ///< in which it receives; null: in none
  std::vector<Block> blocks;
  std::map<std::string, std::size_t> arrow_ends;  ///< by layer its block
  double x = 0, height = 0;
};

const Share* share_of(const Plan& plan, const std::string& model) {
  const auto found =
      std::find_if(plan.shares.begin(), plan.shares.end(), [&](const Share& one) { return one.receiver == model; });
  return found == plan.shares.end() ? nullptr : &*found;
}

/// The layers of a model that others read.
std::set<std::string> given_layers(const Plan& plan, const std::string& model) {
  std::set<std::string> given;
  for (const Share& share : plan.shares) {
    for (const Replaced& one : share.replaced) {
      if (donor_of(share, one) == model) given.insert(one.donor_layer);
    }
    for (const AuxiliaryInput& one : share.auxiliary_inputs) {
      if (one.donor == model) given.insert(one.donor_layer);
    }
  }
  return given;
}

bool gives_weights(const Plan& plan, const std::string& model) {
  return std::any_of(plan.shares.begin(), plan.shares.end(), [&](const Share& share) {
    return std::any_of(share.weights.begin(), share.weights.end(),
                       [&](const SharedWeight& one) { return one.donor == model; });
  });
}

Column column_of(const Plan& plan, const PageModel& model) {
  Column column;
  column.model = &model;
  column.share = share_of(plan, model.name);
  const std::set<std::string> given = given_layers(plan, model.name);
  std::map<std::string, const Replaced*> replaced;
  std::set<std::string> gone;
  if (column.share != nullptr) {
    for (const Replaced& one : column.share->replaced) replaced.emplace(one.receiver_layer, &one);
    gone.insert(column.share->removed_layers.begin(), column.share->removed_layers.end());
  }
  for (std::size_t i = 0; i < model.layers.size(); ++i) {
    const std::string& name = model.layers[i].name;
    Block block;
    block.first = i;
    if (const auto found = replaced.find(name); found != replaced.end()) {
      block.fate = Fate::kReplaced;
      block.replaced = found->second;
      block.height += kAdded;
    } else if (given.contains(name)) {
      block.fate = Fate::kGives;
    } else if (gone.contains(name)) {
      block.fate = Fate::kGone;
    }
    const bool is_end = block.fate == Fate::kReplaced || block.fate == Fate::kGives;
    if (!is_end && !column.blocks.empty() && column.blocks.back().fate == block.fate) {
      ++column.blocks.back().count;
      continue;
    }
    if (is_end) column.arrow_ends.emplace(name, column.blocks.size());
    column.blocks.push_back(block);
  }
  double y = kHead;
  for (Block& block : column.blocks) {
    block.y = y;
    block.height += std::min(kMostForRun, kPerLayer * static_cast<double>(block.count - 1));
    y += block.height + kBetween;
  }
  column.height = y;
  return column;
}

/// The models that give or take, donors before those that take from them.
std::vector<const PageModel*> participants(const Plan& plan, const std::vector<PageModel>& models) {
  std::vector<const PageModel*> left, ordered;
  for (const PageModel& model : models) {
    if (share_of(plan, model.name) != nullptr || !given_layers(plan, model.name).empty() ||
        gives_weights(plan, model.name))
      left.push_back(&model);
  }
  while (!left.empty()) {
    const auto is_ready = [&](const PageModel* model) {
      const Share* share = share_of(plan, model->name);
      return share == nullptr || std::none_of(left.begin(), left.end(), [&](const PageModel* other) {
               return other != model &&
                      std::find(share->donors.begin(), share->donors.end(), other->name) != share->donors.end();
             });
    };
    auto next = std::find_if(left.begin(), left.end(), is_ready);
    if (next == left.end()) next = left.begin();  // a plan has no cycles; one that was edited by hand may say so
    ordered.push_back(*next);
    left.erase(next);
  }
  return ordered;
}

std::int64_t sum_of(const PageModel& model, const Block& block, std::int64_t PageLayer::* of) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < block.count; ++i) sum += model.layers[block.first + i].*of;
  return sum;
}

std::string title_of_block(const Column& column, const Block& block) {
  const std::vector<PageLayer>& layers = column.model->layers;
  std::string text = column.model->name + ": " + counted(static_cast<std::int64_t>(block.count), "layer") + ", ";
  switch (block.fate) {
    case Fate::kKept:
      text += "as in the original";
      break;
    case Fate::kGives:
      text += "as in the original; others read its value";
      break;
    case Fate::kGone:
      text += "gone: nothing needs it any more";
      break;
    case Fate::kReplaced:
      text += "gone: its value comes from " + donor_of(*column.share, *block.replaced) + ", " +
              block.replaced->donor_layer + "\nby " + means_in_words(*block.replaced) + "; S " +
              fixed(block.replaced->similarity, 2) + ", residual " + fixed(block.replaced->residual, 3);
      break;
  }
  for (std::size_t i = 0; i < std::min(block.count, kNamesInTitle); ++i)
    text += "\n" + layers[block.first + i].name + " (" + layers[block.first + i].kind + ")";
  if (block.count > kNamesInTitle) {
    text += "\n... " + std::to_string(block.count - kNamesInTitle) + " more, to " +
            layers[block.first + block.count - 1].name;
  }
  return text + "\n" + human_bytes(sum_of(*column.model, block, &PageLayer::bytes)) + " of weights, " +
         human_count(sum_of(*column.model, block, &PageLayer::flops)) + " FLOPs a frame in the original";
}

/// As much of the end of a name as fits.
std::string fitting(const std::string& name, double width) {
  const auto most = static_cast<std::size_t>(std::max(4.0, width / kLetter));
  const std::string shown = short_name(name);
  return shown.size() <= most ? shown : ".." + end_of(shown, most - 2);
}

std::string label_of(const Column& column, const Block& block, double width) {
  if (block.count == 1) return fitting(column.model->layers[block.first].name, width);
  return counted(static_cast<std::int64_t>(block.count), "layer") + (block.fate == Fate::kGone ? " gone" : "");
}

Json block_view(const Column& column, const Block& block, double width) {
  const FateLook look = look_of(block.fate);
  const double height = block.replaced != nullptr ? block.height - kAdded : block.height;
  const std::int64_t bytes = sum_of(*column.model, block, &PageLayer::bytes);
  const std::string size = block.fate == Fate::kReplaced || bytes == 0 ? "" : human_bytes(bytes);
  const double room = width - 16 - kLetter * (static_cast<double>(size.size()) + 1);
  Json view{{"x", px(column.x)},
            {"y", px(block.y)},
            {"width", px(width)},
            {"height", px(height)},
            {"fate", look.word},
            {"fill", look.fill},
            {"edge", look.edge},
            {"dash", look.dash},
            {"ink", block.fate == Fate::kReplaced ? "#ffffff" : "#1a2330"},
            {"title", title_of_block(column, block)},
            {"text_x", px(column.x + 8)},
            {"text_y", px(block.y + height / 2 + 4)},
            {"label", label_of(column, block, room)},
            {"size_x", px(column.x + width - 8)},
            {"size", text_or_null(size)},
            {"added", nullptr}};
  if (block.replaced != nullptr) {
    view["added"] = {{"y", px(block.y + height)},
                     {"height", px(kAdded)},
                     {"text_y", px(block.y + height + 13)},
                     {"means", fitting("+ " + means_in_words(*block.replaced), width - 16)}};
  }
  return view;
}

/// A curve from the middle of a donor's block to that of a receiver's, with a head.
Json arrow_view(const Column& donor, const Block& from, const Column& receiver, const Block& to, double width,
                const std::string& title) {
  const bool rightwards = donor.x < receiver.x;
  const double direction = rightwards ? 1 : -1;
  const double x1 = rightwards ? donor.x + width : donor.x, x2 = rightwards ? receiver.x : receiver.x + width;
  const double y1 = from.y + kBlock / 2, y2 = to.y + kBlock / 2, tip = x2 - direction * 7;
  const double bend = direction * kGap * 0.6;
  return {{"path", "M" + px(x1) + " " + px(y1) + "C" + px(x1 + bend) + " " + px(y1) + " " + px(tip - bend) + " " +
                       px(y2) + " " + px(tip) + " " + px(y2)},
          {"head", "M" + px(x2) + " " + px(y2) + "L" + px(tip) + " " + px(y2 - 4) + "V" + px(y2 + 4) + "Z"},
          {"title", title}};
}

/// All arrows that end at one receiver.
void add_arrows(const Column& receiver, const std::map<std::string, const Column*>& columns, double width,
                Json& arrows) {
  for (const Replaced& one : receiver.share->replaced) {
    const std::string& name = donor_of(*receiver.share, one);
    const auto donor = columns.find(name);
    const auto to = receiver.arrow_ends.find(one.receiver_layer);
    if (donor == columns.end() || to == receiver.arrow_ends.end()) continue;
    const auto from = donor->second->arrow_ends.find(one.donor_layer);
    if (from == donor->second->arrow_ends.end()) continue;
    arrows.push_back(arrow_view(
        *donor->second, donor->second->blocks[from->second], receiver, receiver.blocks[to->second], width,
        receiver.model->name + " " + one.receiver_layer + "\ncomes from " + name + " " + one.donor_layer + "\nS " +
            fixed(one.similarity, 2) + ", " + means_in_words(one) + ", residual " + fixed(one.residual, 3)));
  }
}

Json head_view(const Plan& plan, const Column& column, double width) {
  const std::string& name = column.model->name;
  const auto entry =
      std::find_if(plan.models.begin(), plan.models.end(), [&](const ModelEntry& one) { return one.name == name; });
  std::string facts = counted(static_cast<std::int64_t>(column.model->layers.size()), "layer");
  if (entry != plan.models.end()) {
    const std::int64_t after = bytes_after(plan, *entry);
    facts += ", " + human_bytes(entry->bytes);
    if (after != entry->bytes) facts += " \u2192 " + human_bytes(after);
  }
  if (column.share != nullptr && !column.share->weights.empty())
    facts += ", " + grouped(static_cast<std::int64_t>(column.share->weights.size())) + " shared weights";
  return {{"x", px(column.x)}, {"name", fitting(name, width)}, {"facts", facts}};
}

std::string untouched_models(const Plan& plan, const std::vector<Column>& columns) {
  std::vector<std::string> names;
  for (const ModelEntry& model : plan.models) {
    if (std::none_of(columns.begin(), columns.end(), [&](const Column& one) { return one.model->name == model.name; }))
      names.push_back(model.name);
  }
  return join(names, ", ");
}

}  // namespace

Json drawing_view(const Plan& plan, const std::vector<PageModel>& models) {
  if (plan.shares.empty()) return {};
  std::vector<Column> columns;
  for (const PageModel* model : participants(plan, models)) columns.push_back(column_of(plan, *model));
  if (columns.empty()) return {};
  const auto count = static_cast<double>(columns.size());
  const double width = std::clamp((kWhole - (count - 1) * kGap) / count, kNarrowest, kWidest);
  double height = 0;
  std::map<std::string, const Column*> by_name;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    columns[i].x = 1 + static_cast<double>(i) * (width + kGap);
    height = std::max(height, columns[i].height);
    by_name.emplace(columns[i].model->name, &columns[i]);
  }
  Json heads = Json::array(), blocks = Json::array(), arrows = Json::array();
  for (const Column& column : columns) {
    heads.push_back(head_view(plan, column, width));
    for (const Block& block : column.blocks) blocks.push_back(block_view(column, block, width));
    if (column.share != nullptr) add_arrows(column, by_name, width, arrows);
  }
  return {{"width", px(count * width + (count - 1) * kGap + 2)},
          {"height", px(height)},
          {"heads", heads},
          {"blocks", blocks},
          {"arrows", arrows},
          {"untouched", text_or_null(untouched_models(plan, columns))}};
}

}  // namespace repsim::report
