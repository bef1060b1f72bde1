#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "forward/plan_table.h"
#include "model/model.h"

namespace attention_bypass {

// Computes attention with the keys and values that the queries of a step read.
class KeyValueReader {
 public:
  KeyValueReader() = default;
  virtual ~KeyValueReader() = default;
  KeyValueReader(const KeyValueReader&) = delete;
  KeyValueReader& operator=(const KeyValueReader&) = delete;

  // Returns the head outputs, (rows, queries, hidden size). own: the projections of the tokens of this step.
  virtual at::Tensor mix(const Block& block, Projections own) = 0;
};

// The bypass of each row in one block. Index tensors are on the model's device.
struct RowBypasses {
  struct Group {
    const CompiledBypass* bypass;
    at::Tensor rows;
  };

  // One bypass for all rows.
  explicit RowBypasses(const CompiledBypass& bypass) : common(&bypass) {}
  // A bypass for each row. dense: attention that some row needs is computed for all rows, and replaced where
  // it is bypassed; the MLP, if at least half of the rows need it. A GPU computes rows faster than it picks
  // them.
  RowBypasses(const std::vector<const CompiledBypass*>& bypasses, at::Device device, bool dense = false);

  const CompiledBypass* common = nullptr;  // the bypass of all rows; the fields below are then unused
  int64_t attending_count = 0;             // the number of rows that attend
  at::Tensor attending;                    // these rows; undefined: all rows
  std::vector<Group> heads;                // rows with bypassed heads, as indices into the attending rows
  std::vector<Group> replaced;             // rows whose whole attention is a constant or a short circuit
  at::Tensor without_attention;            // rows that are computed but whose attention output is zero
  int64_t mlp_count = 0;                   // the number of rows whose MLP is computed
  at::Tensor mlp;                          // these rows; undefined: all rows
  std::vector<Group> mlp_means;            // rows whose MLP output is a constant
  at::Tensor without_mlp;                  // rows that are computed but whose MLP output is zero
};

// Which tensors of a step are narrow: computed only at the positions that are read.
struct Narrowing {
  // Returns the read positions of a tensor (rows, ..., length, size). Empty: nothing is narrow.
  std::function<at::Tensor(const at::Tensor&)> read;
  bool stream = false;   // the stream that enters the block is narrow
  bool attends = false;  // some bypass of this step attends
  bool queries =
      false;         // the queries are narrow: head outputs are needed only at the positions that are read
  bool all = false;  // every stream that leaves the block is narrow
};

// Computes a block for rows, under one or more bypasses. This is the only place where the outputs of
// attention and MLP are added to the residual stream. In a parallel block, the MLP reads the stream that
// enters the block; in a serial block, it reads the stream after attention. Values that several bypasses need
// are computed once.
class BlockStep {
 public:
  // The outputs of the block's parts under a bypass. Undefined if nothing is added to the stream.
  struct Parts {
    at::Tensor attention;  // the attention output
    at::Tensor mlp_input;  // the stream that the MLP's norm reads
    at::Tensor mlp;        // the MLP output
  };

  // stream: enters the block, (rows, length, hidden size).
  BlockStep(const Block& block, at::Tensor stream, Positions positions, KeyValueReader& reader,
            Narrowing narrowing = {});

  // Returns the stream that leaves the block. It may share memory with the stream that enters the block or
  // with another result.
  at::Tensor after(const RowBypasses& bypasses, bool narrow = false, Parts* parts = nullptr);

  // Returns the attention output under a bypass of all rows, on the stream that enters the block. narrow:
  // only at the positions that are read. Mode mean: (1, 1, hidden size). Undefined for mode zero.
  at::Tensor attention_output(const CompiledBypass& bypass, bool narrow);
  // Returns the head outputs of attending rows without bypass, (rows, queries, hidden size).
  const at::Tensor& head_outputs();
  // Returns the queries, keys and values of the tokens of this step.
  const Projections& projections();

 private:
  at::Tensor entering(bool narrow);
  // Computes the attention of some rows. Undefined: all rows.
  void attend(const at::Tensor& rows);
  at::Tensor attention_output(const RowBypasses& bypasses, bool narrow);
  at::Tensor mlp_output(const RowBypasses& bypasses, const at::Tensor& stream);
  at::Tensor mlp(const at::Tensor& stream);

  const Block& block_;
  at::Tensor stream_;
  Positions positions_;
  KeyValueReader& reader_;
  Narrowing narrowing_;
  at::Tensor normed_, mixed_;
  at::Tensor normed_for_mlp_;  // of `stream_`, if it was computed with `normed_`
  Projections projections_;
  // For parallel blocks: the stream plus the MLP output, and the MLP output.
  at::Tensor with_mlp_, shared_mlp_;
};

}  // namespace attention_bypass
