#include "weights/widened_matrices.h"

namespace attention_bypass {

namespace {

const char* const weight_name = "weight";

}  // namespace

WidenedMatrices::WidenedMatrices(const std::vector<torch::jit::Module>& modules) {
  for (const auto& module : modules) {
    for (const auto& part : module.modules()) {
      if (part.hasattr(weight_name) && part.attr(weight_name).toTensor().dim() == 2) owners_.push_back(part);
    }
  }
}

std::vector<at::Tensor> WidenedMatrices::widen() const {
  std::vector<at::Tensor> narrow;
  try {
    for (auto owner : owners_) {
      narrow.push_back(owner.attr(weight_name).toTensor());
      owner.setattr(weight_name, narrow.back().to(at::kFloat));
    }
  } catch (...) {
    // Memory for the copies may be missing.
    restore(narrow);
    throw;
  }
  return narrow;
}

void WidenedMatrices::restore(const std::vector<at::Tensor>& narrow) const {
  for (size_t index = 0; index < narrow.size(); ++index) {
    auto owner = owners_[index];
    owner.setattr(weight_name, narrow[index]);
  }
}

}  // namespace attention_bypass
