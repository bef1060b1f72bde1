#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <vector>

#include "forward/plan_table.h"
#include "model/model.h"

namespace attention_bypass {

// Where the attention of a step finds the keys and values that its queries read.
class KeyValueReader {
 public:
  KeyValueReader() = default;
  virtual ~KeyValueReader() = default;
  KeyValueReader(const KeyValueReader&) = delete;
  KeyValueReader& operator=(const KeyValueReader&) = delete;

  // The head outputs, (rows, queries, hidden size). own: of the tokens of this step.
  virtual at::Tensor mix(const Block& block, Projections own) = 0;
};

// The bypass of each row in one block. Index tensors are on the device.
struct RowBypasses {
  struct Group {
    const CompiledBypass* bypass;
    at::Tensor rows;
  };

  // The same bypass for all rows.
  explicit RowBypasses(const CompiledBypass& bypass) : common(&bypass) {}
  // One for each row.
  RowBypasses(const std::vector<const CompiledBypass*>& bypasses, at::Device device);

  const CompiledBypass* common = nullptr;  // of all rows; the fields below are then of no meaning
  int64_t attending_count = 0;             // how many rows attend
  at::Tensor attending;                    // these rows; undefined where all do
  std::vector<Group> heads;                // rows with bypassed heads, by their places among the attending
  std::vector<Group> replaced;             // rows whose attention as a whole is a constant or a short circuit
  int64_t mlp_count = 0;                   // how many rows run their MLP
  at::Tensor mlp;                          // these rows; undefined where all do
  std::vector<Group> mlp_means;            // rows whose MLP output is a constant
};

// Where the streams that leave a step are needed only at the positions that are read.
struct Narrowing {
  // Takes from (rows, ..., length, size) what is read; empty: nothing is narrowed.
  std::function<at::Tensor(const at::Tensor&)> read;
  bool stream = false;   // the stream that enters is narrow already
  bool attends = false;  // some bypass of this step attends,
  bool queries = false;  // and none of these needs head outputs elsewhere than where they are read
  bool all = false;      // every stream that leaves is narrow
};

// One step of residual streams through a block. This is the only place where attention and MLP are added to
// the stream, for blocks that are parallel (the MLP reads the stream that enters) and serial (it reads what
// attention has added to). What several bypasses share is computed once.
class BlockStep {
 public:
  // What a bypass makes of the block's parts; undefined where nothing is added.
  struct Parts {
    at::Tensor attention;  // the attention output
    at::Tensor mlp_input;  // the stream that the MLP's norm reads
    at::Tensor mlp;        // the MLP output
  };

  // stream: (rows, length, hidden size), as it enters the block.
  BlockStep(const Block& block, at::Tensor stream, Positions positions, KeyValueReader& reader,
            Narrowing narrowing = {});

  // The stream that leaves the block, which may share memory with the one that enters or with another result.
  at::Tensor after(const RowBypasses& bypasses, bool narrow = false, Parts* parts = nullptr);

  // The head outputs without bypass, of attending rows, (rows, queries, hidden size).
  const at::Tensor& head_outputs();
  // The queries, keys and values of the step's own tokens.
  const Projections& projections();

 private:
  at::Tensor entering(bool narrow);
  // Of some or all rows.
  void attend(const at::Tensor& rows);
  at::Tensor attention_output(const RowBypasses& bypasses, bool narrow);
  at::Tensor common_attention_output(const CompiledBypass& bypass, bool narrow);
  at::Tensor mlp_output(const RowBypasses& bypasses, const at::Tensor& stream);

  const Block& block_;
  at::Tensor stream_;
  Positions positions_;
  KeyValueReader& reader_;
  Narrowing narrowing_;
  at::Tensor normed_, mixed_;
  Projections projections_;
  // Of parallel blocks: the stream with the MLP's output, and that output.
  at::Tensor with_mlp_, shared_mlp_;
};

}  // namespace attention_bypass
