#pragma once

#include <cstdint>
#include <random>

namespace attention_bypass {

// How the next token is chosen. temperature 0 is greedy; top_k 0 and top_p 1 keep all tokens.
struct Sampling {
  double temperature = 0;
  int64_t top_k = 0;
  double top_p = 1;

  bool greedy() const { return temperature == 0; }
};

// Draws a token from logits[0 .. count): temperature first, then the top_k most probable, then the fewest of
// these whose probability reaches top_p. The same state of the generator gives the same token.
int64_t sample_token(const float* logits, int64_t count, const Sampling& sampling, std::mt19937_64& random);

}  // namespace attention_bypass
