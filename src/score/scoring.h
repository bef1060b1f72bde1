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
  bool decode = false;   // whether sequences are also decoded; requires a row for each sequence
  bool effects = false;  // whether the request is for measure/effects.h, which needs more memory
  std::shared_ptr<const std::vector<BypassPlan>> plans;  // shared by all batches of a call
  SamplingScheme scheme;
  int64_t top = 0;     // the number of most probable tokens to return for each scored token
  int64_t memory = 0;  // the memory limit in bytes, without the weights
};

// Scores for each plan: the values of all scored tokens, sequence by sequence.
struct ScoringResult {
  struct Scores : TokenScores {  // given the true tokens before each scored token
    // The result of greedy decoding from the tokens before `first`, one token for each scored token. Empty
    // without decoding.
    std::vector<int64_t> decoded;
  };
  std::vector<Scores> plans;
  double operations = 0;
};

// Returns how many of the request's first groups to score at once: as many as fit into its memory but at
// least one, or fewer to split the groups into parts of equal size.
int64_t groups_that_fit(const Model& model, const ScoringRequest& request);

// Scores sequences under all plans. One forward pass over the true tokens computes everything except the
// decoded tokens. Up to the first mismatch, greedy decoding gives the true tokens, so decoding starts there,
// only for sequences with a mismatch. If memory does not suffice for all plans, they are scored in groups.
// Throws NOT_FINITE.
ScoringResult score(const Model& model, const ScoringRequest& request, Control& control);

}  // namespace attention_bypass
