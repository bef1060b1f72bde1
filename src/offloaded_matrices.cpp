#include "offloaded_matrices.h"

#include <sys/mman.h>
#include <unistd.h>

#include <memory>

namespace attention_bypass {

namespace {

const char* const attribute = "weight";

}  // namespace

void release_pages(const at::Tensor& mapped) {
  static const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  // Whole pages alone, since the neighbours' may be at work.
  void* begin = mapped.data_ptr();
  size_t space = mapped.nbytes();
  if (std::align(page, page, begin, space) != nullptr) madvise(begin, space / page * page, MADV_DONTNEED);
}

OffloadedMatrices::OffloadedMatrices(const std::vector<torch::jit::Module>& modules,
                                     const at::TensorOptions& options)
    : options_(options) {
  for (const auto& module : modules) {
    for (const auto& part : module.modules()) {
      if (!part.hasattr(attribute)) continue;
      const auto stored = part.attr(attribute).toTensor();
      if (stored.dim() == 2) matrices_.push_back({part, stored});
    }
  }
}

void OffloadedMatrices::bring() const {
  for (auto matrix : matrices_) matrix.owner.setattr(attribute, matrix.stored.to(options_));
}

void OffloadedMatrices::release() const {
  for (auto matrix : matrices_) {
    matrix.owner.setattr(attribute, matrix.stored);
    release_pages(matrix.stored);
  }
}

}  // namespace attention_bypass
