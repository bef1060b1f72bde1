#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <optional>
#include <vector>

#include "base/control.h"
#include "base/operations.h"
#include "forward/block_step.h"
#include "forward/key_value_cache.h"
#include "forward/pass_rows.h"
#include "forward/plan_tree.h"
#include "forward/visibility.h"
#include "model/model.h"

namespace attention_bypass {

// Returns the number of rows of this length that go through a block together: enough tokens for fast matrix
// products, and few enough that the activations stay in the processor's cache.
int64_t rows_at_once(at::Device device, int64_t length);
// Returns at most this number, and on a GPU at most as many rows as take an eighth of a memory limit in
// bytes, but at least one.
int64_t rows_at_once(const Model& model, int64_t length, int64_t memory);

// The plans of a request, compiled for a model.
struct Plans {
  Plans(const Model& model, std::vector<BypassPlan> plans)
      : table(std::move(plans)), compiled(table, model.arithmetic()), tree(table) {}

  PlanTable table;
  CompiledPlans compiled;
  PlanTree tree;
};

// A forward pass of rows through all blocks under all plans of a request. Each block is loaded once for all
// nodes of the plan tree, and streams that plans share are computed once.
class ForwardPass {
 public:
  // The state after a block, for some rows under the plans of one node.
  struct Observation {
    int64_t block;  // -1: the embedding before the first block, without weights, step and parts
    int64_t node;   // of the plan tree, after the block
    int64_t begin;  // the index of the first row
    const Block* weights;
    BlockStep* step;         // the step of these rows
    BlockStep::Parts parts;  // the outputs of the block's parts
    at::Tensor stream;       // after the block, (rows, length or reads, hidden size)
  };
  using Observer = std::function<void(const Observation&)>;

  // cache: stores keys and values if given. observe: called after each block, for each node, if given.
  // at_once: the number of rows that go through a block together; by default as above.
  ForwardPass(const Model& model, const Plans& plans, const PassRows& rows, KeyValueCache* cache = nullptr,
              Observer observe = {}, std::optional<int64_t> at_once = {});

  // Returns the number of floating-point operations of the pass.
  double operations() const;

  // Returns the residual stream of each node after the last block, at the positions that are read: (rows,
  // reads, hidden size).
  std::vector<at::Tensor> run(Control& control);

  // Returns the maximum number of bytes of the activations of a block for this many tokens, without the
  // streams.
  static int64_t activation_bytes(const Model& model, int64_t tokens);

 private:
  // Rows that go through a block together.
  struct Slice {
    int64_t begin, count;
    Positions positions;
    Visibility everywhere, where_read;
  };

  void pass(const Block& block, int64_t index, const PlanTree::Split& split, Control& control);
  // Returns the streams of a slice after the block, one for each branch.
  std::vector<at::Tensor> branches(const Block& block, int64_t index, const PlanTree::Split& split,
                                   Slice& slice, const at::Tensor& stream);
  double operations(int64_t index, const PlanTree::Split& split) const;

  const Model& model_;
  const Plans& plans_;
  const PassRows& rows_;
  KeyValueCache* cache_;
  Observer observe_;
  Operations costs_;
  std::vector<Slice> slices_;
  std::vector<at::Tensor> streams_;  // of each node
};

}  // namespace attention_bypass
