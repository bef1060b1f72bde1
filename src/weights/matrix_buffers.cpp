#include "weights/matrix_buffers.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace attention_bypass {

namespace {

// Returns the tensor at an index if it has this shape and dtype, or a new one there.
at::Tensor reused(std::vector<at::Tensor>& tensors, size_t index, at::IntArrayRef shape,
                  const at::TensorOptions& options) {
  if (index >= tensors.size()) tensors.resize(index + 1);
  auto& tensor = tensors[index];
  if (!tensor.defined() || tensor.sizes() != shape || tensor.dtype() != options.dtype()) {
    tensor = at::empty(shape, options);
  }
  return tensor;
}

}  // namespace

MatrixBuffers::MatrixBuffers(const at::TensorOptions& options)
    : options_(options), parts_(options.device().is_cpu() ? 1 : 2) {
  const auto device = options.device();
  if (device.is_cpu()) return;
  // Of high priority, so that it is none of the streams on which graphs are captured.
  copies_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, true);
  for (auto& part : parts_) {
    part.copied.emplace(device.type());
    part.used.emplace(device.type());
  }
}

std::vector<at::Tensor> MatrixBuffers::read(const std::vector<StoredTensor>& matrices) {
  current_ = (current_ + 1) % parts_.size();
  auto& part = parts_[current_];
  const auto type = c10::typeMetaToScalarType(options_.dtype());
  std::vector<at::Tensor> read;
  if (!copies_) {
    for (const auto& stored : matrices) read.push_back(read_to_host(part, read.size(), stored, type));
    return read;
  }
  // The memory is that of the block before the last, which may still be computed with.
  part.copied->synchronize();
  part.used->synchronize();
  for (const auto& stored : matrices) {
    // A GPU converts faster than the CPU, and a smaller stored dtype means fewer bytes to copy.
    read_to_host(part, read.size(), stored, stored.type);
    read.push_back(copy_to_device(part, read.size()).to(type));
  }
  return read;
}

at::Tensor MatrixBuffers::read_to_host(Part& part, size_t index, const StoredTensor& stored,
                                       at::ScalarType as) const {
  auto matrix =
      reused(part.on_host, index, stored.shape, at::TensorOptions(as).pinned_memory(copies_.has_value()));
  stored.read_into(matrix);
  return matrix;
}

at::Tensor MatrixBuffers::copy_to_device(Part& part, size_t index) {
  const auto& from = part.on_host[index];
  auto matrix = reused(part.on_device, index, from.sizes(), options_.dtype(from.dtype()));
  {
    const c10::StreamGuard guard(*copies_);
    matrix.copy_(from, /*non_blocking=*/true);
  }
  part.copied->record(*copies_);
  part.copied->block(c10::impl::VirtualGuardImpl(options_.device().type()).getStream(options_.device()));
  return matrix;
}

void MatrixBuffers::release() {
  auto& used = parts_[current_].used;
  if (used) used->record(c10::impl::VirtualGuardImpl(options_.device().type()).getStream(options_.device()));
}

}  // namespace attention_bypass
