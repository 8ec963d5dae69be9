#include "measurement_tables.hpp"
#include "repsim/base/text.hpp"
#include "template.hpp"

namespace repsim::report {
namespace {

Json view_of(const std::string& heading, const MeasuredTable& table) {
  const auto cells = [](const std::vector<std::string>& texts) {
    Json list = Json::array();
    for (std::size_t i = 1; i < texts.size(); ++i) list.push_back(texts[i]);
    return list;
  };
  Json rows = Json::array();
  for (const std::vector<std::string>& row : table.rows)
    rows.push_back({{"first", row.front()}, {"cells", cells(row)}});
  return {{"heading", heading}, {"first_title", table.titles.front()}, {"titles", cells(table.titles)}, {"rows", rows}};
}

}  // namespace

std::string html(const Measurement& measurement) {
  Json tables{view_of("The bundle against its originals", savings_table(measurement)),
              view_of("Resident memory", memory_table(measurement))};
  if (const auto device = device_table(measurement)) tables.push_back(view_of("Memory of the GPU", *device));
  tables.push_back(view_of("Time", time_table(measurement)));
  tables.push_back(view_of("One model alone", alone_table(measurement)));
  tables.push_back(view_of("What the plan predicted", predictions_table(measurement)));
  return filled_in("measure.html", {{"title", join(measurement.models, ", ")},
                                    {"plan", measurement.plan},
                                    {"conditions", conditions_of(measurement)},
                                    {"notes", explanations_of(measurement)},
                                    {"tables", tables},
                                    {"tool_version", measurement.tool_version},
                                    {"torch_version", measurement.torch_version}});
}

}  // namespace repsim::report
