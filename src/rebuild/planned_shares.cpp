#include <algorithm>
#include <set>

#include "edited_plan.hpp"
#include "repsim/base/error.hpp"
#include "repsim/base/spellcheck.hpp"
#include "repsim/candidates.hpp"

namespace repsim::rebuild {
namespace {

/// "linear" of "resize+linear", "none" of "resize": what has to be fitted. How a map is brought to another size follows
/// from the layers.
std::string fitted_part(const std::string& adapter) {
  const std::string last = adapter.substr(adapter.rfind('+') + 1);
  return last == "resize" || last == "resample" ? "none" : last;
}

/// One share on its way from names to layers.
class Planned {
 public:
  Planned(const EditedPlan& edited, const session::Session& session, std::size_t share)
      : edited_(edited),
        session_(session),
        share_(edited.plan.shares[share]),
        requests_(edited.requests[share]),
        number_(share) {}

  PlannedShare run() {
    PlannedShare planned;
    planned.candidate.predicted_fidelity = share_.predicted_fidelity;
    graph::Cut& cut = planned.candidate.cut;
    cut.receiver = model(share_.receiver, "receiver");
    for (std::size_t i = 0; i < share_.replaced.size(); ++i) {
      const report::Replaced& one = share_.replaced[i];
      const LayerIndex replaced = layer(cut.receiver, one.receiver_layer, {"replaced", i, "receiver_layer"});
      if (std::any_of(cut.replacements.begin(), cut.replacements.end(),
                      [&](const graph::Replacement& other) { return other.receiver_layer == replaced; }))
        fail(i, "receiver_layer", "'" + one.receiver_layer + "' is replaced twice", "remove one of the two");
      const ModelIndex donor = model(report::donor_of(share_, one), "donor");
      cut.replacements.push_back({replaced, donor, layer(donor, one.donor_layer, {"replaced", i, "donor_layer"})});
    }
    add_weights(cut);
    check_all_are_read(cut);
    planned.options = options();
    planned.options.auxiliary_inputs = auxiliary_inputs(cut, planned.options.rank);
    std::optional<fit::Attachment> attachment = fit::plan_attachment(session_.set, cut, planned.options);
    check_attachment(planned, attachment);
    check_weights_stay(planned);
    planned.attachment = std::move(*attachment);
    return planned;
  }

  /// An entry of one of the share's lists.
  struct Field {
    std::string list;  ///< "replaced", "auxiliary_inputs"
    std::size_t entry = 0;
    std::string key;
  };
  [[noreturn]] void fail(const Field& field, const std::string& problem, const std::string& remedy) const {
    throw input_error(problem,
                      edited_.where("shares[" + std::to_string(number_) + "]." + field.list + "[" +
                                    std::to_string(field.entry) + "]." + field.key),
                      remedy);
  }
  [[noreturn]] void fail(std::size_t replaced, const std::string& key, const std::string& problem,
                         const std::string& remedy) const {
    fail({"replaced", replaced, key}, problem, remedy);
  }

 private:
  const graph::Prepared& prepared(int index) const { return session_.models[index].prepared; }

  /// check_shares() has seen that the name is there.
  ModelIndex model(const std::string& name, const std::string& key) const {
    const ModelIndex found = session::find_model(session_.models, name);
    if (!prepared(found).rewritable) {
      throw input_error("model '" + name + "' cannot share layers: it " + prepared(found).opaque_reason,
                        edited_.where("shares[" + std::to_string(number_) + "]." + key), "remove the share");
    }
    return found;
  }

  LayerIndex layer(int index, const std::string& name, const Field& field) const {
    const graph::Program& program = prepared(index).program;
    const std::string of = "model '" + prepared(index).name + "'";
    const int found = graph::find_layer(program, name);
    if (found < 0) {
      for (const graph::RejectedLayer& other : program.rejected_layers) {
        if (other.name == name) fail(field, "'" + name + "' is no layer: " + other.reason, list_command(index));
      }
      std::vector<std::string> names;
      for (const graph::Layer& one : program.layers) names.push_back(one.name);
      const auto close = closest(name, names);
      fail(field, of + " has no layer '" + name + "'", close ? "did you mean '" + *close + "'?" : list_command(index));
    }
    const graph::Layer& layer = program.layers[found];
    if (layer.shape.size() != 3 || layer.dtype != "Float")
      fail(field, "'" + name + "' is no feature map [C,H,W] of float32", list_command(index));
    return found;
  }

