#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/transfer.h"
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

// Chooses the tokens of one step after another. On a device a choice is begun and waited for later, so that
// the step after it can be launched meanwhile.
class TokenChoices {
 public:
  // Chooses a token for each row of logits (rows, vocabulary), in float32.
  void choose(const at::Tensor& logits, const std::vector<Chooser>& choosers);
  // Returns the tokens of a choice on a device, (rows), in its memory. The next choice for the same number of
  // rows overwrites them there.
  const at::Tensor& on_device() const { return tokens_; }
  // Returns the choice.
  std::vector<TokenChoice> wait();

 private:
  void choose_on_device(const at::Tensor& logits, const std::vector<Chooser>& choosers);

  std::vector<TokenChoice> on_host_;  // of logits on the CPU
  // The tokens, their log-probabilities and the least logits, which come to the host in one copy.
  at::Tensor result_;
  at::Tensor tokens_, likelihoods_, least_;  // parts of it, (rows)
  std::optional<HostCopy> copy_;
};

// Samples a token for each row on the device of the logits, from the same distribution as sample_token.
// shares: (rows), where in the cumulative distribution each row's token is, in [0, 1), with tokens in the
// order of their ids, so that rounding does not exchange tokens that are about as probable. Greedy rows get
// the most probable token. Returns (rows).
at::Tensor sample_tokens(const at::Tensor& logits, const std::vector<Sampling>& samplings,
                         const std::vector<double>& shares);

}  // namespace attention_bypass
