#pragma once

#include <vector>

#include "base/control.h"
#include "forward/packed_row.h"
#include "model/bypass.h"
#include "model/model.h"

namespace attention_bypass {

// The distance between the unmodified model and the model with a bypass on a row of tokens, measured, and
// bounded from the values and weights of the unmodified model. docs/theory.md has the proofs. One value for
// each token.
struct Divergence {
  struct Block {
    std::vector<double> stream;    // |x|, the residual stream of the unmodified model after the block
    std::vector<double> distance;  // |x - y|, y: the stream with the bypass
    std::vector<double> bound;     // a bound of the distance
    // If mode zero bypasses the whole attention: the norm of the attention output, and its maximum for any
    // input. Otherwise empty and 0.
    std::vector<double> contribution;
    double contribution_bound = 0;
  };
  std::vector<Block> blocks;
  std::vector<double> divergence;  // KL(p || q) of the next token in nats, p without and q with the bypass
  std::vector<double> divergence_bound;
  std::vector<bool> changed;  // whether the most probable next token changed
  std::vector<bool> certain;  // whether the bound proves that it did not change
};

// Returns a divergence for each row and each plan, [row][plan]. Requires a float64 model. Throws NOT_FINITE.
std::vector<std::vector<Divergence>> diverge(const Model& model, const std::vector<TokenRow>& rows,
                                             const std::vector<BypassPlan>& plans, Control& control);

}  // namespace attention_bypass
