#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>

#include "base/control.h"
#include "base/device.h"
#include "forward/key_value_cache.h"
#include "forward/prompt_pass.h"

namespace attention_bypass {

// The forward pass of one long prompt, a piece at a time, so that other rows can be decoded in between.
class LongPrompt {
 public:
  // Prompts with more tokens than this are computed in pieces of this many tokens: enough for fast matrix
  // products, and few enough that rows which are decoded meanwhile wait for less than about half a second.
  static int64_t piece(at::Device device) { return operators_only(device) ? 2048 : 256; }

  // row: must outlive this object. cache: gets the keys and values of the whole prompt, as node 0.
  LongPrompt(const Model& model, const PlannedRow& row, std::shared_ptr<KeyValueCache> cache);

  // Computes the next piece. Returns the residual stream of its last token after the last block, (1, hidden
  // size).
  at::Tensor next(Control& control);
  bool complete() const { return computed_ == std::ssize(*row_.tokens); }
  const std::shared_ptr<KeyValueCache>& cache() const { return cache_; }

 private:
  class Reader;

  const Model& model_;
  PlannedRow row_;
  std::shared_ptr<KeyValueCache> cache_;
  int64_t computed_ = 0;  // the number of tokens whose keys and values are in the cache
};

}  // namespace attention_bypass
