#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "control.h"
#include "model.h"
#include "operations.h"
#include "plan_tree.h"
#include "prompt_cache.h"

namespace attention_bypass {

// One row under one plan that greedy decoding goes on for.
struct Lane {
  int64_t stem, row;
  int64_t position;  // of the last token that is known; those before it are in the prompt cache
  int64_t end;       // the length of the row's sequence
  int64_t* decoded;  // of the tokens from `first` on: up to `position` they are known
  int64_t first;
  const TokenRow* sequence;
};

// Greedy decoding of rows under many plans as one batch, each lane with its own bypass and its own length.
// What a lane has beyond the prompt that it shares lies in memory of its own, which never moves: lanes that
// end just leave the batch.
class LaneDecoder {
 public:
  LaneDecoder(const Model& model, const PlanTree& tree, const PromptCache& cache, std::vector<Lane> lanes);

  void run(Control& control);

  static double operations(const Model& model, const std::vector<Lane>& lanes);
  // What a lane's own keys and values take for each token that is decoded.
  static int64_t token_bytes(const Model& model);

 private:
  struct Own {
    at::Tensor keys, values;  // (tokens, heads, head size), lane after lane
  };

  void step(Control& control);
  // The contribution of attention to these lanes, (lanes, 1, hidden size).
  at::Tensor attend(const Model::BlockAtWork& block, int64_t index, const std::vector<size_t>& lanes,
                    const at::Tensor& normed, const at::Tensor& rotation);
  at::Tensor mix_in_place(int64_t index, const std::vector<size_t>& lanes, const at::Tensor& queries,
                          int64_t window) const;
  at::Tensor mix_gathered(const Model::BlockAtWork& block, int64_t index, const std::vector<size_t>& lanes,
                          const at::Tensor& queries) const;
  [[noreturn]] void refuse(const Lane& lane, Control& control) const;
  at::Tensor indices(const std::vector<size_t>& places) const;
  const BlockBypass& bypass_of(size_t lane, int64_t block) const;

  struct Working : Lane {
    int64_t own_begin;                                     // its first token among the own ones
    int64_t prompt;                                        // tokens of its prompt
    int64_t own() const { return position - prompt + 1; }  // with the one at work
  };

  const Model& model_;
  const PlanTree& tree_;
  const PromptCache& cache_;
  Operations costs_;
  std::vector<Working> lanes_;
  std::vector<Own> own_;  // of each block
};

}  // namespace attention_bypass
