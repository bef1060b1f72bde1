#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "forward/forward_pass.h"

namespace attention_bypass {

// The direct contributions of the embedding and of each block's attention and MLP to the logits of true
// tokens, for each node of a plan tree: the dot product of the part's output with the direction of the true
// token. Divided by the standard deviation of the final residual stream, they sum to the logit without the
// shift of the final norm.
class DirectContributions {
 public:
  // targets: the true token after each read position, (rows, reads).
  DirectContributions(const Model& model, const PlanTree& tree, const PassRows& rows,
                      const at::Tensor& targets);

  // Adds the parts of an observation.
  void add(const ForwardPass::Observation& seen);

  // Returns the products of a stream at the read positions (rows, reads, hidden size), (rows, reads) in
  // float64.
  at::Tensor product(const at::Tensor& stream) const { return product(stream, 0, rows_.count()); }
  // Returns the products of all parts of a node after the last block, (1 + 2 x blocks, rows, reads): the
  // embedding, then attention and MLP of each block.
  at::Tensor of_node(int64_t node) const;
  // The contribution of the final norm's shift, (rows, reads).
  const at::Tensor& shift() const { return shift_; }

 private:
  // output: of `count` rows from `begin` on, at all positions or at those that are read, or a constant
  // (1, 1, hidden size).
  at::Tensor product(const at::Tensor& output, int64_t begin, int64_t count) const;

  const PlanTree& tree_;
  const PassRows& rows_;
  at::Tensor directions_;  // (rows, reads, hidden size)
  at::Tensor shift_;
  at::Tensor embedding_;                        // (rows, reads)
  std::vector<std::vector<at::Tensor>> parts_;  // [block][node after it], (2, rows, reads)
};

}  // namespace attention_bypass
