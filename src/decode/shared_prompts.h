#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "decode/decoding_row.h"
#include "decode/partial_attention.h"

namespace attention_bypass {

// Attention of the rows of a batch to their prompts, where many rows read one prompt: the rows that read the
// same keys and values become the queries of one attention, so that nothing is copied for each row.
class SharedPrompts {
 public:
  // rows: in the order of the batch; nullptr: not decoded. Their prompts are of one forward pass, and either
  // all or none of them have one.
  SharedPrompts(const Model& model, const std::vector<DecodingRow*>& rows);

  // Returns the maximum number of bytes that attend() takes for a row of a forward pass of this many tokens,
  // if it is decoded under all plans of the tree.
  static int64_t row_bytes(const Model& model, const PlanTree& tree, int64_t length);

  // Whether no row has tokens before those in its slot.
  bool empty() const { return longest_ == 0; }
  // queries: of all rows, (rows, heads, 1, head size). positions: of the queries, (rows). Returns (rows,
  // heads, head size) and (rows, heads). The results of rows that do not attend in the block have no meaning.
  PartialAttention attend(int64_t index, const Block& block, const at::Tensor& queries,
                          const at::Tensor& positions) const;

 private:
  // How the queries of a block are arranged: by node and row of the forward pass, then by query.
  struct Arrangement {
    int64_t queries = 0;  // the most for one node and row of the pass
    at::Tensor rows;      // (places), the row of the batch whose query is at a place
    at::Tensor seen;      // (places), the number of tokens it sees; 0: no query is there
    at::Tensor places;    // (rows of the batch)
  };

  const KeyValueCache* prompts_ = nullptr;
  int64_t longest_ = 0;
  double scale_;
  std::vector<Arrangement> blocks_;
};

}  // namespace attention_bypass
