#include "head/logit_summary.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/device.h"
#include "base/operations.h"
#include "base/vectorized.h"
#include "product/product.h"

namespace attention_bypass {

namespace {

// The size of a tile in tokens of the vocabulary and in positions, and the number of tiles that stay in the
// processor's cache while they are multiplied with all positions.
constexpr int64_t tile_tokens = 64;
constexpr int64_t tile_positions = 128;
constexpr int64_t tiles_at_once = 8;
// The number of rows of the output embedding that are converted together.
constexpr int64_t panel_tokens = 8192;
// libtorch compiles a kernel for each shape. Padding positions to a multiple keeps the number of shapes
// small.
constexpr int64_t position_step = 16;

// Replaces the target's logit, which is kept separately, in the sums. Less than all logits, so its
// exponential is 0, and finite, so the product with that 0 is 0 and not NaN.
constexpr float excluded_logit = -1e30F;

// Running values over the logits so far except the targets', one for each position.
struct Totals {
  explicit Totals(int64_t positions)
      : highest(static_cast<size_t>(positions), -INFINITY),
        total(static_cast<size_t>(positions)),
        weighted(static_cast<size_t>(positions)),
        target(static_cast<size_t>(positions)),
        doubt(static_cast<size_t>(positions)),
        best(static_cast<size_t>(positions)) {}

  std::vector<float> highest;
  std::vector<float> total;     // sum of exp(logit - highest)
  std::vector<float> weighted;  // sum of exp(logit - highest) (logit - highest)
  std::vector<float> target;    // the target's logit
  std::vector<float> doubt;     // 0 if all logits are finite, else NaN
  std::vector<int32_t> best;
};

// Updates the greatest logits so far with a tile (tokens, positions). first: the id of the tile's first
// token.
ATTENTION_BYPASS_VECTORIZED
void raise(const float* logits, int64_t tokens, int64_t positions, int32_t first, float* highest,
           int32_t* best) {
  for (int64_t token = 0; token < tokens; ++token) {
    const float* row = logits + token * positions;
    const int32_t id = first + static_cast<int32_t>(token);
#pragma omp simd
    for (int64_t position = 0; position < positions; ++position) {
      const bool higher = row[position] > highest[position];
      highest[position] = higher ? row[position] : highest[position];
      best[position] = higher ? id : best[position];
    }
  }
}

// Adds logit * 0, which is 0 for finite logits and NaN otherwise.
ATTENTION_BYPASS_VECTORIZED
void add_doubt(const float* logits, int64_t tokens, int64_t positions, float* doubt) {
  for (int64_t token = 0; token < tokens; ++token) {
    const float* row = logits + token * positions;
#pragma omp simd
    for (int64_t position = 0; position < positions; ++position) doubt[position] += row[position] * 0.0F;
  }
}

// Rescales the sums from the maximum `before` to the maximum `highest`, and adds a tile.
ATTENTION_BYPASS_VECTORIZED
void add_up(const float* logits, int64_t tokens, int64_t positions, const float* before, const float* highest,
            float* total, float* weighted) {
#pragma omp simd
  for (int64_t position = 0; position < positions; ++position) {
    // Before the first tile, the maximum is -infinity and the sums are 0.
    const float fall = total[position] > 0 ? before[position] - highest[position] : 0.0F;
    const float scale = exp_of_negative(fall);
    weighted[position] = scale * (weighted[position] + total[position] * fall);
    total[position] *= scale;
  }
  // Sums the tile separately: adding small terms to a large sum one by one loses precision.
  float tile_total[tile_positions] = {};
  float tile_weighted[tile_positions] = {};
  for (int64_t token = 0; token < tokens; ++token) {
    const float* row = logits + token * positions;
#pragma omp simd
    for (int64_t position = 0; position < positions; ++position) {
      const float difference = row[position] - highest[position];
      const float power = exp_of_negative(difference);
      tile_total[position] += power;
      tile_weighted[position] += power * difference;
    }
  }
#pragma omp simd
  for (int64_t position = 0; position < positions; ++position) {
    total[position] += tile_total[position];
    weighted[position] += tile_weighted[position];
  }
}

// The hidden states of positions as the right operand of brgemm: blocks of tile_positions, (size, positions),
// or (size / 2, positions, 2) in bfloat16.
class ProductPositions {
 public:
  ProductPositions(const at::Tensor& normed, at::ScalarType type, bool paired)
      : size_(normed.size(1)), paired_(paired) {
    for (int64_t begin = 0; begin < normed.size(0); begin += tile_positions) {
      const int64_t count = std::min(tile_positions, normed.size(0) - begin);
      const int64_t width = (count + position_step - 1) / position_step * position_step;
      auto block = at::zeros({width, size_}, normed.options().dtype(type));
      block.narrow(0, 0, count).copy_(normed.narrow(0, begin, count));
      blocks_.push_back(paired ? block.view({width, size_ / 2, 2}).permute({1, 0, 2}).contiguous()
                               : block.t().contiguous());
    }
  }

