#include "device.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/cuda.h>

#include "error.h"

namespace attention_bypass {

Platform platform() {
  Platform result;
  result.cpu_capability = at::get_cpu_capability();
  result.threads = at::get_num_threads();
  result.cuda = torch::cuda::is_available();
  result.cuda_devices = result.cuda ? static_cast<int>(torch::cuda::device_count()) : 0;
  return result;
}

at::Device device_of(const std::string& name) {
  const at::Device device(name);
  if (!device.is_cuda()) return device;
  const auto here = platform();
  if (!here.cuda) {
    throw Error("DEVICE_UNAVAILABLE", "expected a CUDA device for device \"" + name +
                                          "\" but this libtorch " +
                                          (at::hasCUDA() ? "finds none" : "is built without CUDA"));
  }
  const int index = device.has_index() ? device.index() : 0;
  if (index >= here.cuda_devices) {
    throw Error("DEVICE_UNAVAILABLE", "expected device \"" + name + "\" to be one of " +
                                          std::to_string(here.cuda_devices) +
                                          " CUDA devices, numbered from 0");
  }
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

int64_t free_memory(at::Device device) {
  return static_cast<int64_t>(at::accelerator::getMemoryInfo(device.index()).first);
}

at::ScalarType dtype_of(const std::string& name) {
  if (name == "float16") return at::kHalf;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float64") return at::kDouble;
  return at::kFloat;
}

}  // namespace attention_bypass
