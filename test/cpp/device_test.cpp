#include "base/device.h"

#include <gtest/gtest.h>

namespace attention_bypass {
namespace {

// In this order: what is lost stays lost.
TEST(DeviceLost, IsSaidByMessagesOfUnrecoverableErrorsAndByAllThatFollow) {
  EXPECT_FALSE(says_device_lost("CUDA out of memory. Tried to allocate 20.00 GiB"));
  EXPECT_FALSE(says_device_lost("CUBLAS_STATUS_NOT_SUPPORTED when calling cublasLtMatmul"));
  EXPECT_FALSE(
      says_device_lost("expected a tensor with an illegal memory access was encountered in its name"));
  EXPECT_TRUE(says_device_lost(
      "CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later"));
  EXPECT_TRUE(says_device_lost("CUDA error: initialization error"));
  EXPECT_TRUE(says_device_lost("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"));
  EXPECT_FALSE(says_device_lost("mat1 and mat2 shapes cannot be multiplied"));
}

}  // namespace
}  // namespace attention_bypass
