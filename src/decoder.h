#pragma once

#include <memory>
#include <random>
#include <vector>

#include "model.h"
#include "sampling.h"

namespace attention_bypass {

// Generation from a batch of prompts, a token for each row at a time. After a step that threw, a decoder is
// of no more use.
class Decoder {
 public:
  struct Options {
    BypassPlan plan;
    int64_t max_new_tokens = 0;  // memory for the cache is set aside for these
    Sampling sampling;
    std::vector<uint64_t> seeds;  // one for each row, so that a row's draws do not depend on its neighbours
  };
  struct Step {
    std::vector<int64_t> tokens;
    std::vector<float> log_probabilities;  // of these tokens under the model itself, at temperature 1
  };

  Decoder(std::shared_ptr<const Model> model, std::vector<TokenRow> prompts, Options options);

  Step next(Control& control);

  // The rows that go on; the others are done.
  void keep_rows(const std::vector<int64_t>& rows);

 private:
  at::Tensor next_hidden(Control& control);
  void require_finite(const at::Tensor& logits, Control& control) const;

  std::shared_ptr<const Model> model_;
  std::vector<TokenRow> rows_;  // the prompts and what has been generated after them
  bool begun_ = false;          // whether the prompts have been read
  Options options_;
  KeyValueCache cache_;
  std::vector<int64_t> positions_;  // of each row's last token
  std::vector<std::mt19937_64> random_;
};

}  // namespace attention_bypass
