#include "product/product.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <exception>
#include <type_traits>

#include "product/few_rows.h"

namespace attention_bypass {

namespace {

// Measured with 768 to 3,072 inputs: libtorch is faster for more rows.
constexpr int64_t most_rows = 8;
// Part of a weight that is widened at a time. It stays in the processor's cache until it is multiplied.
constexpr int64_t widened_elements = 1 << 19;

struct Kernel {
  FewRowsKernel run = nullptr;
  const char* instructions = "";
};

Kernel find_kernel() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512vl")) {
    return {few_rows_avx512, "AVX-512"};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    return {few_rows_avx2, "AVX2"};
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

// input: (rows, inputs).
at::Tensor few_rows(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias) {
  const auto values = input.to(at::kFloat).contiguous();
  const auto added = bias.defined() ? bias.to(at::kFloat).contiguous() : at::Tensor();
  auto result = at::empty({input.size(0), weight.size(0)}, values.options());
  const FewRows rows{values.const_data_ptr<float>(),
                     weight.const_data_ptr(),
                     type_of(weight),
                     added.defined() ? added.const_data_ptr<float>() : nullptr,
                     result.data_ptr<float>(),
                     input.size(0),
                     weight.size(1),
                     weight.size(0)};
  at::parallel_for(0, rows.outputs, 64,
                   [&rows](int64_t begin, int64_t end) { kernel().run(rows, begin, end); });
  return result.to(input.scalar_type());
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
  if (!input.device().is_cpu()) {
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
  if (rows > 0 && rows <= most_rows && kernel().run != nullptr && weight.is_contiguous() &&
      has_type(input.scalar_type()) && has_type(weight.scalar_type())) {
    return few_rows(input.reshape({rows, inputs}), weight, bias).view(shape);
  }
  if (input.scalar_type() == weight.scalar_type()) return at::linear(input, weight, bias);
  return widened(input.reshape({rows, inputs}), weight, bias).view(shape);
}

at::ScalarType arithmetic_type(at::Device device, at::ScalarType dtype) {
  const bool half = dtype == at::kBFloat16 || dtype == at::kHalf;
  return device.is_cpu() && half && !has_small_products(dtype) ? at::kFloat : dtype;
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
