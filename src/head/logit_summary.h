#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "base/control.h"
#include "model/model.h"

namespace attention_bypass {

// Values computed from the logits at n positions, (n) each, on the CPU.
struct LogitSummary {
  std::vector<int64_t> best;          // the token with the greatest logit; the lowest id of equal ones
  std::vector<float> log_likelihood;  // log p(target); empty without targets
  std::vector<float> entropy;         // of p; empty without targets
  std::vector<float> margin;  // the target's logit minus the greatest of the others; empty without targets
  std::vector<float> doubt;   // 0 if all logits are finite, else NaN; only without targets
};

// Returns whether summarize_logits supports the model's device.
bool can_summarize_logits(const Model& model);

// Summarizes the logits at positions from their residual stream (n, hidden size). targets: (n) or empty.
// Logits are computed in tiles that are reduced while they are in the processor's cache, so they are never
// written to memory. Sums are float32 for every dtype of the model. normed: `hidden` is what the final norm
// returned.
LogitSummary summarize_logits(const Model& model, const at::Tensor& hidden,
                              const std::vector<int64_t>& targets, Control& control, bool normed = false);

}  // namespace attention_bypass
