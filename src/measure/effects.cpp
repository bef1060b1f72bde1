#include "measure/effects.h"

#include <algorithm>
#include <iterator>

#include "base/operations.h"
#include "base/transfer.h"
#include "forward/forward_pass.h"
#include "forward/not_finite.h"
#include "measure/direct_contributions.h"
#include "measure/direct_streams.h"
#include "score/scoring_memory.h"
#include "score/targets.h"

namespace attention_bypass {

namespace {

// The scored tokens of a request on the model's device.
struct ScoredTokens {
  ScoredTokens(const Targets& targets, const PassRows& rows, at::Device device)
      : places(to_device(targets.places, device)),
        row_of_token(to_device(targets.sequence_of_token(), device)) {
    // Rows with fewer tokens than others are padded with token 0, whose places are never read.
    const auto tokens = to_device(targets.tokens, device);
    by_row = at::zeros({rows.count() * rows.reads()}, tokens.options()).index_copy_(0, places, tokens);
    by_row = by_row.view({rows.count(), rows.reads()});
  }

  // Returns the values (..., rows, reads) of the tokens, (..., tokens).
  at::Tensor pick(const at::Tensor& values) const { return values.flatten(-2).index_select(-1, places); }
  // Returns the streams (rows, reads, hidden size) of the tokens, (tokens, hidden size).
  at::Tensor streams(const at::Tensor& values) const { return values.flatten(0, 1).index_select(0, places); }
  // Returns the sums of values (..., tokens) over the tokens of each row.
  std::vector<double> sums(const at::Tensor& values) const {
    auto shape = values.sizes().vec();
    shape.back() = by_row.size(0);
    const auto host = to_host(at::zeros(shape, values.options().dtype(at::kDouble))
                                  .index_add_(-1, row_of_token, values.to(at::kDouble)));
    return {host.const_data_ptr<double>(), host.const_data_ptr<double>() + host.numel()};
  }

  at::Tensor places;        // (tokens), indices into (rows, reads)
  at::Tensor row_of_token;  // (tokens)
  at::Tensor by_row;        // (rows, reads), the token ids
};

// The rows of a request under the plans that are measured together, of which the first bypasses nothing.
class PlanGroup {
 public:
  PlanGroup(const Model& model, const ScoringRequest& request, const Targets& targets, const PassRows& rows,
            const ScoredTokens& tokens, std::vector<BypassPlan> plans)
      : model_(model),
        request_(request),
        targets_(targets),
        tokens_(tokens),
        plans_(model, std::move(plans)),
        contributions_(model, plans_.tree, rows, tokens.by_row),
        direct_(plans_, rows),
        pass_(
            model, plans_, rows, nullptr,
            [this](const ForwardPass::Observation& seen) {
              contributions_.add(seen);
              direct_.add(seen);
            },
            rows_at_once(model, rows.length(), request.memory)) {}

  double operations() const {
    const auto projected = static_cast<double>(3 * plans_.tree.nodes() - 2);
    return pass_.operations() +
           projected * static_cast<double>(targets_.tokens.size()) * Operations(model_.config()).head();
  }

  // Returns the effects of each plan.
  std::vector<PlanEffects> run(Control& control);

 private:
  // Scores the true tokens with what the final norm returned, one part of `normed` for each of `sums`. nodes:
  // of the parts.
  void add_log_likelihoods(const at::Tensor& normed, const std::vector<SuffixSums*>& sums,
                           const std::vector<int64_t>& nodes, Control& control) const;

