#pragma once

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace attention_bypass {

// Copies between the host's memory and a device's, which base/launches.h counts.

// Copies values to a tensor on a device, of the same number of elements.
void copy_to_device(const std::vector<int64_t>& values, const at::Tensor& target);
// Copies a tensor on the CPU to the device. It does not wait for a GPU, which copies from page-locked memory.
at::Tensor to_device(const at::Tensor& values, at::Device device);
at::Tensor to_device(const std::vector<int64_t>& values, at::Device device);
// Copies a tensor to the CPU, contiguous. Waits until it is computed.
at::Tensor to_host(const at::Tensor& values);

// The stream on which this thread launches computations on a GPU.
c10::Stream current_stream(at::Device device);

// A copy to the CPU that is begun now and waited for later: the device goes on with what is launched
// meanwhile.
class HostCopy {
 public:
  explicit HostCopy(const at::Tensor& values);
  ~HostCopy();
  HostCopy(const HostCopy&) = delete;
  HostCopy& operator=(const HostCopy&) = delete;
  HostCopy(HostCopy&&) = delete;
  HostCopy& operator=(HostCopy&&) = delete;
  // Waits for the copy. Returns it, contiguous.
  const at::Tensor& wait() const;

 private:
  at::Tensor copy_;
  std::optional<c10::Event> copied_;  // only of a copy that is not complete from the start
};

// Waits for the event after which a GPU no longer uses page-locked memory, and frees the memory. If the GPU
// is lost (DEVICE_LOST), the memory stays allocated: freeing it would throw in a destructor and end the
// process.
void free_page_locked(at::Tensor& memory, const c10::Event& finished) noexcept;

}  // namespace attention_bypass
