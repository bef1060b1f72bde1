#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "base/control.h"
#include "forward/forward_pass.h"

namespace attention_bypass {

// A row that is read under the first plan of a request.
struct PlannedRow {
  const TokenRow* tokens;
  const Plans* plans;
};

// Reads rows as one batch, each under its own plan, and stores their keys and values as node 0 of the cache.
// Returns the residual stream of each row's last token after the last block, (rows, hidden size). A forward
// pass of one plan computes less for long rows, since it leaves out what only other tokens need.
at::Tensor read_planned_rows(const Model& model, const std::vector<PlannedRow>& rows, KeyValueCache& cache,
                             Control& control);

}  // namespace attention_bypass
