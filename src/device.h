#pragma once

#include <ATen/ATen.h>

#include <string>

namespace attention_bypass {

// What this libtorch can compute on here.
struct Platform {
  std::string cpu_capability;  // the instruction set that the kernels take
  int threads = 0;
  bool cuda = false;  // built with CUDA, and a device is there
  int cuda_devices = 0;
};
Platform platform();

// "cpu" or "cuda:N". Throws DEVICE_UNAVAILABLE.
at::Device device_of(const std::string& name);

// Bytes that are free on a CUDA device.
int64_t free_memory(at::Device device);

at::ScalarType dtype_of(const std::string& name);

}  // namespace attention_bypass
