#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "decode/decoding_row.h"
#include "decode/key_value_store.h"
#include "decode/shared_prompts.h"

namespace attention_bypass {

// The rows of a batch on a device, as libtorch's operators compute them. What changes from step to step is
// computed on the device, so that a step needs only its tokens from the host, and keys and values are read in
// place: the rows of the batch are the first slots of the store. A slot between them whose row is not decoded
// is computed too; its results are not used.
class DeviceRows final : public DecodingReader {
 public:
  // rows: of the slots from 0 on; nullptr: not decoded. waiting: for each of these, the number of tokens in
  // its slot.
  DeviceRows(const Model& model, KeyValueStore& store, const std::vector<DecodingRow*>& rows,
             const std::vector<int64_t>& waiting);

  // The positions of the tokens of this step, (rows, 1).
  at::Tensor positions() const { return state_.select(0, 0).unsqueeze(1); }
  // Makes the tokens of this step visible to themselves. longest: the most tokens in a slot, with this one.
  void begin(int64_t longest);
  at::Tensor mix(const Block& block, Projections own) override;
  // After the last block.
  void advance();

 private:
  // What is added to the products of queries with the keys of their slots, (rows, 1, 1, longest).
  const at::Tensor& mask(int64_t window);

  const Model& model_;
  KeyValueStore& store_;
  at::Tensor state_;     // (2, rows): the position of the next token, and its index in (slots * capacity)
  at::Tensor step_;      // (rows), what a step adds to the state: 1, or 0 for rows that are not decoded
  at::Tensor hidden_;    // (rows, capacity), see mask(); for blocks without a window
  at::Tensor in_slots_;  // (rows), the index of the first token of each slot
  int64_t longest_ = 0;
  std::map<int64_t, at::Tensor> masks_;  // of this step, for each window
  SharedPrompts prompts_;
};

}  // namespace attention_bypass