  /// The weights that the share names, as parameters.
  void add_weights(graph::Cut& cut) const {
    for (std::size_t i = 0; i < share_.weights.size(); ++i) {
      const report::SharedWeight& one = share_.weights[i];
      const ModelIndex donor = model(one.donor, "donor");
      const graph::StoredWeight taking = stored_weight(cut.receiver, one.layer, {"weights", i, "layer"}),
                                giving = stored_weight(donor, one.donor_layer, {"weights", i, "donor_layer"});
      if (!taking.sole_reader)
        fail({"weights", i, "layer"},
             "other layers of '" + share_.receiver + "' read the weight of '" + one.layer + "'", "remove this entry");
      if (!fit::same_structure(taking, giving))
        fail({"weights", i, "donor_layer"},
             "its shape, stride, padding, dilation or groups are not those of '" + one.layer + "'",
             "a layer of the same structure");
      const std::int64_t most = taking.groups == 1 ? taking.channels() : 0;
      if (one.rank > most)
        fail({"weights", i, "rank"}, "is above " + std::to_string(most), "0 to " + std::to_string(most));
      const graph::SharedWeight weight{taking.parameter, donor, giving.parameter, static_cast<int>(one.rank)};
      if (std::any_of(cut.weights.begin(), cut.weights.end(),
                      [&](const graph::SharedWeight& other) { return other.parameter == weight.parameter; }))
        fail({"weights", i, "layer"}, "'" + one.layer + "' is there twice", "remove one of the two");
      cut.weights.push_back(weight);
    }
    std::sort(cut.weights.begin(), cut.weights.end());
  }

  /// The weight that lies in a layer of this name.
  graph::StoredWeight stored_weight(ModelIndex index, const std::string& name, const Field& field) const {
    const graph::Program& program = prepared(index).program;
    std::vector<std::string> names;
    for (const graph::StoredWeight& one : graph::stored_weights(prepared(index))) {
      names.push_back(graph::layer_of_weight(program.parameters[one.parameter]));
      if (names.back() == name) return one;
    }
    fail(field, "model '" + prepared(index).name + "' has no layer '" + name + "' whose weight can be shared",
         did_you_mean(name, names));
  }

  /// A weight of a layer that the replaced ones make superfluous, or that is solved again, would be shared for nothing.
  void check_weights_stay(const PlannedShare& planned) const {
    graph::Cut layers = planned.candidate.cut;
    if (layers.replacements.empty()) return;
    layers.weights.clear();
    fit::AttachmentOptions options;  // without corrections: they take no weight
    options.linear = planned.options.linear;
    options.refit = planned.options.refit;
    const std::vector<int> gone = candidates::share_option_of(session_, layers, options).gone_parameters;
    for (const graph::SharedWeight& weight : planned.candidate.cut.weights) {
      if (!std::binary_search(gone.begin(), gone.end(), weight.parameter)) continue;
      const std::string layer =
          graph::layer_of_weight(prepared(planned.candidate.cut.receiver).program.parameters[weight.parameter]);
      const auto entry = std::find_if(share_.weights.begin(), share_.weights.end(),
                                      [&](const report::SharedWeight& one) { return one.layer == layer; });
      fail({"weights", static_cast<std::size_t>(entry - share_.weights.begin()), "layer"},
           "'" + layer + "' has no weight of its own any more once the other layers are replaced", "remove this entry");
    }
  }

