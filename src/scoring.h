#pragma once

#include <vector>

#include "model.h"
#include "vocabulary.h"

namespace attention_bypass {

struct ScoringRequest {
  std::vector<TokenRow> rows;
  std::vector<int64_t> first;  // in each row, the first token that is scored; at least 1
  BypassPlan plan;
  TokenScoresRequest scores;
  bool decode = false;
};

// Values of the scored tokens, row after row.
struct ScoringResult {
  TokenScores scores;  // given the true tokens before each
  // What greedy decoding from the tokens before `first` gives, as many tokens as are scored; empty where not
  // asked for.
  std::vector<int64_t> decoded;
};

// One pass over the true rows. Greedy decoding agrees with a row up to its first mismatch by construction, so
// that it is run from there on only, and only for the rows that have one.
ScoringResult score_rows(const Model& model, const ScoringRequest& request, Control& control);

}  // namespace attention_bypass
