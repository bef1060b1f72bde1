#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "base/control.h"
#include "forward/forward_pass.h"

namespace attention_bypass {

// A row of tokens with its request's plans, of which the first is used.
struct PlannedRow {
  const TokenRow* tokens;
  const Plans* plans;
};

// Runs the prompts of rows as one batch, each under its own plan, and stores their keys and values as node 0
// of the cache. Returns the residual stream of each row's last token after the last block, (rows, hidden
// size). If all rows have one plan, ForwardPass computes less for long rows: it skips positions that no
// result needs.
at::Tensor read_planned_rows(const Model& model, const std::vector<PlannedRow>& rows, KeyValueCache& cache,
                             Control& control);

}  // namespace attention_bypass
