#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "forward/plan_table.h"

namespace attention_bypass {

// Plans that agree on their first blocks share all that is computed up to there. A node is a residual stream
// that plans share. A block takes each node to one or more nodes: one for each different bypass of its plans.
class PlanTree {
 public:
  struct Branch {
    int64_t bypass;  // its number in the table
    int64_t node;    // the first branch keeps the number of the node that it comes from
    // No plan of this branch attends in a later block, so that only the positions that are read go on.
    bool narrow;
  };
  // What becomes of one node in one block.
  struct Split {
    int64_t node;
    bool narrow;  // as the node comes in
    std::vector<Branch> branches;
    bool attends;       // whether some branch attends
    bool attends_wide;  // whether one does that is not narrow
    bool all_narrow;    // whether all branches are narrow
  };

  explicit PlanTree(const PlanTable& table);

  const std::vector<Split>& splits(int64_t block) const { return splits_[static_cast<size_t>(block)]; }
  int64_t blocks() const { return static_cast<int64_t>(splits_.size()); }
  // How many nodes there are after the last block: one for each plan that differs from the others.
  int64_t nodes() const { return static_cast<int64_t>(plan_of_node_.size()); }
  // After the last block: one of the plans of a node, and the node of a plan.
  size_t plan_of(int64_t node) const { return plan_of_node_[static_cast<size_t>(node)]; }
  int64_t node_of(size_t plan) const { return node_of_plan_[plan]; }
  // The node that enters a block and becomes this node after the last one.
  int64_t ancestor(int64_t node, int64_t block) const {
    return ancestors_[static_cast<size_t>(block)][static_cast<size_t>(node)];
  }
  // Whether the stream that enters the first block is narrow.
  bool narrow_root() const { return splits_.front().front().narrow; }

 private:
  std::vector<std::vector<Split>> splits_;
  std::vector<std::vector<int64_t>> ancestors_;
  std::vector<size_t> plan_of_node_;
  std::vector<int64_t> node_of_plan_;
};

}  // namespace attention_bypass
