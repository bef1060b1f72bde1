#pragma once

#include <ATen/ATen.h>

#include <string>

namespace attention_bypass {

// What this libtorch can compute on here.
struct Platform {
  std::string cpu_capability;  // the instruction set that the kernels take
  int threads = 0;
  int cuda_devices = 0;
  std::string cuda_refusal;  // why there are none, or empty
};
Platform platform();

// "cpu" or "cuda:N". Throws DEVICE_UNAVAILABLE.
at::Device device_of(const std::string& name);

// Bytes that are free on a CUDA device.
int64_t free_memory(at::Device device);

at::ScalarType dtype_of(const std::string& name);

}  // namespace attention_bypass
