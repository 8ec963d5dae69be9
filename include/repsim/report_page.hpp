#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "repsim/base/json_io.hpp"
#include "repsim/frame_picture.hpp"
#include "repsim/report.hpp"

/// report.html.
namespace repsim::report {

/// A layer as the page draws it.
struct PageLayer {
  std::string name;  ///< as shares and matrices name it
  std::string kind;  ///< "conv", "add", ...
  std::int64_t bytes = 0, flops = 0;
};

/// The layers of a model.
struct PageModel {
  std::string name;
  std::vector<PageLayer> layers;  ///< in execution order
};

/// What the page shows beside the plan. Each part may be empty.
struct PageExtras {
  std::vector<FramePicture> pictures;  ///< frames on which models differ; those of one model stand together
  std::vector<PageModel> models;       ///< for the drawing of the models side by side, in plan order
  Json config;                         ///< a config file that gives this plan again; null: none
};

/// One self-contained HTML page, in this order: what is saved and what it costs, with the evidence behind it; pictures;
/// the models side by side; shares; the front of bytes against fidelity; similarities; what was tried; how to make it
/// again. All content is plain HTML and SVG with attributes of its own, readable where scripts and styles are blocked.
/// The page's script adds tooltips, and hover and zoom for the similarities.
[[nodiscard]] std::string html(const Plan& plan, const std::vector<similarity::Matrix>& matrices,
                               const PageExtras& extras = {});

}  // namespace repsim::report
