#include "offloaded_matrices.h"

#include <sys/mman.h>
#include <unistd.h>

namespace attention_bypass {

namespace {

const char* const attribute = "weight";

}  // namespace

void release_pages(const at::Tensor& mapped) {
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  // Not the neighbours' pages, which may be at work.
  const auto first = reinterpret_cast<uintptr_t>(mapped.const_data_ptr());
  const uintptr_t begin = (first + page - 1) / page * page;
  const uintptr_t end = (first + mapped.nbytes()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
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