  /// What corrections of this rank read besides.
  std::vector<fit::DonorLayer> auxiliary_inputs(const graph::Cut& cut, int rank) const {
    std::vector<fit::DonorLayer> result;
    for (std::size_t i = 0; i < share_.auxiliary_inputs.size(); ++i) {
      const report::AuxiliaryInput& one = share_.auxiliary_inputs[i];
      const Field field{"side_inputs", i, "donor"};
      if (rank == 0) {
        fail(field, "corrections read it, and this share has none",
             R"("correction_rank" above 0 in "replaced", or leave "side_inputs" out)");
      }
      const std::vector<std::string> names = candidates::donor_names(session_, cut).all;
      if (std::find(names.begin(), names.end(), one.donor) == names.end())
        fail(field, "'" + one.donor + "' gives no layer to this share", did_you_mean(one.donor, names));
      const ModelIndex donor = model(one.donor, "donor");
      const fit::DonorLayer auxiliary{donor, layer(donor, one.donor_layer, {"side_inputs", i, "donor_layer"})};
      if (std::find(result.begin(), result.end(), auxiliary) != result.end())
        fail({"side_inputs", i, "donor_layer"}, "'" + one.donor_layer + "' is there twice", "remove one of the two");
      result.push_back(auxiliary);
    }
    return result;
  }

  std::string list_command(int index) const {
    return "repsim inspect " + session_.models[index].loaded.spec.path + " lists the layers";
  }

  /// A layer that only other replaced layers read would be replaced for nothing.
  void check_all_are_read(const graph::Cut& cut) const {
    const graph::Program& program = prepared(cut.receiver).program;
    const std::vector<bool> live = graph::live_ops(program, cut.receiver_layers());
    std::set<int> read(program.results.begin(), program.results.end());
    for (std::size_t op = 0; op < program.ops.size(); ++op) {
      if (live[op]) read.insert(program.ops[op].inputs.begin(), program.ops[op].inputs.end());
    }
    for (std::size_t i = 0; i < cut.replacements.size(); ++i) {
      const graph::Layer& layer = program.layers[cut.replacements[i].receiver_layer];
      if (read.count(layer.op) == 0)
        fail(i, "receiver_layer", "nothing reads '" + layer.name + "' once the other layers are replaced",
             "remove this entry");
    }
  }

  /// What the share's own words ask for; where it has none, what the plan's settings allow.
  fit::AttachmentOptions options() const {
    fit::AttachmentOptions options = candidates::options_of(edited_.settings).attachment;
    const auto any_says = [&](auto&& says) { return std::any_of(requests_.begin(), requests_.end(), says); };
    if (any_says([](const AttachmentRequest& one) { return one.adapter.has_value(); }))
      options.linear =
          any_says([](const AttachmentRequest& one) { return fitted_part(one.adapter.value_or("none")) != "none"; });
    if (any_says([](const AttachmentRequest& one) { return one.refit.has_value(); }))
      options.refit = any_says([](const AttachmentRequest& one) { return one.refit.value_or(false); });
    for (const report::Replaced& one : share_.replaced)
      options.rank = std::max(options.rank, static_cast<int>(one.correction_rank));
    return options;
  }

  void check_attachment(const PlannedShare& planned, const std::optional<fit::Attachment>& attachment) const {
    const bool is_refit = attachment && attachment->is_refit();
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i].refit.value_or(false) && !is_refit) {
        fail(i, "refit", "no convolution behind these layers can be solved again",
             R"("refit": false and "adapter": "linear")");
      }
      if (!requests_[i].refit.value_or(true) && is_refit)
        fail(i, "refit", "the layers of a share are refitted together", "the same for all its layers");
    }
    if (!attachment) {
      for (std::size_t i = 0; i < share_.replaced.size(); ++i) {
        const graph::Replacement& one = planned.candidate.cut.replacements[i];
        const std::int64_t wanted = channels(planned.candidate.cut.receiver, one.receiver_layer),
                           supplied = channels(one.donor, one.donor_layer);
        if (wanted != supplied) {
          fail(i, "donor_layer",
               "it has " + std::to_string(supplied) + " channels, the receiver's layer " + std::to_string(wanted),
               R"("adapter": "linear", or a layer of as many channels)");
        }
      }
      fail(0, "donor_layer", "these layers cannot be joined", "other layers");
    }
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      const std::string word = fit::adapter_word(*attachment, i);
      if (requests_[i].adapter && fitted_part(*requests_[i].adapter) != fitted_part(word)) {
        fail(i, "adapter", "this share's layers get the adapter '" + word + "', not '" + *requests_[i].adapter + "'",
             "\"" + word + "\", or leave the key out");
      }
    }
  }

  std::int64_t channels(int index, LayerIndex layer) const { return prepared(index).program.layers[layer].shape[0]; }

  const EditedPlan& edited_;
  const session::Session& session_;
  const report::Share& share_;
  const std::vector<AttachmentRequest>& requests_;
  const std::size_t number_;
};

}  // namespace

