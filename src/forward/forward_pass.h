#pragma once

#include <ATen/ATen.h>

#include <functional>
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

// How many rows of this length go through a block together: enough tokens for products to run at full speed,
// and few enough for what lies between the products to stay near the processor.
int64_t rows_at_once(at::Device device, int64_t length);

// The plans of a request, compiled for a model.
struct Plans {
  Plans(const Model& model, std::vector<BypassPlan> plans)
      : table(std::move(plans)), compiled(table, model.options()), tree(table) {}

  PlanTable table;
  CompiledPlans compiled;
  PlanTree tree;
};

// A forward pass of rows through all blocks under all plans of a request. Each block's weights are used once,
// for all nodes of the plan tree, and what plans share is computed once.
class ForwardPass {
 public:
  // What is seen after each block, of some rows under the plans of one node.
  struct Observation {
    int64_t block;           // -1: the embedding, before the first block; parts and step are then missing
    int64_t begin;           // the first of these rows
    const Block* weights;    // the block itself
    BlockStep* step;         // these rows' step through it
    BlockStep::Parts parts;  // what the block's parts add
    at::Tensor stream;       // after the block, (rows, length, hidden size)
  };
  using Observer = std::function<void(const Observation&)>;

  // cache: where keys and values are stored, or none. observe: where it is given, there is one plan.
  ForwardPass(const Model& model, const Plans& plans, const PassRows& rows, KeyValueCache* cache = nullptr,
              Observer observe = {});

  // What the pass will take.
  double operations() const;

  // The residual stream of each node after the last block, where it is read: (rows, reads, hidden size).
  std::vector<at::Tensor> run(Control& control);

  // The most memory that activations of a block take at once, in addition to the streams.
  static int64_t slice_bytes(const Model& model, int64_t length);

 private:
  // Rows that go through a block together.
  struct Slice {
    int64_t begin, count;
    Positions positions;
    Visibility everywhere, where_read;
  };

  void pass(const Block& block, int64_t index, const PlanTree::Split& split, Control& control);
  // The streams of a slice as each branch leaves them.
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
