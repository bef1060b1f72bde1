#pragma once

#include <ATen/ATen.h>

#include <string>

namespace attention_bypass {

// The processor features and devices that the loaded libtorch can use.
struct Platform {
  std::string cpu_capability;  // the instruction set that the kernels use
  int threads = 0;
  int cuda_devices = 0;
  std::string cuda_refusal;  // why no CUDA device is available; empty if one is
};
Platform platform();

// name: "cpu", "cuda" or "cuda:N". Throws DEVICE_UNAVAILABLE.
at::Device device_of(const std::string& name);

// Whether to compute on this device with libtorch's operators alone. On the CPU the project has its own code
// for what takes longest; ATTENTION_BYPASS_OPERATORS=1 in the environment turns that off, so that what runs
// on a GPU can be tested and counted without one.
bool operators_only(at::Device device);

// The number of free bytes on a CUDA device.
int64_t free_memory(at::Device device);

// Returns whether this message of libtorch says that a CUDA device can't be used any more by this process:
// after some errors, such as a device-side assertion, every later call fails, and its message may name
// another cause.
bool says_device_lost(const std::string& message);

at::ScalarType dtype_of(const std::string& name);

}  // namespace attention_bypass
