#pragma once

#include <ATen/ATen.h>

#include <cstdint>
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

}  // namespace attention_bypass
