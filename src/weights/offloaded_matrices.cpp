#include "weights/offloaded_matrices.h"

#include <utility>

namespace attention_bypass {

namespace {

const char* const attribute = "weight";

}  // namespace

OffloadedMatrices::OffloadedMatrices(const std::vector<torch::jit::Module>& modules,
                                     const OffloadedWeights& offloaded,
                                     std::shared_ptr<MatrixBuffers> buffers)
    : buffers_(std::move(buffers)) {
  for (const auto& module : modules) {
    for (const auto& part : module.modules()) {
      const auto found = offloaded.find(part._ivalue().get());
      if (found == offloaded.end()) continue;
      owners_.push_back(part);
      stored_.push_back(found->second);
    }
  }
}

void OffloadedMatrices::load() const {
  if (!buffers_) return;
  const auto read = buffers_->read(stored_);
  for (size_t index = 0; index < read.size(); ++index) {
    auto owner = owners_[index];
    owner.setattr(attribute, read[index]);
  }
}

void OffloadedMatrices::release() const {
  if (!buffers_) return;
  for (auto owner : owners_) {
    owner.setattr(attribute, at::empty({0, 0}, owner.attr(attribute).toTensor().options()));
  }
  buffers_->release();
}

}  // namespace attention_bypass
