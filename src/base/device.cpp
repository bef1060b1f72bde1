#include "base/device.h"

#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/cuda.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace attention_bypass {

namespace {

// Initializes CUDA to get the reason why it is unavailable: no driver, an old driver or no device.
std::string cuda_refusal() {
  // hasCUDA() also needs a device; hasCUDART() is true in every build with CUDA.
  if (!at::Context::hasCUDART()) return "this libtorch is built without CUDA";
  try {
    at::globalContext().lazyInitDevice(at::kCUDA);
  } catch (const c10::Error& error) {
    return error.what_without_backtrace();
  }
  return "libtorch finds no CUDA device";
}

}  // namespace

Platform platform() {
  Platform result;
  result.cpu_capability = at::get_cpu_capability();
  result.threads = at::get_num_threads();
  result.cuda_devices = static_cast<uint8_t>(torch::cuda::device_count());
  if (result.cuda_devices == 0) result.cuda_refusal = cuda_refusal();
  return result;
}

at::Device device_of(const std::string& name) {
  const at::Device device(name);
  if (!device.is_cuda()) return device;
  const auto here = platform();
  if (here.cuda_devices == 0) {
    throw Error("DEVICE_UNAVAILABLE",
                "expected a CUDA device for device \"" + name + "\" but " + here.cuda_refusal);
  }
  const int index = device.has_index() ? device.index() : 0;
  if (index >= here.cuda_devices) {
    throw Error("DEVICE_UNAVAILABLE",
                "expected a CUDA device from \"cuda:0\" to \"cuda:" + std::to_string(here.cuda_devices - 1) +
                    "\" but received \"" + name + "\"");
  }
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

bool operators_only(at::Device device) {
  static const bool on_cpu_too = [] {
    const char* chosen = std::getenv("ATTENTION_BYPASS_OPERATORS");  // NOLINT(concurrency-mt-unsafe)
    return chosen != nullptr && std::string_view(chosen) == "1";
  }();
  return !device.is_cpu() || on_cpu_too;
}

int64_t free_memory(at::Device device) {
  return static_cast<int64_t>(at::accelerator::getMemoryInfo(device.index()).first);
}

bool says_device_lost(const std::string& message) {
  // The texts of cudaGetErrorString for errors that CUDA's documentation calls unrecoverable.
  static constexpr std::array<std::string_view, 12> unrecoverable = {
      "device-side assert triggered",
      "an illegal memory access was encountered",
      "an illegal instruction was encountered",
      "misaligned address",
      "operation not supported on global/shared address space",
      "invalid program counter",
      "unspecified launch failure",
      "the launch timed out and was terminated",
      "hardware stack error",
      "uncorrectable ECC error encountered",
      "uncorrectable NVLink error",
      "Invalid access of peer GPU memory over nvlink"};
  static constexpr std::array<std::string_view, 3> of_cuda = {"CUDA", "CUBLAS_STATUS", "CUDNN_STATUS"};
  static std::atomic<bool> lost = false;
  const auto has = [&message](std::string_view text) { return message.find(text) != std::string::npos; };
  if (!std::any_of(of_cuda.begin(), of_cuda.end(), has)) return false;
  if (std::any_of(unrecoverable.begin(), unrecoverable.end(), has)) lost = true;
  return lost;
}

at::ScalarType dtype_of(const std::string& name) {
  if (name == "float16") return at::kHalf;
  if (name == "bfloat16") return at::kBFloat16;
  if (name == "float64") return at::kDouble;
  return at::kFloat;
}

}  // namespace attention_bypass
