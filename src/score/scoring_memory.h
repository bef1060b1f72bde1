#pragma once

#include "forward/plan_tree.h"
#include "score/scoring.h"

namespace attention_bypass {

// Estimates the maximum memory that rows of a request need.
class ScoringMemory {
 public:
  explicit ScoringMemory(const ScoringRequest& request);

  // Returns how many rows fit into the request's memory under these plans. May be 0.
  int64_t rows(const Model& model, const PlanTree& tree) const;

 private:
  int64_t fixed(const Model& model) const;
  int64_t row_bytes(const Model& model, const PlanTree& tree) const;
  int64_t effects_bytes(const Model& model, const PlanTree& tree) const;

  const ScoringRequest& request_;
  int64_t length_ = 0, scored_ = 0;  // the most of a row
};

}  // namespace attention_bypass
