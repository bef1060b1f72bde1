#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model.h"
#include "stored_tensors.h"

namespace attention_bypass {

// Where a model's weights are.
struct WeightSource {
  std::vector<StoredTensor> tensors;
  // A module traced elsewhere, whose own code must agree with the canonical module's; empty if there is none.
  std::string traced;
};

// Throws what reading and checking weights throws, and TRACE_DISAGREES.
std::unique_ptr<Model> load_model(const ModelConfig& config, const WeightSource& source,
                                  const Placement& placement, Control& control);

}  // namespace attention_bypass
