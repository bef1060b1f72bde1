#pragma once

#include <cstdint>
#include <random>

namespace attention_bypass {

// Sampling settings. temperature 0: greedy decoding. top_k 0 and top_p 1: all tokens.
struct Sampling {
  double temperature = 0;
  int64_t top_k = 0;
  double top_p = 1;

  bool greedy() const { return temperature == 0; }
};

// Returns a number in [0, 1), the same on every platform for a given state of `random`.
double uniform(std::mt19937_64& random);

// Samples a token from logits[0 .. count). Applies temperature, then top-k, then top-p. Deterministic for a
// given state of `random`.
int64_t sample_token(const float* logits, int64_t count, const Sampling& sampling, std::mt19937_64& random);

}  // namespace attention_bypass
