#include "product/product.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <exception>
#include <type_traits>

#include "base/device.h"
#include "product/few_rows.h"

namespace attention_bypass {

namespace {

// Part of a weight that is widened at a time. It stays in the processor's cache until it is multiplied.
constexpr int64_t widened_elements = 1 << 19;

struct Kernel {
  FewRowsKernel run = nullptr;
  const char* instructions = "";
  // Libtorch is faster for more rows. For AVX2, measured with 768 and 3,072 inputs on a processor of AMD,
  // where the kernel computes 1.3 to 2.2 times as fast as libtorch for up to this number.
  int64_t most_rows = 0;
};

Kernel find_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    return {few_rows_avx512, "AVX-512", 16};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    return {few_rows_avx2, "AVX2", 64};
  }
#endif
  return {};
}

const Kernel& kernel() {
  static const Kernel found = find_kernel();
  return found;
}

bool has_type(at::ScalarType type) {
  return type == at::kFloat || type == at::kBFloat16 || type == at::kHalf;
}

FewRows::Type type_of(const at::Tensor& weight) {
  switch (weight.scalar_type()) {
    case at::kBFloat16:
      return FewRows::Type::bfloat16;
    case at::kHalf:
      return FewRows::Type::float16;
    default:
      return FewRows::Type::float32;
  }
}

// Without a call of libtorch if there is nothing to do, which takes longer than what few rows need.
at::Tensor in_float32(const at::Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  return (tensor.scalar_type() == at::kFloat ? tensor : tensor.to(at::kFloat)).contiguous();
}

// input: (..., inputs), this many rows. shape: of the result.
at::Tensor few_rows(const at::Tensor& input, int64_t rows_of_input, const at::Tensor& weight,
                    const at::Tensor& bias, at::IntArrayRef shape) {
  const auto values = in_float32(input);
  const auto added = in_float32(bias);
  auto result = at::empty(shape, values.options());
  const FewRows rows{values.const_data_ptr<float>(),
                     weight.const_data_ptr(),
                     type_of(weight),
                     added.defined() ? added.const_data_ptr<float>() : nullptr,
                     result.data_ptr<float>(),
                     rows_of_input,
                     weight.size(1),
                     weight.size(0)};
  at::parallel_for(0, rows.outputs, 64,
                   [&rows](int64_t begin, int64_t end) { kernel().run(rows, begin, end); });
  return input.scalar_type() == at::kFloat ? result : result.to(input.scalar_type());
}

// input: (rows, inputs), in a larger dtype than the weight.
at::Tensor widened(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias) {
  const auto type = input.scalar_type();
  auto result = at::empty({input.size(0), weight.size(0)}, input.options());
  if (bias.defined()) result.copy_(bias);
  const int64_t step = std::max<int64_t>(1, widened_elements / std::max<int64_t>(1, weight.size(1)));
  for (int64_t begin = 0; begin < weight.size(0); begin += step) {
    const int64_t count = std::min(step, weight.size(0) - begin);
    const auto part = weight.narrow(0, begin, count).to(type);
    auto out = result.narrow(1, begin, count);
    if (bias.defined()) {
      out.addmm_(input, part.t());
    } else {
      at::mm_out(out, input, part.t());
    }
  }
  return result;
}

template <typename Element>
bool try_small_product(Element) {
  try {
    Element left[4] = {}, right[4] = {};
    float result[4] = {};
    constexpr bool paired = !std::is_same_v<Element, float>;
    at::native::cpublas::brgemm(2, 2, 2, 2, 2, 2, false, left, right, result, paired);
    at::native::cpublas::brgemm_release(paired);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

at::Tensor product(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias) {
  if (operators_only(input.device())) {
    if (input.scalar_type() == weight.scalar_type()) return at::linear(input, weight, bias);
    const auto widen = [&input](const at::Tensor& narrow) {
      return narrow.defined() ? narrow.to(input.scalar_type()) : narrow;
    };
    return at::linear(input, widen(weight), widen(bias));
  }
  auto shape = input.sizes().vec();
  const int64_t inputs = shape.back();
  shape.back() = weight.size(0);
  const int64_t rows = input.numel() / std::max<int64_t>(1, inputs);
  if (rows > 0 && rows <= kernel().most_rows && weight.is_contiguous() && has_type(input.scalar_type()) &&
      has_type(weight.scalar_type())) {
    return few_rows(input, rows, weight, bias, shape);
  }
  if (input.scalar_type() == weight.scalar_type()) {
    // The bias of a widened block is still in half precision.
    return at::linear(input, weight, bias.defined() ? bias.to(weight.scalar_type()) : bias);
  }
  return widened(input.reshape({rows, inputs}), weight, bias).view(shape);
}

at::ScalarType arithmetic_type(at::Device device, at::ScalarType dtype) {
  const bool half = dtype == at::kBFloat16 || dtype == at::kHalf;
  return !operators_only(device) && half && !has_small_products(dtype) ? at::kFloat : dtype;
}

bool has_small_products(at::ScalarType type) {
  static const bool for_float = try_small_product(0.0F);
  static const bool for_bfloat16 = try_small_product(at::BFloat16());
  static const bool for_half = try_small_product(at::Half());
  switch (type) {
    case at::kFloat:
      return for_float;
    case at::kBFloat16:
      return for_bfloat16;
    case at::kHalf:
      return for_half;
    default:
      return false;
  }
}

const char* few_rows_instructions() { return kernel().instructions; }

}  // namespace attention_bypass
