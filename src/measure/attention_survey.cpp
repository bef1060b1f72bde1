#include "measure/attention_survey.h"

#include <algorithm>
#include <limits>

#include "base/finite.h"
#include "base/operations.h"
#include "forward/forward_pass.h"
#include "forward/not_finite.h"

namespace attention_bypass {

namespace {

constexpr int64_t tokens_at_once = 4096;

// Sums over tokens for one block.
class Sums {
 public:
  // valid: (rows, length), false for padding.
  void add(const ForwardPass::Observation& seen, const at::Tensor& valid) {
    const auto weights = seen.weights->attention().weights();
    // If the stream is zero, so are the contributions; the minimum avoids 0 / 0.
    const auto stream_norms =
        seen.stream.to(at::kDouble).norm(2, {-1}).clamp_min(std::numeric_limits<double>::min());
    const auto over_tokens = [&](const at::Tensor& values) { return values.index({valid}).sum(0); };
    const auto share = [&](const at::Tensor& contribution) {
      return over_tokens(contribution.to(at::kDouble).norm(2, {-1}) / stream_norms).item<double>();
    };
    share_ += share(seen.parts.attention);
    const auto& mixed = seen.step->head_outputs();
    const auto by_head = mixed.unflatten(-1, {weights.output.size(0), -1});
    heads_.resize(static_cast<size_t>(weights.output.size(0)));
    for (int64_t head = 0; head < weights.output.size(0); ++head) {
      heads_[static_cast<size_t>(head)] += share(product(by_head.select(2, head), weights.output[head]));
    }
    const auto accumulate = [&](at::Tensor& sum, const at::Tensor& values) {
      const auto added = over_tokens(values.to(at::kDouble));
      sum = sum.defined() ? sum + added : added;
    };
    accumulate(mixed_, mixed);
    accumulate(mlp_, seen.parts.mlp);
  }

  AttentionSurvey::Block means(double tokens) const {
    const auto mean = [tokens](const at::Tensor& sum) {
      const auto values = (sum / tokens).to(at::kCPU).contiguous();
      return std::vector<double>(values.const_data_ptr<double>(),
                                 values.const_data_ptr<double>() + values.numel());
    };
    AttentionSurvey::Block block{share_ / tokens, heads_, mean(mixed_), mean(mlp_)};
    for (auto& head : block.heads) head /= tokens;
    return block;
  }

 private:
  double share_ = 0;
  std::vector<double> heads_;
  at::Tensor mixed_, mlp_;
};

}  // namespace

AttentionSurvey survey_attention(const Model& model, const std::vector<TokenRow>& rows, Control& control) {
  const c10::InferenceMode inference;
  const Operations operations(model.config());
  const auto blocks = static_cast<size_t>(model.config().block_count);
  std::vector<Sums> sums(blocks);
  const BypassPlan plain(blocks);
  const Plans plans(model, {plain});
  AttentionSurvey survey;
  double expected = 0;
  for (const auto& row : rows) {
    survey.tokens += std::ssize(row);
    expected += static_cast<double>(model.config().block_count * std::ssize(row)) *
                (operations.block() + operations.mix(static_cast<double>(std::ssize(row))));
  }
  control.expect(expected);
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    do {
      tokens += std::ssize(rows[end++]);
    } while (end < rows.size() && tokens + std::ssize(rows[end]) <= tokens_at_once);
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(begin);
    const PassRows batch(std::vector<TokenRow>(first, first + static_cast<std::ptrdiff_t>(end - begin)),
                         model.device());
    const auto valid = batch.inputs.key_positions != hidden_position;
    const auto streams =
        ForwardPass(model, plans, batch, nullptr, [&](const ForwardPass::Observation& seen) {
          if (seen.block < 0) return;
          sums[static_cast<size_t>(seen.block)].add(seen, valid.narrow(0, seen.begin, seen.stream.size(0)));
        }).run(control);
    for (size_t row = begin; row < end; ++row) {
      const auto stream =
          streams.front()[static_cast<int64_t>(row - begin)].narrow(0, 0, std::ssize(rows[row]));
      if (!all_finite(stream)) throw_not_finite(model, rows[row], plain, "measuring attention", control);
    }
    begin = end;
  }
  for (const auto& sum : sums) survey.blocks.push_back(sum.means(static_cast<double>(survey.tokens)));
  return survey;
}

}  // namespace attention_bypass