std::vector<PlannedShare> planned_shares(const EditedPlan& edited, const std::vector<OpenStream>& streams) {
  const auto session_of = [&](std::size_t share) -> const session::Session& {
    const session::Session& any = *streams.front().session;
    return *streams[stream_of(streams, session::find_model(any.models, edited.plan.shares[share].receiver))].session;
  };
  std::vector<PlannedShare> planned;
  for (std::size_t i = 0; i < edited.plan.shares.size(); ++i)
    planned.push_back(Planned(edited, session_of(i), i).run());
  for (std::size_t donor_share = 0; donor_share < planned.size(); ++donor_share) {
    fit::AttachmentOptions options;  // without corrections: they change nothing of what the receiver can give
    options.linear = planned[donor_share].options.linear;
    options.refit = planned[donor_share].options.refit;
    const planner::ShareOption option =
        candidates::share_option_of(session_of(donor_share), planned[donor_share].candidate.cut, options);
    const std::vector<LayerIndex>& unavailable = option.unavailable;
    const std::vector<int>& gone = option.gone_parameters;
    for (std::size_t receiver_share = 0; receiver_share < planned.size(); ++receiver_share) {
      const std::vector<graph::Replacement>& taken = planned[receiver_share].candidate.cut.replacements;
      const report::Share &from = edited.plan.shares[receiver_share], &gives = edited.plan.shares[donor_share];
      const auto check = [&](const std::string& list, std::size_t entry, ModelIndex donor, LayerIndex layer,
                             const std::string& name) {
        if (donor != planned[donor_share].candidate.cut.receiver ||
            !std::binary_search(unavailable.begin(), unavailable.end(), layer))
          return;
        Planned(edited, session_of(receiver_share), receiver_share)
            .fail({list, entry, "donor_layer"},
                  "'" + name + "' is not what it was: " + gives.receiver + " takes layers itself (shares[" +
                      std::to_string(donor_share) + "])",
                  "a layer behind its own replaced ones, or remove one of the two shares");
      };
      for (std::size_t i = 0; i < taken.size(); ++i)
        check("replaced", i, taken[i].donor, taken[i].donor_layer, from.replaced[i].donor_layer);
      for (const graph::SharedWeight& weight : planned[receiver_share].candidate.cut.weights) {
        const bool is_gone = weight.donor == planned[donor_share].candidate.cut.receiver &&
                             std::binary_search(gone.begin(), gone.end(), weight.donor_parameter);
        if (!is_gone) continue;
        const std::string layer = graph::layer_of_weight(
            session_of(receiver_share).models[weight.donor].prepared.program.parameters[weight.donor_parameter]);
        const auto entry = std::find_if(from.weights.begin(), from.weights.end(),
                                        [&](const report::SharedWeight& one) { return one.donor_layer == layer; });
        Planned(edited, session_of(receiver_share), receiver_share)
            .fail({"weights", static_cast<std::size_t>(entry - from.weights.begin()), "donor_layer"},
                  "'" + layer + "' has no weight of its own any more: " + gives.receiver + " takes, too (shares[" +
                      std::to_string(donor_share) + "])",
                  "another donor, or remove one of the two shares");
      }
      const std::vector<fit::DonorLayer>& auxiliary_inputs = planned[receiver_share].options.auxiliary_inputs;
      for (std::size_t i = 0; i < auxiliary_inputs.size(); ++i)
        check("side_inputs", i, auxiliary_inputs[i].donor, auxiliary_inputs[i].donor_layer,
              from.auxiliary_inputs[i].donor_layer);
    }
  }
  return planned;
}

}  // namespace repsim::rebuild
