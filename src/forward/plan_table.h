#pragma once

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/bypass.h"

namespace attention_bypass {

// The plans of a request. The distinct bypasses of each block are numbered, so that code compares numbers
// instead of bypasses.
class PlanTable {
 public:
  // plans: at least one, all of the same length.
  explicit PlanTable(std::vector<BypassPlan> plans);

  const std::vector<BypassPlan>& plans() const { return plans_; }
  int64_t blocks() const { return static_cast<int64_t>(bypasses_.size()); }
  // Returns the number of a plan's bypass in a block, an index into bypasses(block).
  int64_t number(size_t plan, int64_t block) const { return numbers_[plan][static_cast<size_t>(block)]; }
  // Returns the distinct bypasses of a block.
  const std::vector<BlockBypass>& bypasses(int64_t block) const {
    return bypasses_[static_cast<size_t>(block)];
  }

 private:
  std::vector<BypassPlan> plans_;
  std::vector<std::vector<int64_t>> numbers_;       // [plan][block]
  std::vector<std::vector<BlockBypass>> bypasses_;  // [block][number]
};

// A block's bypass with its tensors on the model's device.
struct CompiledBypass {
  BypassMode attention = BypassMode::none;
  at::Tensor heads;           // indices of the bypassed heads; undefined: the whole attention
  at::Tensor attention_mean;  // for mode mean: head outputs, (1, 1, hidden size)
  BypassMode mlp = BypassMode::none;
  at::Tensor mlp_mean;  // for mode mean: the MLP output, (1, 1, hidden size)

  bool attends() const { return attention == BypassMode::none || heads.defined(); }
};

// The compiled bypasses of a table. Their tensors are copied to the device once.
class CompiledPlans {
 public:
  // options: Model::arithmetic().
  CompiledPlans(const PlanTable& table, const at::TensorOptions& options);

  const CompiledBypass& at(int64_t block, int64_t number) const {
    return bypasses_[static_cast<size_t>(block)][static_cast<size_t>(number)];
  }

 private:
  std::vector<std::vector<CompiledBypass>> bypasses_;
};

CompiledBypass compile(const BlockBypass& bypass, const at::TensorOptions& options);

}  // namespace attention_bypass