  int64_t count() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t width(int64_t block) const { return blocks_[static_cast<size_t>(block)].size(1); }
  int64_t padded() const { return count() == 0 ? 0 : (count() - 1) * tile_positions + width(count() - 1); }

  // Computes logits (tokens, width) for a tile of the output embedding (tokens, size) and a block of
  // positions.
  void product(const at::Tensor& tile, int64_t block, float* logits) const {
    const auto& right = blocks_[static_cast<size_t>(block)];
    const int64_t tokens = tile.size(0);
    if (paired_) {
      at::native::cpublas::brgemm(tokens, width(block), size_, size_, width(block), width(block), false,
                                  tile.const_data_ptr<at::BFloat16>(), right.const_data_ptr<at::BFloat16>(),
                                  logits, true);
    } else if (has_small_products(at::kFloat)) {
      at::native::cpublas::brgemm(tokens, width(block), size_, size_, width(block), width(block), false,
                                  tile.const_data_ptr<float>(), right.const_data_ptr<float>(), logits, false);
    } else {
      auto result = at::from_blob(logits, {tokens, width(block)}, at::kFloat);
      at::mm_out(result, tile, right);
    }
  }
  void release() const {
    if (paired_ || has_small_products(at::kFloat)) at::native::cpublas::brgemm_release(paired_);
  }

 private:
  int64_t size_;
  bool paired_;
  std::vector<at::Tensor> blocks_;
};

class Summary {
 public:
  Summary(const ProductPositions& positions, const std::vector<int64_t>& targets)
      : positions_(positions), targets_(targets) {}

  // Adds tokens begin to end of a panel of the output embedding. first: the id of the panel's first token.
  void add(const at::Tensor& panel, int64_t begin, int64_t end, int64_t first, Totals& totals) const {
    std::vector<float> logits(tile_tokens * tile_positions);
    float before[tile_positions];
    for (int64_t group = begin; group < end; group += tiles_at_once * tile_tokens) {
      const int64_t group_end = std::min(end, group + tiles_at_once * tile_tokens);
      for (int64_t block = 0; block < positions_.count(); ++block) {
        const int64_t width = positions_.width(block);
        const auto offset = static_cast<size_t>(block * tile_positions);
        for (int64_t token = group; token < group_end; token += tile_tokens) {
          const int64_t tokens = std::min(tile_tokens, group_end - token);
          positions_.product(panel.narrow(0, token, tokens), block, logits.data());
          take_targets(logits.data(), first + token, tokens, block, totals);
          float* highest = totals.highest.data() + offset;
          std::copy(highest, highest + width, before);
          raise(logits.data(), tokens, width, static_cast<int32_t>(first + token), highest,
                totals.best.data() + offset);
          if (targets_.empty()) {
            add_doubt(logits.data(), tokens, width, totals.doubt.data() + offset);
            continue;
          }
          add_up(logits.data(), tokens, width, before, highest, totals.total.data() + offset,
                 totals.weighted.data() + offset);
        }
      }
    }
    positions_.release();
  }

 private:
  void take_targets(float* logits, int64_t first, int64_t tokens, int64_t block, Totals& totals) const {
    const int64_t width = positions_.width(block);
    const auto begin = static_cast<size_t>(block * tile_positions);
    const size_t end = std::min(targets_.size(), begin + static_cast<size_t>(width));
    for (size_t position = begin; position < end; ++position) {
      const int64_t token = targets_[position] - first;
      if (token < 0 || token >= tokens) continue;
      auto& logit = logits[token * width + static_cast<int64_t>(position - begin)];
      totals.target[position] = std::exchange(logit, excluded_logit);
    }
  }

