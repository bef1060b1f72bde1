#pragma once

#include <random>
#include <vector>

#include "forward/packed_row.h"

namespace attention_bypass {

// Sequences of which some begin alike, and the first token of each that is scored.
struct Sequences {
  std::vector<TokenRow> tokens;
  std::vector<int64_t> first;
};

inline Sequences random_sequences(uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&random](size_t bound) { return static_cast<int64_t>(random() % bound); };
  Sequences made;
  const TokenRow shared(static_cast<size_t>(below(6)) + 1, 7);
  const auto count = below(4) + 1;
  for (int64_t sequence = 0; sequence < count; ++sequence) {
    auto tokens = shared;
    for (int64_t more = below(5) + 1; more > 0; --more) tokens.push_back(below(3));
    made.first.push_back(below(tokens.size() - 1) + 1);
    made.tokens.push_back(tokens);
  }
  return made;
}

}  // namespace attention_bypass
