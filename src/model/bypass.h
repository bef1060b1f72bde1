#pragma once

#include <tuple>
#include <vector>

namespace attention_bypass {

// What replaces the output of attention or MLP.
enum class BypassMode {
  none,
  zero,           // zeros; the part is not computed
  short_circuit,  // attention only: each token attends only to itself
  mean,           // a constant vector, the mean output that a survey measured
};

struct AttentionBypass {
  BypassMode mode = BypassMode::none;
  // For each head, whether it is bypassed. Empty: the whole attention, including the bias of its output
  // projection. If only heads are bypassed, the bias is kept.
  std::vector<bool> heads;
  std::vector<float> mean;  // for mode mean: the concatenated head outputs, (hidden size)

  // Whether attention weights are computed for some head.
  bool attends() const { return mode == BypassMode::none || !heads.empty(); }
  auto key() const { return std::tie(mode, heads, mean); }
};

struct MlpBypass {
  BypassMode mode = BypassMode::none;  // never short_circuit
  std::vector<float> mean;             // for mode mean: the MLP output, (hidden size)

  auto key() const { return std::tie(mode, mean); }
};

// The bypass of one block.
struct BlockBypass {
  AttentionBypass attention;
  MlpBypass mlp;

  bool none() const { return attention.mode == BypassMode::none && mlp.mode == BypassMode::none; }
  bool operator<(const BlockBypass& other) const {
    return std::tuple(attention.key(), mlp.key()) < std::tuple(other.attention.key(), other.mlp.key());
  }
};

// A bypass for each block of the model.
using BypassPlan = std::vector<BlockBypass>;

}  // namespace attention_bypass
