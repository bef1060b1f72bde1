#include "weights/matrix_buffers.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "base/transfer.h"

namespace attention_bypass {

namespace {

bool fits(const at::Tensor& memory, at::IntArrayRef shape, at::ScalarType type) {
  return memory.defined() && memory.sizes() == shape && memory.scalar_type() == type;
}

}  // namespace

MatrixBuffers::MatrixBuffers(const at::TensorOptions& options) : options_(options) {
  const auto device = options.device();
  if (device.is_cpu()) return;
  // A stream of high priority is none of those on which graphs are captured.
  copying_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device, true);
  for (int block = 0; block < 2; ++block) on_device_.push_back({{}, c10::Event(device.type())});
}

MatrixBuffers::~MatrixBuffers() {
  for (auto& buffer : on_host_) {
    if (buffer.copied) free_page_locked(buffer.memory, *buffer.copied);
  }
}

std::vector<at::Tensor> MatrixBuffers::read(const std::vector<StoredTensor>& matrices) {
  const auto type = c10::typeMetaToScalarType(options_.dtype());
  std::vector<at::Tensor> read;
  if (!copying_) {
    for (const auto& stored : matrices) read.push_back(read_to_host(read.size(), stored, type));
    return read;
  }
  current_ = 1 - current_;
  // The memory is that of the block before the last, with which the device may still compute.
  on_device_[current_].used.synchronize();
  for (const auto& stored : matrices) {
    // A GPU converts faster than the CPU, and a smaller stored dtype means fewer bytes to copy.
    read_to_host(read.size(), stored, stored.type);
    read.push_back(copy_to_device(read.size()).to(type));
  }
  return read;
}

const at::Tensor& MatrixBuffers::read_to_host(size_t index, const StoredTensor& stored, at::ScalarType as) {
  if (index == on_host_.size()) on_host_.emplace_back();
  auto& [memory, copied] = on_host_[index];
  if (copying_ && !copied) copied.emplace(options_.device().type());
  if (copied) copied->synchronize();
  if (!fits(memory, stored.shape, as)) {
    memory = at::empty(stored.shape, at::TensorOptions(as).pinned_memory(copying_.has_value()));
  }
  stored.read_into(memory);
  return memory;
}

at::Tensor MatrixBuffers::copy_to_device(size_t index) {
  auto& [memory, copied] = on_host_[index];
  auto& [matrices, used] = on_device_[current_];
  if (index == matrices.size()) matrices.emplace_back();
  auto& matrix = matrices[index];
  if (!fits(matrix, memory.sizes(), memory.scalar_type())) {
    matrix = at::empty(memory.sizes(), options_.dtype(memory.scalar_type()));
    // A computation that was launched before may still use this memory. The copy must wait for it.
    used.record(current_stream(options_.device()));
    used.block(*copying_);
  }
  {
    const c10::StreamGuard guard(*copying_);
    matrix.copy_(memory, /*non_blocking=*/true);
  }
  copied->record(*copying_);
  copied->block(current_stream(options_.device()));
  return matrix;
}

void MatrixBuffers::release() noexcept {
  if (!copying_) return;
  try {
    on_device_[current_].used.record(current_stream(options_.device()));
  } catch (const c10::Error&) {
    // The device is lost, which the next call on it reports.
    return;
  }
}

}  // namespace attention_bypass
