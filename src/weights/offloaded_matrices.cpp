#include "weights/offloaded_matrices.h"

#include <utility>

namespace attention_bypass {

namespace {

const char* const attribute = "weight";

}  // namespace

OffloadedMatrices::OffloadedMatrices(const std::vector<torch::jit::Module>& modules,
                                     const OffloadedWeights& offloaded, const at::TensorOptions& options,
                                     std::shared_ptr<MatrixBuffers> buffers)
    : options_(options), buffers_(std::move(buffers)) {
  for (const auto& module : modules) {
    for (const auto& part : module.modules()) {
      const auto found = offloaded.find(part._ivalue().get());
      if (found != offloaded.end()) matrices_.push_back({part, found->second});
    }
  }
}

void OffloadedMatrices::load() const {
  const auto as = c10::typeMetaToScalarType(options_.dtype());
  const bool on_cpu = options_.device().is_cpu();
  for (size_t index = 0; index < matrices_.size(); ++index) {
    auto [owner, stored] = matrices_[index];
    // A GPU converts faster than the CPU, and a smaller stored dtype means fewer bytes to copy.
    const auto read_as = on_cpu ? as : stored.type;
    if (index == buffers_->size()) buffers_->emplace_back();
    auto& buffer = (*buffers_)[index];
    if (!buffer.defined() || buffer.sizes() != at::IntArrayRef(stored.shape) ||
        buffer.scalar_type() != read_as) {
      buffer = at::empty(stored.shape, read_as);
    }
    stored.read_into(buffer);
    owner.setattr(attribute, buffer.to(options_));
  }
}

void OffloadedMatrices::release() const {
  for (auto matrix : matrices_) matrix.owner.setattr(attribute, at::empty({0, 0}, options_));
}

}  // namespace attention_bypass
