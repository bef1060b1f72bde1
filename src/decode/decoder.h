#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/control.h"
#include "base/operations.h"
#include "decode/key_value_store.h"
#include "forward/forward_pass.h"
#include "forward/key_value_cache.h"

namespace attention_bypass {

// A batch of rows that are decoded token by token, each with its own plan and length. Rows are added and
// removed between steps. Rows of one forward pass share the keys and values of their prompts; the keys and
// values of decoded tokens are stored in the row's own slot.
class Decoder {
 public:
  struct Start {
    std::shared_ptr<const Plans> plans;            // of the forward pass of the prompt
    std::shared_ptr<const KeyValueCache> prompts;  // the keys and values of that pass
    int64_t row;                                   // the index among the rows of that pass
    int64_t node;                                  // the node of the plan tree after the last block
    int64_t length;  // the number of tokens of that row before the first token that step() gets
    int64_t tokens;  // the maximum number of tokens that step() gets
    bool shared;     // whether other rows read the same prompt; it is then not copied
  };

  explicit Decoder(const Model& model);

  // Allocates memory for exactly these rows. Without this call, memory grows as rows are added.
  void reserve(int64_t rows, int64_t tokens);
  // Adds a row. Returns its id. Throws what allocating memory throws.
  int64_t add(const Start& start);
  void remove(int64_t id);

  // Computes one token of each of these rows. Returns the residual streams after the last block, (rows,
  // hidden size). Other rows are unchanged. After an exception, these rows must only be removed.
  at::Tensor step(const std::vector<int64_t>& ids, const std::vector<int64_t>& tokens, Control& control);

  int64_t rows() const { return std::ssize(rows_); }

  // Returns the maximum number of floating-point operations for a token of a sequence of this length.
  static double operations(const Model& model, int64_t length);
  // Returns the memory of a decoded token in bytes.
  static int64_t token_bytes(const Model& model);

 private:
  class Reader;
  struct Row {
    Start start;
    int64_t slot;
    int64_t shared;  // the number of tokens before those in the slot
    int64_t stored;  // the number of tokens in the slot

    int64_t position() const { return shared + stored; }  // the position of the next token
  };
  // Rows whose prompts are in one entry of the cache.
  struct Group {
    const KeyValueCache::Entry* prompt;
    at::Tensor places, rows;  // indices among the attending rows of the step, and in the entry
  };
  // The part of a step's state that is reused while the rows are the same.
  struct Batch {
    std::vector<int64_t> ids;
    std::vector<Row*> rows;
    std::vector<RowBypasses> bypasses;            // for each block
    std::vector<std::vector<int64_t>> attending;  // for each block, indices of the rows that attend
    std::vector<std::vector<Group>> groups;       // for each block, if prompts are gathered
    at::Tensor slots;   // (rows), the index of the first token of each row's slot in (slots * capacity)
    at::Tensor shared;  // (rows, 1), the number of tokens before those in the slot
    int64_t longest_shared = 0;
  };

  // Whether attention reads keys and values in place. Otherwise they are copied for libtorch's attention.
  bool in_place() const;
  int64_t used() const;
  void arrange(const std::vector<int64_t>& ids);

  const Model& model_;
  Operations costs_;
  KeyValueStore store_;
  std::map<int64_t, Row> rows_;
  int64_t next_id_ = 0;
  Batch batch_;
};

}  // namespace attention_bypass