  const Model& model_;
  const ScoringRequest& request_;
  const Targets& targets_;
  const ScoredTokens& tokens_;
  Plans plans_;
  DirectContributions contributions_;
  DirectStreams direct_;
  ForwardPass pass_;
};

std::vector<PlanEffects> PlanGroup::run(Control& control) {
  const auto& norm = model_.architecture().final_norm;
  const int64_t count = std::ssize(targets_.tokens);
  const int64_t nodes = plans_.tree.nodes();
  auto streams = pass_.run(control);
  const auto shift = tokens_.pick(contributions_.shift());
  const auto factors = norm.factor(streams.front());
  std::vector<PlanEffects> effects(static_cast<size_t>(nodes));
  // What the final norm returns: for each node the stream, the direct stream and that with frozen factors.
  // The direct stream of node 0 is its stream.
  auto normed = at::empty({(3 * nodes - 2) * count, streams.front().size(2)}, model_.arithmetic());
  std::vector<SuffixSums*> sums;  // of each part of `normed`
  std::vector<int64_t> node_of_part;
  for (int64_t node = 0; node < nodes; ++node) {
    auto& stream = streams[static_cast<size_t>(node)];
    auto& effect = effects[static_cast<size_t>(node)];
    const auto own_factors = norm.factor(stream);
    const auto add = [&](SuffixSums& of, const at::Tensor& from, const at::Tensor& by) {
      of.logit = tokens_.sums(tokens_.pick(contributions_.product(from) * by.squeeze(-1)) + shift);
      normed.narrow(0, std::ssize(sums) * count, count).copy_(tokens_.streams(norm.with_factor(from, by)));
      sums.push_back(&of);
      node_of_part.push_back(node);
    };
    add(effect.total, stream, own_factors);
    if (node > 0) {
      const auto direct = streams.front() + direct_.difference(node);
      add(effect.direct, direct, norm.factor(direct));
      add(effect.frozen, direct, factors);
      stream.reset();
    }
    const auto products = contributions_.of_node(node);
    const auto of_parts = [&](const at::Tensor& by) {
      return tokens_.sums(at::cat({tokens_.pick(products * by.squeeze(-1)), shift.unsqueeze(0)}));
    };
    effect.contributions = of_parts(own_factors);
    effect.frozen_contributions = of_parts(factors);
  }
  add_log_likelihoods(normed, sums, node_of_part, control);
  std::vector<PlanEffects> of_plans;
  for (size_t plan = 0; plan < plans_.table.plans().size(); ++plan) {
    const auto node = static_cast<size_t>(plans_.tree.node_of(plan));
    of_plans.push_back(effects[node]);
    if (node == 0) of_plans.back().direct = of_plans.back().frozen = of_plans.back().total;
  }
  return of_plans;
}

void PlanGroup::add_log_likelihoods(const at::Tensor& normed, const std::vector<SuffixSums*>& sums,
                                    const std::vector<int64_t>& nodes, Control& control) const {
  std::vector<int64_t> targets;
  for (size_t part = 0; part < sums.size(); ++part) {
    targets.insert(targets.end(), targets_.tokens.begin(), targets_.tokens.end());
  }
  const auto scores = score_tokens(model_, normed, targets, request_.scheme, 0, request_.memory, control,
                                   /*normed=*/true);
  const auto sequence_of_token = targets_.sequence_of_token();
  if (const auto position = scores.not_finite()) {
    const auto part = *position / targets_.tokens.size();
    const auto row = static_cast<size_t>(sequence_of_token[*position % targets_.tokens.size()]);
    const auto plan = plans_.tree.plan_of(nodes[part]);
    throw_not_finite(model_, request_.scorable.sequences[row], plans_.table.plans()[plan],
                     "measuring effects", control);
  }
  for (size_t part = 0; part < sums.size(); ++part) {
    auto& sum = sums[part]->log_likelihood;
    sum.assign(targets_.offsets.size(), 0);
    for (size_t token = 0; token < targets_.tokens.size(); ++token) {
      sum[static_cast<size_t>(sequence_of_token[token])] +=
          scores.log_likelihood[part * targets_.tokens.size() + token];
    }
  }
}

}  // namespace

std::vector<PlanEffects> measure_effects(const Model& model, const ScoringRequest& request,
                                         Control& control) {
  const c10::InferenceMode inference;
  TORCH_INTERNAL_ASSERT(request.scorable.groups.size() == request.scorable.sequences.size(),
                        "expected each sequence in a row of its own");
  const auto& plans = *request.plans;
  // The first plan and `count` others, from `begin` on.
  const auto group = [&plans](size_t begin, size_t count) {
    std::vector<BypassPlan> result = {plans.front()};
    const auto end = std::min(begin + count, plans.size());
    result.insert(result.end(), plans.begin() + static_cast<std::ptrdiff_t>(begin),
                  plans.begin() + static_cast<std::ptrdiff_t>(end));
    return result;
  };
  const ScoringMemory memory(request);
  const int64_t wanted = std::ssize(request.scorable.groups);
  size_t together = std::max<size_t>(1, plans.size() - 1);
  while (together > 1 && memory.rows(model, PlanTree(PlanTable(group(1, together)))) < wanted) {
    together = (together + 1) / 2;
  }
  const Targets targets(request.scorable);
  const PassRows rows(targets.rows, targets.columns, model.device());
  const ScoredTokens tokens(targets, rows, model.device());
  std::vector<PlanEffects> result;
  const auto groups = std::max<size_t>(1, (plans.size() + together - 2) / together);
  for (size_t begin = 1; result.size() < plans.size(); begin += together) {
    PlanGroup measured(model, request, targets, rows, tokens, group(begin, together));
    if (begin == 1) control.expect(static_cast<double>(groups) * measured.operations());
    auto effects = measured.run(control);
    std::move(effects.begin() + (begin == 1 ? 0 : 1), effects.end(), std::back_inserter(result));
  }
  return result;
}

}  // namespace attention_bypass
