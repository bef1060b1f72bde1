#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "forward/plan_table.h"

namespace attention_bypass {

// The tree of residual streams of several plans. A node is a residual stream that all plans with the same
// bypasses so far share. In each block, a node splits into branches, one for each distinct bypass of its
// plans. Each branch is a node after the block.
class PlanTree {
 public:
  struct Branch {
    int64_t bypass;  // its number in the PlanTable
    int64_t node;    // the node after the block; the first branch keeps the number of the node that splits
    // True if no plan of this branch attends in a later block: only positions that are read are computed
    // further.
    bool narrow;
  };
  // One node in one block.
  struct Split {
    int64_t node;
    bool narrow;  // whether the stream that enters the block is narrow
    std::vector<Branch> branches;
    bool attends;       // whether some branch attends
    bool attends_wide;  // whether some branch attends and is not narrow
    bool all_narrow;    // whether all branches are narrow
  };

  explicit PlanTree(const PlanTable& table);

  const std::vector<Split>& splits(int64_t block) const { return splits_[static_cast<size_t>(block)]; }
  int64_t blocks() const { return static_cast<int64_t>(splits_.size()); }
  // Returns the number of nodes after the last block, which is the number of distinct plans.
  int64_t nodes() const { return static_cast<int64_t>(plan_of_node_.size()); }
  // After the last block: returns a plan of a node, and the node of a plan.
  size_t plan_of(int64_t node) const { return plan_of_node_[static_cast<size_t>(node)]; }
  int64_t node_of(size_t plan) const { return node_of_plan_[plan]; }
  // Returns the node that enters a block and leads to this node after the last block.
  int64_t ancestor(int64_t node, int64_t block) const {
    return ancestors_[static_cast<size_t>(block)][static_cast<size_t>(node)];
  }
  // Returns the node that leaves a block and leads to this node after the last block.
  int64_t leaving(int64_t node, int64_t block) const {
    return block + 1 < blocks() ? ancestor(node, block + 1) : node;
  }
  // Returns whether the stream that enters the first block is narrow.
  bool narrow_root() const { return splits_.front().front().narrow; }

 private:
  std::vector<std::vector<Split>> splits_;
  std::vector<std::vector<int64_t>> ancestors_;
  std::vector<size_t> plan_of_node_;
  std::vector<int64_t> node_of_plan_;
};

}  // namespace attention_bypass
