#pragma once

#include <functional>
#include <utility>

#include "forward/block_step.h"
#include "forward/visibility.h"

namespace attention_bypass {

// Attention of rows on their own tokens.
class RowReader final : public KeyValueReader {
 public:
  using Store = std::function<void(const Projections&)>;

  // store: called with the queries, keys and values of each step, if it is given.
  explicit RowReader(Visibility& visibility, Store store = {})
      : visibility_(visibility), store_(std::move(store)) {}

  at::Tensor mix(const Block& block, Projections own) override {
    if (store_) store_(own);
    return block.mix(own, visibility_.within(block.window()));
  }

 private:
  Visibility& visibility_;
  Store store_;
};

}  // namespace attention_bypass
