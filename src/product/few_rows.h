#pragma once

#include <cstdint>

namespace attention_bypass {

// The product of a few rows with a weight matrix, which takes as long as reading the weights. The weights are
// widened to float32, exactly, and the arithmetic is float32. All memory is contiguous.
struct FewRows {
  enum class Type : uint8_t { float32, bfloat16, float16 };
  struct BFloat16 {
    uint16_t bits;
  };
  struct Float16 {
    uint16_t bits;
  };

  const float* input;  // (rows, inputs)
  const void* weight;  // (outputs, inputs) in `type`
  Type type;
  const float* bias;  // (outputs), or null
  float* result;      // (rows, outputs)
  int64_t rows, inputs, outputs;
};

// Computes the outputs begin to end of all rows.
using FewRowsKernel = void (*)(const FewRows& product, int64_t begin, int64_t end);

#if defined(__x86_64__)
// For processors with AVX2, FMA and F16C.
void few_rows_avx2(const FewRows& product, int64_t begin, int64_t end);
// For processors with AVX-512 F, BW and VL.
void few_rows_avx512(const FewRows& product, int64_t begin, int64_t end);
#endif

}  // namespace attention_bypass
