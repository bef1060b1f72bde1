#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <vector>

#include "model.h"

namespace attention_bypass {

// How tokens would be sampled: logits divided by the temperature, then the most probable top_k alone (0:
// all).
struct SamplingScheme {
  double temperature = 1;
  int64_t top_k = 0;
};

// What is asked of the distribution p over the next token at each position.
struct TokenScoresRequest {
  bool entropy = false;
  std::optional<SamplingScheme> scheme;
};

// One value for each position, natural logarithms.
struct TokenScores {
  std::vector<float> log_likelihood;         // log p(target)
  std::vector<float> entropy;                // of p; empty where not asked for
  std::vector<float> scheme_log_likelihood;  // log p(target) under the scheme; empty where not asked for
  std::vector<int64_t> predicted;            // argmax p, the lowest id where several are as good
};

// Scores targets (n) from the residual stream at the positions before them (n, hidden size). The vocabulary
// is projected in chunks of positions, each reduced at once, so that n x vocabulary never exists.
TokenScores score_tokens(const Model& model, const at::Tensor& hidden, const at::Tensor& targets,
                         const TokenScoresRequest& request, Control& control);

}  // namespace attention_bypass
