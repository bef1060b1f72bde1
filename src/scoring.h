#pragma once

#include <vector>

#include "model.h"
#include "vocabulary.h"

namespace attention_bypass {

struct ScoringRequest {
  std::vector<TokenRow> rows;
  std::vector<int64_t> first;  // in each row, the first token that is scored; at least 1
  std::vector<bool> decode;    // for each row, whether it is to be decoded too
  std::vector<BypassPlan> plans;
  SamplingScheme scheme;
  int64_t memory = 0;  // bytes that the work may take beside the weights
};

// Values of the scored tokens, row after row, for each plan.
struct ScoringResult {
  struct Scores : TokenScores {  // given the true tokens before each
    // What greedy decoding from the tokens before `first` gives, as many tokens as are scored; of rows that
    // are not decoded it says nothing.
    std::vector<int64_t> decoded;
  };
  std::vector<Scores> plans;
  double operations = 0;
};

// How many rows of a request can travel together in its memory, from the first on: at least one, and fewer
// than would fit where that makes parts of equal size.
int64_t rows_that_fit(const Model& model, const ScoringRequest& request);

// Scores rows under all plans. One walk over the true rows gives everything but what is decoded; greedy
// decoding agrees with a row up to its first mismatch by construction, so that it is run from there on only,
// and only for the rows that have one. Where memory does not allow all plans, these go one group after the
// other.
ScoringResult score_rows(const Model& model, const ScoringRequest& request, Control& control);

}  // namespace attention_bypass
