#include "decoder.h"

#include <algorithm>

#include "finite.h"
#include "not_finite.h"
#include "step_threads.h"

namespace attention_bypass {

namespace {

int64_t capacity(const std::vector<TokenRow>& prompts, int64_t max_new_tokens) {
  size_t longest = 0;
  for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
  return static_cast<int64_t>(longest) + max_new_tokens;
}

size_t total_size(const std::vector<TokenRow>& rows) {
  size_t total = 0;
  for (const auto& row : rows) total += row.size();
  return total;
}

template <typename Value>
void keep(std::vector<Value>& values, const std::vector<int64_t>& rows) {
  std::vector<Value> kept;
  for (const auto row : rows) kept.push_back(values[static_cast<size_t>(row)]);
  values = std::move(kept);
}

}  // namespace

Decoder::Decoder(std::shared_ptr<const Model> model, std::vector<TokenRow> prompts, Options options)
    : model_(std::move(model)),
      rows_(std::move(prompts)),
      options_(std::move(options)),
      cache_(model_->config(), options_.plan, static_cast<int64_t>(rows_.size()),
             capacity(rows_, options_.max_new_tokens), model_->options()) {
  for (const auto& prompt : rows_) positions_.push_back(static_cast<int64_t>(prompt.size()) - 1);
  for (const auto seed : options_.seeds) random_.emplace_back(seed);
}

at::Tensor Decoder::next_hidden(Control& control) {
  if (begun_) {
    TokenRow last;
    for (const auto& row : rows_) last.push_back(row.back());
    for (auto& position : positions_) ++position;
    const auto batch = TokenBatch::step(last, positions_, model_->device());
    return model_->forward(batch, options_.plan, &cache_, control).select(1, 0);
  }
  begun_ = true;
  const auto batch = TokenBatch::of(rows_, model_->device());
  const auto hidden = model_->forward(batch, options_.plan, &cache_, control);
  const auto last = (at::tensor(batch.lengths, at::kLong) - 1).to(model_->device());
  return hidden.index({at::arange(hidden.size(0), last.options()), last});
}

void Decoder::require_finite(const at::Tensor& logits, Control& control) const {
  if (all_finite(logits)) return;
  for (size_t row = 0; row < rows_.size(); ++row) {
    if (all_finite(logits[static_cast<int64_t>(row)])) continue;
    throw_not_finite(*model_, rows_[row], options_.plan, "generation", control);
  }
}

Decoder::Step Decoder::next(Control& control) {
  const c10::InferenceMode inference;
  const StepThreads threads(model_->config(), begun_ ? rows_.size() : total_size(rows_));
  const auto logits = model_->unembed(next_hidden(control));
  require_finite(logits, control);
  Step step;
  if (options_.sampling.greedy()) {
    const auto best = logits.argmax(1).to(at::kCPU);
    step.tokens.assign(best.data_ptr<int64_t>(), best.data_ptr<int64_t>() + best.numel());
  } else {
    const auto rows = logits.to(at::kCPU).contiguous();
    for (size_t row = 0; row < random_.size(); ++row) {
      step.tokens.push_back(sample_token(rows.data_ptr<float>() + static_cast<int64_t>(row) * rows.size(1),
                                         rows.size(1), options_.sampling, random_[row]));
    }
  }
  const auto tokens = at::tensor(step.tokens, at::kLong).to(logits.device()).unsqueeze(1);
  const auto chosen = (logits.gather(1, tokens).squeeze(1) - logits.logsumexp(1)).to(at::kCPU);
  step.log_probabilities.assign(chosen.data_ptr<float>(), chosen.data_ptr<float>() + chosen.numel());
  for (size_t row = 0; row < rows_.size(); ++row) rows_[row].push_back(step.tokens[row]);
  return step;
}

void Decoder::keep_rows(const std::vector<int64_t>& rows) {
  const c10::InferenceMode inference;
  keep(rows_, rows);
  keep(positions_, rows);
  keep(random_, rows);
  cache_.keep_rows(at::tensor(rows, at::kLong).to(model_->device()));
}

}  // namespace attention_bypass
