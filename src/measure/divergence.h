#pragma once

#include <vector>

#include "base/control.h"
#include "forward/packed_row.h"
#include "model/bypass.h"
#include "model/model.h"

namespace attention_bypass {

// How far a bypass takes a model from itself on a row of tokens, measured, and proven from the unmodified
// model's own values and its weights: docs/theory.md has the proofs. One value for each token.
struct Divergence {
  struct Block {
    std::vector<double> stream;    // |x|, the residual stream of the unmodified model after the block
    std::vector<double> distance;  // |x - y|, y being the stream with the bypass
    std::vector<double> bound;     // at least that
    // Of blocks whose attention is bypassed as a whole by mode zero: what attention adds, and the most that
    // it can add on any input whatever, by its weights alone.
    std::vector<double> contribution;
    double contribution_bound = 0;
  };
  std::vector<Block> blocks;
  std::vector<double> divergence;  // KL(p || q) of the next token, p without and q with the bypass, in nats
  std::vector<double> divergence_bound;
  std::vector<bool> changed;  // whether the most probable next token is another
  std::vector<bool> certain;  // whether the bound says that it can't be
};

// For each row, under each plan. The model is in float64.
std::vector<std::vector<Divergence>> diverge(const Model& model, const std::vector<TokenRow>& rows,
                                             const std::vector<BypassPlan>& plans, Control& control);

}  // namespace attention_bypass
