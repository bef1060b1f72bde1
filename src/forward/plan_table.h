#pragma once

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/bypass.h"

namespace attention_bypass {

// The plans of a request. The different bypasses of each block are numbered, so that work on plans compares
// numbers and not their contents.
class PlanTable {
 public:
  // Plans are of equal length, at least one.
  explicit PlanTable(std::vector<BypassPlan> plans);

  const std::vector<BypassPlan>& plans() const { return plans_; }
  int64_t blocks() const { return static_cast<int64_t>(bypasses_.size()); }
  // The number of a plan's bypass among those of a block.
  int64_t number(size_t plan, int64_t block) const { return numbers_[plan][static_cast<size_t>(block)]; }
  // The different bypasses of a block.
  const std::vector<BlockBypass>& bypasses(int64_t block) const {
    return bypasses_[static_cast<size_t>(block)];
  }

 private:
  std::vector<BypassPlan> plans_;
  std::vector<std::vector<int64_t>> numbers_;       // of each plan, for each block
  std::vector<std::vector<BlockBypass>> bypasses_;  // of each block
};

// A block's bypass as the device computes it.
struct CompiledBypass {
  BypassMode attention = BypassMode::none;
  at::Tensor heads;           // the numbers of the bypassed heads; undefined: the attention as a whole
  at::Tensor attention_mean;  // of mode mean: head outputs, (1, 1, hidden size) in the model's dtype
  BypassMode mlp = BypassMode::none;
  at::Tensor mlp_mean;  // of mode mean: the MLP's output, (1, 1, hidden size) in the model's dtype

  bool attends() const { return attention == BypassMode::none || heads.defined(); }
};

// The bypasses of a table with their tensors, which are copied to the device once.
class CompiledPlans {
 public:
  // options: the device and dtype of the model.
  CompiledPlans(const PlanTable& table, const at::TensorOptions& options);

  const CompiledBypass& at(int64_t block, int64_t number) const {
    return bypasses_[static_cast<size_t>(block)][static_cast<size_t>(number)];
  }

 private:
  std::vector<std::vector<CompiledBypass>> bypasses_;
};

CompiledBypass compile(const BlockBypass& bypass, const at::TensorOptions& options);

}  // namespace attention_bypass
