#pragma once

#include <ATen/ATen.h>

#include <cstdint>

namespace attention_bypass {

// What computations asked of their device. The same on the CPU with ATTENTION_BYPASS_OPERATORS=1 as on a GPU,
// but for operators that libtorch composes of others on one of them only.
struct Launches {
  int64_t operators = 0;  // that compute: no views, no allocations, and none that only call others
  int64_t uploads = 0;    // copies from the host's memory to the device's
  int64_t uploaded_bytes = 0;
  int64_t readbacks = 0;        // copies from the device's memory to the host's, each of which is waited for
  int64_t key_value_bytes = 0;  // of keys and values that decoding wrote or copied
  int64_t decoded_rows = 0;     // the sum of the rows of all decoding steps
};

// Starts or stops counting in this process, from 0.
void count_launches(bool on);
// Returns the counts since counting started.
Launches launches();

void count_upload(const at::Tensor& values);
void count_readback(const at::Tensor& values);
void count_key_values(const at::Tensor& written);
void count_decoding_step(int64_t rows);

}  // namespace attention_bypass
