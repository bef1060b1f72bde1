#pragma once

// The kernel of few_rows.h for one instruction set. Each few_rows_*.cpp is compiled for its instruction set
// and includes this file, which therefore uses nothing that other files could share with it.

#include <cstdint>

#include "product/few_rows.h"

namespace attention_bypass {

// Computes `outputs` columns of the product for `rows` rows of the input. Vector: registers of the
// instruction set. Each weight is loaded once for all these rows.
template <typename Vector, typename Element, int rows, int outputs>
__attribute__((always_inline)) inline void tile(const FewRows& product, int64_t row, int64_t output) {
  typename Vector::Register sums[rows][outputs];
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < outputs; ++j) sums[i][j] = Vector::zero();
  }
  const auto* weight = static_cast<const Element*>(product.weight) + output * product.inputs;
  const float* input = product.input + row * product.inputs;
  const int64_t whole = product.inputs / Vector::width * Vector::width;
  // The weights of the next outputs are read ahead, an equal part of them with each tile of rows: all of them
  // with the first tile would be more than memory gives in that time.
  constexpr auto element = static_cast<int64_t>(sizeof(Element));
  constexpr int64_t cache_line = 64;
  const int64_t ahead_step = Vector::width * outputs * element * rows / product.rows;
  const char* ahead = reinterpret_cast<const char*>(weight + outputs * product.inputs) +
                      row * outputs * product.inputs * element / product.rows;
  for (int64_t index = 0; index < whole; index += Vector::width) {
    typename Vector::Register weights[outputs];
    for (int j = 0; j < outputs; ++j) weights[j] = Vector::load(weight + j * product.inputs + index);
    __builtin_prefetch(ahead);
    if (ahead_step > cache_line) __builtin_prefetch(ahead + cache_line);
    ahead += ahead_step;
    for (int i = 0; i < rows; ++i) {
      const auto values = Vector::load(input + i * product.inputs + index);
      for (int j = 0; j < outputs; ++j) sums[i][j] = Vector::add_product(values, weights[j], sums[i][j]);
    }
  }
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < outputs; ++j) {
      float sum = Vector::sum(sums[i][j]);
      for (int64_t index = whole; index < product.inputs; ++index) {
        sum += input[i * product.inputs + index] * Vector::number(weight[j * product.inputs + index]);
      }
      if (product.bias != nullptr) sum += product.bias[output + j];
      product.result[(row + i) * product.outputs + output + j] = sum;
    }
  }
}

template <typename Vector, typename Element, int outputs>
__attribute__((always_inline)) inline void all_rows(const FewRows& product, int64_t output) {
  int64_t row = 0;
  for (; row + 4 <= product.rows; row += 4) tile<Vector, Element, 4, outputs>(product, row, output);
  switch (product.rows - row) {
    case 1:
      return tile<Vector, Element, 1, outputs>(product, row, output);
    case 2:
      return tile<Vector, Element, 2, outputs>(product, row, output);
    case 3:
      return tile<Vector, Element, 3, outputs>(product, row, output);
    default:
      return;
  }
}

// Computes the outputs begin to end of a single row. Reads the weight in the order of memory, in which the
// processor reads ahead.
template <typename Vector, typename Element>
__attribute__((always_inline)) inline void one_row(const FewRows& product, int64_t begin, int64_t end) {
  constexpr int64_t sums_at_once = 4;
  constexpr int64_t step = sums_at_once * Vector::width;
  const auto* weight = static_cast<const Element*>(product.weight) + begin * product.inputs;
  for (int64_t output = begin; output < end; ++output, weight += product.inputs) {
    typename Vector::Register sums[sums_at_once];
    for (auto& sum : sums) sum = Vector::zero();
    int64_t index = 0;
    for (; index + step <= product.inputs; index += step) {
      for (int64_t part = 0; part < sums_at_once; ++part) {
        const int64_t at = index + part * Vector::width;
        sums[part] =
            Vector::add_product(Vector::load(product.input + at), Vector::load(weight + at), sums[part]);
      }
    }
    for (; index + Vector::width <= product.inputs; index += Vector::width) {
      sums[0] =
          Vector::add_product(Vector::load(product.input + index), Vector::load(weight + index), sums[0]);
    }
    float total = Vector::sum(Vector::add(Vector::add(sums[0], sums[1]), Vector::add(sums[2], sums[3])));
    for (; index < product.inputs; ++index) total += product.input[index] * Vector::number(weight[index]);
    product.result[output] = product.bias == nullptr ? total : total + product.bias[output];
  }
}

template <typename Vector, typename Element>
__attribute__((always_inline)) inline void columns(const FewRows& product, int64_t begin, int64_t end) {
  if (product.rows == 1) return one_row<Vector, Element>(product, begin, end);
  int64_t output = begin;
  // As long as memory limits the speed, one output at a time, to read the weight in the order of memory.
  if (product.rows > 8) {
    constexpr int at_once = Vector::outputs;
    for (; output + at_once <= end; output += at_once) all_rows<Vector, Element, at_once>(product, output);
  }
  for (; output < end; ++output) all_rows<Vector, Element, 1>(product, output);
}

template <typename Vector>
__attribute__((always_inline)) inline void columns(const FewRows& product, int64_t begin, int64_t end) {
  switch (product.type) {
    case FewRows::Type::float32:
      return columns<Vector, float>(product, begin, end);
    case FewRows::Type::bfloat16:
      return columns<Vector, FewRows::BFloat16>(product, begin, end);
    case FewRows::Type::float16:
      return columns<Vector, FewRows::Float16>(product, begin, end);
  }
}

}  // namespace attention_bypass
