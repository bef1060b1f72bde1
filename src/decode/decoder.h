#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "base/control.h"
#include "base/operations.h"
#include "decode/decoding_row.h"
#include "decode/device_rows.h"
#include "decode/key_value_store.h"
#include "decode/step_graph.h"
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

  // Whether a step computes all slots up to the last of its rows, so that rows which end first should be
  // added last.
  static bool computes_slots(const Model& model);

  // Allocates memory for exactly these rows. Without this call, memory grows as rows are added.
  void reserve(int64_t rows, int64_t tokens);
  // Adds a row. Returns its id. Throws what allocating memory throws.
  int64_t add(const Start& start);
  void remove(int64_t id);

  // Computes one token of each of these rows. Returns the residual streams after the last block, (rows,
  // hidden size), which the next step may overwrite. Other rows are unchanged. After an exception, these rows
  // must only be removed.
  at::Tensor step(const std::vector<int64_t>& ids, const std::vector<int64_t>& tokens, Control& control);
  // Does this on a device with tokens (rows) in its memory. If the rows are in the order of their slots, the
  // tokens are not copied; a step whose tokens are in other memory than those of the step before then cannot
  // replay a captured graph. After an exception, the rows are as before.
  at::Tensor step(const std::vector<int64_t>& ids, const at::Tensor& tokens, Control& control);
  // Undoes the last step of these rows. Its results must not be used. Ids of removed rows are ignored.
  void undo(const std::vector<int64_t>& ids);

  int64_t rows() const { return std::ssize(rows_); }

  // Returns the maximum number of floating-point operations for a token of a sequence of this length.
  static double operations(const Model& model, int64_t length);
  // Returns the memory of a decoded token in bytes.
  static int64_t token_bytes(const Model& model);

 private:
  // The part of a step's state that is reused while the rows are the same.
  struct Batch {
    std::vector<int64_t> ids;
    // The rows that are computed: on the CPU those of `ids`, on a device those of all slots up to the last,
    // nullptr for one that is not decoded.
    std::vector<DecodingRow*> rows;
    std::vector<RowBypasses> bypasses;            // for each block
    std::vector<std::vector<int64_t>> attending;  // for each block, indices of the rows that attend
    // On a device:
    std::vector<size_t> places;  // of the ids among the rows
    at::Tensor order;            // the same; undefined: the rows are those of `ids`
    at::Tensor tokens;           // (rows, 1), which steps read
    std::unique_ptr<DeviceRows> on_device;
    int64_t longest = 0;  // the number of tokens in a slot that attention reads
  };

  // Whether attention reads keys and values in place with the project's own code for the CPU.
  bool on_host() const { return !computes_slots(model_); }
  int64_t used() const;
  // Copies the keys and values of a row's prompt to its slot.
  void copy_prompt(const DecodingRow& row);
  void arrange(const std::vector<int64_t>& ids);
  void arrange_slots();
  void compile_bypasses();
  at::Tensor step_on_host(const std::vector<int64_t>& tokens, Control& control);
  void set_tokens(const std::vector<int64_t>& tokens);
  void set_tokens(const at::Tensor& tokens);
  // Computes the tokens that were set.
  at::Tensor step_on_device(Control& control);
  void advance_rows(Control& control);
  at::Tensor through_blocks(at::Tensor stream, const Positions& positions, DecodingReader& reader,
                            const std::function<void()>& before_block);
  double operations_of_step() const;

  const Model& model_;
  Operations costs_;
  KeyValueStore store_;
  std::map<int64_t, DecodingRow> rows_;
  int64_t next_id_ = 0;
  Batch batch_;
  StepGraph graph_;
};

}  // namespace attention_bypass
