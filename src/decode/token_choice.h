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
  int64_t top;  // the number of most probable tokens to return with the token
};

struct RankedToken {
  int64_t token;
  float log_probability;  // at temperature 1, over all tokens
};

struct TokenChoice {
  int64_t token;
  float log_probability;         // at temperature 1, over all tokens
  bool finite;                   // whether all logits are; otherwise the other fields have no meaning
  std::vector<RankedToken> top;  // the most probable tokens, the most probable first
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
  // Begins to copy the most probable tokens to the host, if a row needs them.
  void rank_on_device(const at::Tensor& logits, const std::vector<Chooser>& choosers);

  std::vector<TokenChoice> on_host_;  // of logits on the CPU
  // The tokens, their log-probabilities and the least logits, which come to the host in one copy.
  at::Tensor result_;
  at::Tensor tokens_, likelihoods_, least_;  // parts of it, (rows)
  std::optional<HostCopy> copy_;
  std::vector<int64_t> tops_;      // for each row, how many most probable tokens to return
  std::optional<HostCopy> ranks_;  // the most probable tokens and their log-probabilities, (2, rows, most)
};

// Samples a token for each row on the device of the logits, from the same distribution as sample_token.
// shares: (rows), where in the cumulative distribution each row's token is, in [0, 1), with tokens in the
// order of their ids, so that rounding does not exchange tokens that are about as probable. Greedy rows get
// the most probable token. Returns (rows).
at::Tensor sample_tokens(const at::Tensor& logits, const std::vector<Sampling>& samplings,
                         const std::vector<double>& shares);

}  // namespace attention_bypass
