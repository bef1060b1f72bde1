#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <vector>

#include "model/model.h"

namespace attention_bypass {

// How tokens would be sampled: logits divided by the temperature, then the most probable top_k alone (0:
// all).
struct SamplingScheme {
  double temperature = 1;
  int64_t top_k = 0;

  bool plain() const { return temperature == 1 && top_k == 0; }
};

// One value for each position, natural logarithms.
struct TokenScores {
  std::vector<float> log_likelihood;         // log p(target)
  std::vector<float> entropy;                // of p
  std::vector<float> scheme_log_likelihood;  // log p(target) under the scheme
  std::vector<float> margin;                 // the target's logit less the greatest of the others
  std::vector<int64_t> predicted;            // argmax p, the lowest id where several are as good

  // The first position whose logits are NaN or infinite.
  std::optional<size_t> not_finite() const;
};

// Scores targets (n) from the residual stream at the positions before them (n, hidden size). The vocabulary
// is projected piece by piece, each reduced at once, so that n x vocabulary never exists.
TokenScores score_tokens(const Model& model, const at::Tensor& hidden, const std::vector<int64_t>& targets,
                         const SamplingScheme& scheme, Control& control);

struct BestTokens {
  std::vector<int64_t> tokens;
  std::optional<size_t> not_finite;  // the first position whose logits are NaN or infinite
};

// The most probable token after each position.
BestTokens best_tokens(const Model& model, const at::Tensor& hidden, Control& control);

}  // namespace attention_bypass
