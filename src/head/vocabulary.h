#pragma once

#include <ATen/ATen.h>

#include <optional>
#include <vector>

#include "model/model.h"

namespace attention_bypass {

// The sampling settings under which likelihoods are computed: logits are divided by the temperature, then
// only the top_k most probable tokens are kept (0: all).
struct SamplingScheme {
  double temperature = 1;
  int64_t top_k = 0;

  bool plain() const { return temperature == 1 && top_k == 0; }
};

// Scores of target tokens, one value for each position. Natural logarithms.
struct TokenScores {
  std::vector<float> log_likelihood;         // log p(target)
  std::vector<float> entropy;                // of p
  std::vector<float> scheme_log_likelihood;  // log p(target) under the sampling scheme
  std::vector<float> margin;                 // the target's logit minus the greatest of the others
  std::vector<int64_t> predicted;            // argmax p; the lowest id of equal ones
  // The most probable tokens at each position, the most probable first, as many as were requested, and their
  // log p.
  std::vector<int64_t> top_tokens;
  std::vector<float> top_log_probabilities;

  // Returns the first position whose logits are NaN or infinite.
  std::optional<size_t> not_finite() const;
};

// Scores targets (n) from the residual stream at the positions before them (n, hidden size). Logits are
// computed and reduced in chunks, so the tensor (n, vocabulary) is never allocated. top: the number of most
// probable tokens to return for each position. memory: the limit in bytes, of which the chunks take a part.
// normed: `hidden` is what the final norm returned, instead of the residual stream.
TokenScores score_tokens(const Model& model, const at::Tensor& hidden, const std::vector<int64_t>& targets,
                         const SamplingScheme& scheme, int64_t top, int64_t memory, Control& control,
                         bool normed = false);

// Returns the maximum number of bytes that score_tokens and best_tokens take.
int64_t scoring_bytes(const Model& model, const SamplingScheme& scheme, int64_t top, int64_t memory);

struct BestTokens {
  std::vector<int64_t> tokens;
  std::optional<size_t> not_finite;  // the first position whose logits are NaN or infinite
};

// Returns the most probable token after each position. memory: as in score_tokens.
BestTokens best_tokens(const Model& model, const at::Tensor& hidden, int64_t memory, Control& control);

}  // namespace attention_bypass
