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

// A running batch of rows that are decoded token by token, each with its own plan and length. Rows join and
// leave between steps. Rows of one forward pass share the keys and values of their prompts; what a row
// decodes is stored in its own slot.
class Decoder {
 public:
  struct Start {
    std::shared_ptr<const Plans> plans;            // of the forward pass that has read the prompt
    std::shared_ptr<const KeyValueCache> prompts;  // what that pass has stored
    int64_t row;                                   // among the rows of the forward pass
    int64_t node;                                  // of the plan tree, after the last block
    int64_t length;  // how many tokens of that row are read before the first token that is fed
    int64_t tokens;  // how many are fed at most
    bool shared;     // whether other rows read the same prompt, which is then not worth a copy
  };

  explicit Decoder(const Model& model);

  // Makes room for rows in advance, exactly; otherwise room grows as rows join.
  void reserve(int64_t rows, int64_t tokens);
  // Returns the row's number. Throws what allocating memory throws.
  int64_t add(const Start& start);
  void remove(int64_t id);

  // Feeds a token to each of these rows. Returns their residual streams after the last block, (rows, hidden
  // size). Rows that are not named wait. After an exception, these rows are of no more use.
  at::Tensor step(const std::vector<int64_t>& ids, const std::vector<int64_t>& tokens, Control& control);

  int64_t rows() const { return std::ssize(rows_); }

  // What decoding a token takes at most, of a sequence of this length.
  static double operations(const Model& model, int64_t length);
  // The memory of a decoded token, in bytes.
  static int64_t token_bytes(const Model& model);

 private:
  class Reader;
  struct Row {
    Start start;
    int64_t slot;
    int64_t shared;  // tokens before those in the slot
    int64_t stored;  // tokens in the slot

    int64_t position() const { return shared + stored; }  // of the next token
  };
  // Rows with prompts of one node.
  struct Group {
    const KeyValueCache::Entry* prompt;
    at::Tensor places, rows;  // among the attending rows of the step, and in the prompt
  };
  // What a step needs that stays the same as long as the same rows take part.
  struct Batch {
    std::vector<int64_t> ids;
    std::vector<Row*> rows;
    std::vector<RowBypasses> bypasses;            // of each block
    std::vector<std::vector<int64_t>> attending;  // of each block, the places of the rows that attend
    std::vector<std::vector<Group>> groups;       // of each block, if prompts are gathered
    at::Tensor slots;                             // the first token of each row's slot, flattened
    at::Tensor shared;                            // tokens before those in the slot, (rows, 1)
    int64_t longest_shared = 0;
  };

  // Whether attention reads keys and values where they are; otherwise libtorch's attention reads copies.
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
