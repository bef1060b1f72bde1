#include "base/transfer.h"

#include <ATen/record_function.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "base/launches.h"

namespace attention_bypass {

namespace {

// Copies are counted as such, not as operators.
using NotOperators = at::DisableRecordFunctionGuard;

at::Tensor for_upload(const at::Tensor& values, at::Device device) {
  count_upload(values);
  return device.is_cpu() ? values : values.pin_memory();
}

}  // namespace

void copy_to_device(const std::vector<int64_t>& values, const at::Tensor& target) {
  const NotOperators guard;
  const auto source = for_upload(at::tensor(values, at::kLong), target.device());
  target.copy_(source.view(target.sizes()), /*non_blocking=*/true);
}

at::Tensor to_device(const at::Tensor& values, at::Device device) {
  const NotOperators guard;
  return for_upload(values, device).to(device, values.scalar_type(), /*non_blocking=*/true);
}

at::Tensor to_device(const std::vector<int64_t>& values, at::Device device) {
  const NotOperators guard;
  return to_device(at::tensor(values, at::kLong), device);
}

at::Tensor to_host(const at::Tensor& values) {
  const NotOperators guard;
  count_readback(values);
  return values.to(at::kCPU).contiguous();
}

c10::Stream current_stream(at::Device device) {
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

HostCopy::HostCopy(const at::Tensor& values) {
  const NotOperators guard;
  count_readback(values);
  const auto device = values.device();
  if (device.is_cpu()) {
    copy_ = values.clone(at::MemoryFormat::Contiguous);
    return;
  }
  // The device copies only to page-locked memory without the host waiting.
  copy_ = at::empty(values.sizes(), values.options().device(at::kCPU).pinned_memory(true));
  copy_.copy_(values, /*non_blocking=*/true);
  copied_.emplace(device.type());
  copied_->record(current_stream(device));
}

HostCopy::~HostCopy() {
  if (copied_) free_page_locked(copy_, *copied_);
}

void free_page_locked(at::Tensor& memory, const c10::Event& finished) noexcept {
  try {
    finished.synchronize();
    memory.reset();
  } catch (const c10::Error&) {
    memory.unsafeReleaseTensorImpl();
  }
}

const at::Tensor& HostCopy::wait() const {
  if (copied_) copied_->synchronize();
  return copy_;
}

}  // namespace attention_bypass
