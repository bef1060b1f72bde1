#pragma once

#include <tuple>
#include <vector>

namespace attention_bypass {

// What replaces the output of a part of a block.
enum class BypassMode {
  none,
  zero,           // nothing is added to the residual stream, and nothing is computed
  short_circuit,  // attention only: each token attends only to itself
  mean,           // a constant: a mean that was measured before
};

struct AttentionBypass {
  BypassMode mode = BypassMode::none;
  // For each head, whether it is bypassed. Empty: the attention as a whole, with the bias of its output
  // projection, which otherwise stays.
  std::vector<bool> heads;
  std::vector<float> mean;  // of mode mean: the head outputs side by side, (hidden size)

  // Whether any head still attends.
  bool attends() const { return mode == BypassMode::none || !heads.empty(); }
  auto key() const { return std::tie(mode, heads, mean); }
};

struct MlpBypass {
  BypassMode mode = BypassMode::none;  // never short_circuit
  std::vector<float> mean;             // of mode mean: the MLP's output, (hidden size)

  auto key() const { return std::tie(mode, mean); }
};

// What a bypass changes in one block.
struct BlockBypass {
  AttentionBypass attention;
  MlpBypass mlp;

  bool none() const { return attention.mode == BypassMode::none && mlp.mode == BypassMode::none; }
  bool operator<(const BlockBypass& other) const {
    return std::tuple(attention.key(), mlp.key()) < std::tuple(other.attention.key(), other.mlp.key());
  }
};

// One for each block of the model.
using BypassPlan = std::vector<BlockBypass>;

}  // namespace attention_bypass
