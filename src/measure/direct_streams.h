#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "forward/forward_pass.h"

namespace attention_bypass {

// The differences between the final residual streams with only the direct effect of a plan and the stream of
// the unmodified model, at the read positions: for each bypassed part, what replaces its output minus its
// output, both on the stream of the unmodified model.
class DirectStreams {
 public:
  // The first plan bypasses nothing. Its node is 0 after every block.
  DirectStreams(const Plans& plans, const PassRows& rows) : plans_(plans), rows_(rows) {
    differences_.resize(static_cast<size_t>(plans.tree.nodes()));
  }

  // Adds the parts that plans bypass in the block of an observation. Ignores nodes other than 0.
  void add(const ForwardPass::Observation& seen);

  // Returns the difference of a node after the last block, other than node 0: (rows, reads, hidden size).
  const at::Tensor& difference(int64_t node) const { return differences_[static_cast<size_t>(node)]; }

 private:
  const Plans& plans_;
  const PassRows& rows_;
  std::vector<at::Tensor> differences_;
};

}  // namespace attention_bypass
