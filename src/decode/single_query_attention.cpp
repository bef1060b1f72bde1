#include "decode/single_query_attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "base/vectorized.h"

namespace attention_bypass {

namespace {

// The number of products of queries and keys for which another thread is worth starting.
constexpr int64_t least_products = 1 << 16;

ATTENTION_BYPASS_INLINE float number(float value) { return value; }
ATTENTION_BYPASS_INLINE float number(uint16_t value) { return float_of_bfloat16(value); }

// Sets scores[token] to the product of the query and the token's key. Returns the maximum of these and
// `highest`.
template <typename Element>
ATTENTION_BYPASS_INLINE float score(const float* query, const Element* keys, int64_t tokens, int64_t stride,
                                    int64_t size, float* scores, float highest) {
  for (int64_t token = 0; token < tokens; ++token) {
    const Element* key = keys + token * stride;
    float product = 0;
#pragma omp simd reduction(+ : product)
    for (int64_t index = 0; index < size; ++index) product += query[index] * number(key[index]);
    scores[token] = product;
    highest = product > highest ? product : highest;
  }
  return highest;
}

template <typename Element>
ATTENTION_BYPASS_INLINE void add_values(const float* weights, const Element* values, int64_t tokens,
                                        int64_t stride, int64_t size, float* mixed) {
  for (int64_t token = 0; token < tokens; ++token) {
    const Element* value = values + token * stride;
    const float weight = weights[token];
#pragma omp simd
    for (int64_t index = 0; index < size; ++index) mixed[index] += weight * number(value[index]);
  }
}

// Attention of one head of one query. query: scaled. scores: memory for one number for each token.
template <typename Element>
ATTENTION_BYPASS_INLINE void attend(const float* query, const std::vector<KeyValueSpan>& spans, int64_t head,
                                    int64_t size, float* scores, float* mixed) {
  float highest = -INFINITY;
  int64_t tokens = 0;
  for (const auto& span : spans) {
    const auto* keys = static_cast<const Element*>(span.keys) + head * span.head_stride;
    highest = score(query, keys, span.tokens, span.token_stride, size, scores + tokens, highest);
    tokens += span.tokens;
  }
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t token = 0; token < tokens; ++token) {
    scores[token] = exp_of_negative(scores[token] - highest);
    total += scores[token];
  }
  for (int64_t index = 0; index < size; ++index) mixed[index] = 0;
  const float* weights = scores;
  for (const auto& span : spans) {
    const auto* values = static_cast<const Element*>(span.values) + head * span.head_stride;
    add_values(weights, values, span.tokens, span.token_stride, size, mixed);
    weights += span.tokens;
  }
  for (int64_t index = 0; index < size; ++index) mixed[index] /= total;
}

ATTENTION_BYPASS_VECTORIZED
void attend_float(const float* query, const std::vector<KeyValueSpan>& spans, int64_t head, int64_t size,
                  float* scores, float* mixed) {
  attend<float>(query, spans, head, size, scores, mixed);
}

ATTENTION_BYPASS_VECTORIZED
void attend_bfloat16(const float* query, const std::vector<KeyValueSpan>& spans, int64_t head, int64_t size,
                     float* scores, float* mixed) {
  attend<uint16_t>(query, spans, head, size, scores, mixed);
}

std::vector<float> scaled_queries(const at::Tensor& queries, float scale) {
  const auto values = queries.scalar_type() == at::kFloat ? queries : queries.to(at::kFloat);
  const int64_t heads = queries.size(1);
  const int64_t size = queries.size(3);
  std::vector<float> scaled(static_cast<size_t>(queries.numel()));
  float* out = scaled.data();
  for (int64_t row = 0; row < queries.size(0); ++row) {
    for (int64_t head = 0; head < heads; ++head) {
      const auto* from = values.const_data_ptr<float>() + row * values.stride(0) + head * values.stride(1);
      out = std::transform(from, from + size, out, [scale](float value) { return value * scale; });
    }
  }
  return scaled;
}

}  // namespace

at::Tensor single_query_attention(const at::Tensor& queries,
                                  const std::vector<std::vector<KeyValueSpan>>& seen, double scale) {
  const int64_t rows = queries.size(0);
  const int64_t heads = queries.size(1);
  const int64_t size = queries.size(3);
  const auto scaled = scaled_queries(queries, static_cast<float>(scale));
  auto mixed = at::empty({rows, 1, heads * size}, queries.options().dtype(at::kFloat));
  int64_t most = 0;
  for (const auto& spans : seen) {
    int64_t tokens = 0;
    for (const auto& span : spans) tokens += span.tokens;
    most = std::max(most, tokens);
  }
  const auto* query = scaled.data();
  auto* out = mixed.data_ptr<float>();
  const auto attend_one = queries.scalar_type() == at::kBFloat16 ? attend_bfloat16 : attend_float;
  const int64_t grain = std::max<int64_t>(1, least_products / std::max<int64_t>(1, most * size));
  at::parallel_for(0, rows * heads, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(most));
    for (int64_t index = begin; index < end; ++index) {
      const auto row = static_cast<size_t>(index / heads);
      attend_one(query + index * size, seen[row], index % heads, size, scores.data(), out + index * size);
    }
  });
  return queries.scalar_type() == at::kFloat ? mixed : mixed.to(queries.scalar_type());
}

}  // namespace attention_bypass
