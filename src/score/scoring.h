#pragma once

#include <memory>
#include <vector>

#include "head/vocabulary.h"
#include "model/bypass.h"
#include "model/model.h"
#include "score/targets.h"

namespace attention_bypass {

struct ScoringRequest {
  Scorable scorable;
  bool decode = false;  // whether sequences are decoded too; then each has a row of its own
  std::shared_ptr<const std::vector<BypassPlan>> plans;  // the same for all batches of a call
  SamplingScheme scheme;
  int64_t memory = 0;  // bytes that the work may take in addition to the weights
};

// Values of the scored tokens, one sequence after the other, for each plan.
struct ScoringResult {
  struct Scores : TokenScores {  // given the true tokens before each
    // What greedy decoding from the tokens before `first` gives, as many tokens as are scored. Empty where
    // nothing is decoded.
    std::vector<int64_t> decoded;
  };
  std::vector<Scores> plans;
  double operations = 0;
};

// How many groups of a request fit into its memory at once, from the first on: at least one, and fewer than
// would fit if that makes parts of equal size.
int64_t groups_that_fit(const Model& model, const ScoringRequest& request);

// Scores sequences under all plans. One forward pass over the true tokens gives everything except what is
// decoded;
// greedy decoding agrees with a sequence up to its first mismatch by construction, so that it is run from
// there on only, and only for those that have one. Where memory does not allow all plans, these go one group
// after the other.
ScoringResult score(const Model& model, const ScoringRequest& request, Control& control);

}  // namespace attention_bypass
