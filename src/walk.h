#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "control.h"
#include "model.h"
#include "operations.h"
#include "plan_tree.h"
#include "prompt_cache.h"
#include "scored_rows.h"

namespace attention_bypass {

// One walk through the blocks for all plans of a tree: each block's weights are met once, by every stem, and
// what plans share is computed once.
class Walk {
 public:
  // cache: to be filled, or none.
  Walk(const Model& model, const PlanTree& tree, const ScoredRows& rows, PromptCache* cache);

  // What the walk will take.
  double operations() const;

  // The residual stream of each stem after the last block, where it is read: (rows, reads, hidden size).
  std::vector<at::Tensor> run(Control& control);

  // The most memory that activations of a block take at once, beside the streams.
  static int64_t slice_bytes(const Model& model, int64_t length);

 private:
  // Rows that go through a block together.
  struct Slice {
    int64_t begin, count;
    at::Tensor rotation;
    Visibility everywhere, where_read;
  };

  void pass(const Model::BlockAtWork& block, int64_t index, const PlanTree::Fork& fork, Control& control);
  // What the branches that attend have in common.
  struct Attention {
    at::Tensor normed, values, mixed;
    bool wide = false;
  };
  Attention attend(const Model::BlockAtWork& block, int64_t index, const PlanTree::Fork& fork, Slice& slice,
                   const at::Tensor& hidden);
  // The hidden states of a slice as each branch leaves them.
  std::vector<at::Tensor> branches(const Model::BlockAtWork& block, int64_t index, const PlanTree::Fork& fork,
                                   Slice& slice, const at::Tensor& hidden);
  double operations(const PlanTree::Fork& fork) const;

  const Model& model_;
  const PlanTree& tree_;
  const ScoredRows& rows_;
  PromptCache* cache_;
  Operations costs_;
  std::vector<Slice> slices_;
  std::vector<at::Tensor> streams_;  // of each stem
};

}  // namespace attention_bypass