  const ProductPositions& positions_;
  const std::vector<int64_t>& targets_;
};

// Adds the values of another thread, which are over other tokens.
void merge(Totals& into, size_t at, const Totals& from, size_t place) {
  if (from.highest[place] > into.highest[at] ||
      (from.highest[place] == into.highest[at] && from.best[place] < into.best[at])) {
    into.best[at] = from.best[place];
  }
  const float highest = std::max(into.highest[at], from.highest[place]);
  float total = 0;
  float weighted = 0;
  const auto add = [&](const Totals& part, size_t position) {
    if (part.total[position] == 0) return;
    const float fall = part.highest[position] - highest;
    const float scale = std::exp(fall);
    weighted += scale * (part.weighted[position] + part.total[position] * fall);
    total += scale * part.total[position];
  };
  add(into, at);
  add(from, place);
  into.total[at] = total;
  into.weighted[at] = weighted;
  into.highest[at] = highest;
}

void add_target(Totals& into, size_t position, float logit, int64_t token) {
  Totals target(1);
  target.highest = {logit};
  target.total = {1};
  target.best = {static_cast<int32_t>(token)};
  merge(into, position, target, 0);
}

}  // namespace

bool can_summarize_logits(const Model& model) { return !operators_only(model.device()); }

LogitSummary summarize_logits(const Model& model, const at::Tensor& hidden,
                              const std::vector<int64_t>& targets, Control& control, bool normed) {
  const c10::InferenceMode inference;
  const int64_t count = hidden.size(0);
  const int64_t vocabulary = model.config().vocabulary_size;
  const bool paired =
      model.dtype() == at::kBFloat16 && hidden.size(1) % 2 == 0 && has_small_products(at::kBFloat16);
  const auto type = paired ? at::kBFloat16 : at::kFloat;
  const ProductPositions positions(normed ? hidden : model.final_norm(hidden), type, paired);
  const Summary summary(positions, targets);

  const auto threads = static_cast<int64_t>(at::get_num_threads());
  std::vector<Totals> totals(static_cast<size_t>(threads), Totals(positions.padded()));
  const Operations operations(model.config());
  for (int64_t first = 0; first < vocabulary; first += panel_tokens) {
    control.check();
    const int64_t tokens = std::min(panel_tokens, vocabulary - first);
    const auto panel = model.output_embedding(first, tokens).to(type).contiguous();
    const int64_t share = ((tokens + threads - 1) / threads + tile_tokens - 1) / tile_tokens * tile_tokens;
    at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      const c10::InferenceMode inference_here;
      for (int64_t thread = begin; thread < end; ++thread) {
        const int64_t from = std::min(tokens, thread * share);
        const int64_t to = std::min(tokens, from + share);
        summary.add(panel, from, to, first, totals[static_cast<size_t>(thread)]);
      }
    });
    control.advance(operations.head() * static_cast<double>(count) * static_cast<double>(tokens) /
                    static_cast<double>(vocabulary));
  }

  LogitSummary result;
  for (size_t position = 0; position < static_cast<size_t>(count); ++position) {
    auto& all = totals.front();
    float target = all.target[position];
    for (size_t thread = 1; thread < totals.size(); ++thread) {
      merge(all, position, totals[thread], position);
      target += totals[thread].target[position];
      all.doubt[position] += totals[thread].doubt[position];
    }
    if (targets.empty()) {
      result.best.push_back(all.best[position]);
      result.doubt.push_back(all.doubt[position]);
      continue;
    }
    const float margin = target - all.highest[position];
    result.margin.push_back(margin);
    add_target(all, position, target, targets[position]);
    result.best.push_back(all.best[position]);
    const float log_total = std::log(all.total[position]);
    result.log_likelihood.push_back(target - all.highest[position] - log_total);
    result.entropy.push_back(log_total - all.weighted[position] / all.total[position]);
  }
  return result;
}

}  // namespace attention_bypass
