#pragma once

#include <vector>

#include "base/control.h"
#include "model/model.h"
#include "score/scoring.h"

namespace attention_bypass {

// Sums over the scored tokens of each row.
struct SuffixSums {
  std::vector<double> log_likelihood;  // of the true tokens
  std::vector<double> logit;           // of the true tokens
};

// A model under one plan. docs/effects.md defines the numbers.
struct PlanEffects {
  SuffixSums total;   // everything after a bypassed part is recomputed
  SuffixSums direct;  // later parts keep the outputs that they have without a bypass
  SuffixSums frozen;  // as `direct`, with the standard deviations of the final norm without a bypass
  // The contributions of the embedding, of attention and MLP of each block, and of the final norm's shift to
  // `total.logit`: (2 + 2 x blocks, rows).
  std::vector<double> contributions;
  // The same with the standard deviations of the final norm without a bypass.
  std::vector<double> frozen_contributions;
};

// Measures a request whose first plan bypasses nothing, and whose sequences have rows of their own. Returns
// the effects of each plan. If memory does not suffice for all plans, they are measured in groups. Throws
// NOT_FINITE.
std::vector<PlanEffects> measure_effects(const Model& model, const ScoringRequest& request, Control& control);

}  // namespace attention_bypass
