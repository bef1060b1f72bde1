#include "attention_survey.h"

#include <algorithm>
#include <limits>

#include "finite.h"
#include "not_finite.h"
#include "operations.h"

namespace attention_bypass {

namespace {

constexpr int64_t tokens_at_once = 4096;

// Adds up what one block's attention adds to some rows. stream (rows, length, hidden): after the block. valid
// (rows, length): where a row has a token.
class Sums {
 public:
  void add(const Model::Block& block, const at::Tensor& stream, const at::Tensor& mixed,
           const at::Tensor& valid) {
    const auto weights = block.weights();
    // A stream of zeros has nothing added to it either.
    const auto stream_norms =
        stream.to(at::kDouble).norm(2, {-1}).clamp_min(std::numeric_limits<double>::min());
    const auto over_tokens = [&](const at::Tensor& values) { return values.index({valid}).sum(0); };
    const auto share = [&](const at::Tensor& contribution) {
      return over_tokens(contribution.to(at::kDouble).norm(2, {-1}) / stream_norms).item<double>();
    };
    share_ += share(block.output(mixed));
    const auto by_head = mixed.unflatten(-1, {weights.output.size(0), -1});
    heads_.resize(static_cast<size_t>(weights.output.size(0)));
    for (int64_t head = 0; head < weights.output.size(0); ++head) {
      heads_[static_cast<size_t>(head)] += share(at::linear(by_head.select(2, head), weights.output[head]));
    }
    const auto sum = over_tokens(mixed.to(at::kDouble));
    mixed_ = mixed_.defined() ? mixed_ + sum : sum;
  }

  AttentionSurvey::Block means(double tokens) const {
    AttentionSurvey::Block block{share_ / tokens, heads_, {}};
    for (auto& head : block.heads) head /= tokens;
    const auto mean = (mixed_ / tokens).to(at::kCPU).contiguous();
    block.mean.assign(mean.const_data_ptr<double>(), mean.const_data_ptr<double>() + mean.numel());
    return block;
  }

 private:
  double share_ = 0;
  std::vector<double> heads_;
  at::Tensor mixed_;
};

}  // namespace

AttentionSurvey survey_attention(const Model& model, const std::vector<TokenRow>& rows, Control& control) {
  const c10::InferenceMode inference;
  const Operations operations(model.config());
  std::vector<Sums> sums(static_cast<size_t>(model.config().block_count));
  const BypassPlan plain(static_cast<size_t>(model.config().block_count));
  AttentionSurvey survey;
  for (const auto& row : rows) survey.tokens += std::ssize(row);
  const double block_operations = operations.block() + operations.output();
  control.expect(static_cast<double>(survey.tokens * model.config().block_count) * block_operations);
  for (size_t begin = 0; begin < rows.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    do {
      tokens += std::ssize(rows[end++]);
    } while (end < rows.size() && tokens + std::ssize(rows[end]) <= tokens_at_once);
    const auto first = rows.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto batch = TokenBatch::of(
        std::vector<TokenRow>(first, first + static_cast<std::ptrdiff_t>(end - begin)), model.device());
    const auto valid = batch.key_positions != hidden_position;
    Visibility visibility(batch.positions, batch.key_positions, batch.even);
    const auto rotation = model.rotation(batch.positions);
    auto hidden = model.embed(batch.ids, batch.positions);
    for (int64_t index = 0; index < model.config().block_count; ++index) {
      control.check();
      const auto block = model.block(index);
      const auto mixed =
          block->mix(block->project(block->normed(hidden), rotation), visibility.within(block->window()));
      if (model.parallel_residual()) hidden.add_(block->mlp(hidden));
      hidden.add_(block->output(mixed));
      if (!model.parallel_residual()) hidden.add_(block->mlp(hidden));
      sums[static_cast<size_t>(index)].add(*block, hidden, mixed, valid);
      control.advance(block_operations * static_cast<double>(tokens));
    }
    for (size_t row = begin; row < end; ++row) {
      const auto stream = hidden[static_cast<int64_t>(row - begin)].narrow(0, 0, std::ssize(rows[row]));
      if (!all_finite(stream)) throw_not_finite(model, rows[row], plain, "measuring attention", control);
    }
    begin = end;
  }
  for (const auto& sum : sums) survey.blocks.push_back(sum.means(static_cast<double>(survey.tokens)));
  return survey;
}

}  // namespace attention_bypass
