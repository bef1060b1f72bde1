#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "base/control.h"
#include "model/model.h"

namespace attention_bypass {

// What is kept of the logits at n positions, (n) each, on the CPU.
struct LogitSummary {
  std::vector<int64_t> best;  // the token of the greatest logit, the lowest id where several are as great
  std::vector<float> log_likelihood;  // log p(target); empty without targets
  std::vector<float> entropy;         // of p; empty without targets
  std::vector<float> margin;  // the target's logit less the greatest of the others; empty without targets
  std::vector<float> doubt;   // 0 if all logits are finite, else NaN; empty with targets, whose sums show it
};

// Whether summarize_logits works on this model's device.
bool can_summarize_logits(const Model& model);

// Summarizes the logits at positions from their residual stream (n, hidden size). targets (n) may be empty.
// The output embedding meets the positions in tiles that stay in the processor's cache, each reduced at once,
// so that logits are never written to memory. Sums are in float32 whatever the model's dtype.
LogitSummary summarize_logits(const Model& model, const at::Tensor& hidden,
                              const std::vector<int64_t>& targets, Control& control);

}  // namespace attention_bypass
