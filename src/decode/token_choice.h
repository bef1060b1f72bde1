#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "decode/sampling.h"

namespace attention_bypass {

// How the next token of a row is chosen.
struct Chooser {
  const Sampling* sampling;
  std::mt19937_64* random;
};

struct TokenChoice {
  int64_t token;
  float log_probability;  // at temperature 1, over all tokens
  bool finite;            // whether all logits are; otherwise the other fields have no meaning
};

// Chooses a token for each row of logits (rows, vocabulary), in float32.
std::vector<TokenChoice> choose_tokens(const at::Tensor& logits, const std::vector<Chooser>& choosers);

// Samples a token for each row on the device of the logits, from the same distribution as sample_token.
// shares: (rows), where in the cumulative distribution each row's token is, in [0, 1), with tokens in the
// order of their ids, so that rounding does not exchange tokens that are about as probable. Greedy rows get
// some token. Returns (rows).
at::Tensor sample_tokens(const at::Tensor& logits, const std::vector<Sampling>& samplings,
                         const std::vector<double>& shares);

}  // namespace attention_bypass
