#include "decode/generator.h"

#include <algorithm>

#include "base/finite.h"
#include "decode/step_threads.h"
#include "forward/not_finite.h"
#include "forward/prompt_pass.h"

namespace attention_bypass {

Generator::Generator(std::shared_ptr<const Model> model, int64_t first)
    : model_(std::move(model)), decoder_(*model_), next_(first) {}

std::vector<int64_t> Generator::add(Request request) {
  const auto shared = std::make_shared<const Request>(std::move(request));
  std::vector<int64_t> ids;
  for (size_t number = 0; number < shared->prompts.size(); ++number) {
    Row row{shared, number, shared->prompts[number], -1, std::mt19937_64(shared->seeds[number])};
    rows_.emplace(next_, std::move(row));
    ids.push_back(next_++);
  }
  return ids;
}

void Generator::remove(const std::vector<int64_t>& ids) {
  for (const auto id : ids) {
    const auto found = rows_.find(id);
    if (found == rows_.end()) continue;
    if (found->second.decoded >= 0) decoder_.remove(found->second.decoded);
    rows_.erase(found);
  }
}

std::vector<Generator::Token> Generator::step(const std::vector<int64_t>& ids, Control& control) {
  const c10::InferenceMode inference;
  std::vector<Row*> rows;
  for (const auto id : ids) rows.push_back(&rows_.at(id));
  return choose(rows, predict(rows, control), control);
}

at::Tensor Generator::predict(const std::vector<Row*>& rows, Control& control) {
  std::vector<int64_t> ids, tokens, places;
  std::vector<size_t> unread;
  for (size_t place = 0; place < rows.size(); ++place) {
    const auto& row = *rows[place];
    if (row.decoded < 0) {
      unread.push_back(place);
      continue;
    }
    ids.push_back(row.decoded);
    tokens.push_back(row.tokens.back());
    places.push_back(static_cast<int64_t>(place));
  }
  if (unread.empty()) return decoder_.step(ids, tokens, control);
  std::vector<at::Tensor> parts;
  std::vector<int64_t> order(rows.size());
  const auto append = [&](const at::Tensor& streams, const auto& members) {
    int64_t at = 0;
    for (const auto& part : parts) at += part.size(0);
    for (const auto member : members) order[static_cast<size_t>(member)] = at++;
    parts.push_back(streams);
  };
  for (const auto& members : read_together(rows, std::move(unread))) {
    std::vector<Row*> some;
    for (const auto member : members) some.push_back(rows[member]);
    append(read(some, control), members);
  }
  if (!ids.empty()) append(decoder_.step(ids, tokens, control), places);
  return at::cat(parts).index_select(0, at::tensor(order, at::kLong).to(model_->device()));
}

std::vector<std::vector<size_t>> Generator::read_together(const std::vector<Row*>& rows,
                                                          std::vector<size_t> unread) {
  const auto length = [&rows](size_t place) { return rows[place]->tokens.size(); };
  std::stable_sort(unread.begin(), unread.end(),
                   [&](size_t left, size_t right) { return length(left) < length(right); });
  std::vector<std::vector<size_t>> groups;
  size_t total = 0;
  for (const auto place : unread) {
    // Shorter rows are padded to the longest. A new group begins if more than half of a group would be
    // padding.
    const size_t padded = groups.empty() ? 0 : length(place) * (groups.back().size() + 1);
    if (groups.empty() || padded > 2 * (total + length(place))) {
      groups.emplace_back();
      total = 0;
    }
    groups.back().push_back(place);
    total += length(place);
  }
  return groups;
}

at::Tensor Generator::read(const std::vector<Row*>& rows, Control& control) {
  const auto cache = std::make_shared<KeyValueCache>();
  std::map<const Request*, std::shared_ptr<const Plans>> plans;
  std::vector<PlannedRow> planned;
  size_t count = 0;
  for (const auto* row : rows) {
    auto& own = plans[row->request.get()];
    if (!own) own = std::make_shared<const Plans>(*model_, std::vector<BypassPlan>{row->request->plan});
    planned.push_back({&row->tokens, own.get()});
    count += row->tokens.size();
  }
  const StepThreads threads(model_->config(), count);
  const auto streams = plans.size() == 1 ? read_one_plan(rows, *plans.begin()->second, *cache, control)
                                         : read_planned_rows(*model_, planned, *cache, control);
  for (size_t place = 0; place < rows.size(); ++place) {
    auto& row = *rows[place];
    row.decoded = decoder_.add({plans[row.request.get()], cache, static_cast<int64_t>(place), 0,
                                std::ssize(row.tokens), row.request->max_new_tokens - 1, false});
  }
  return streams;
}

at::Tensor Generator::read_one_plan(const std::vector<Row*>& rows, const Plans& plans, KeyValueCache& cache,
                                    Control& control) const {
  std::vector<PackedRow> packed;
  std::vector<std::vector<int64_t>> last;
  for (const auto* row : rows) {
    packed.emplace_back(row->tokens);
    last.push_back({std::ssize(row->tokens) - 1});
  }
  const PassRows inputs(packed, last, model_->device());
  return ForwardPass(*model_, plans, inputs, &cache).run(control).front().select(1, 0);
}

std::vector<Generator::Token> Generator::choose(const std::vector<Row*>& rows, const at::Tensor& streams,
                                                Control& control) {
  const StepThreads threads(model_->config(), rows.size());
  const auto logits = model_->unembed(streams);
  std::vector<Token> chosen(rows.size());
  if (!all_finite(logits)) {
    for (size_t place = 0; place < rows.size(); ++place) {
      if (all_finite(logits[static_cast<int64_t>(place)])) continue;
      try {
        throw_not_finite(*model_, rows[place]->tokens, rows[place]->request->plan, "generation", control);
      } catch (const Error& error) {
        if (error.code() == "ABORTED") throw;
        chosen[place].failure = error;
      }
    }
  }
  const auto greedy = logits.argmax(1).to(at::kCPU);
  const bool draws =
      std::any_of(rows.begin(), rows.end(), [](const Row* row) { return !row->request->sampling.greedy(); });
  const auto on_host = draws ? logits.to(at::kCPU).contiguous() : at::Tensor();
  std::vector<int64_t> tokens;
  for (size_t place = 0; place < rows.size(); ++place) {
    auto& row = *rows[place];
    const auto index = static_cast<int64_t>(place);
    tokens.push_back(greedy.const_data_ptr<int64_t>()[index]);
    if (row.request->sampling.greedy() || chosen[place].failure) continue;
    tokens.back() = sample_token(on_host.const_data_ptr<float>() + index * on_host.size(1), on_host.size(1),
                                 row.request->sampling, row.random);
  }
  const auto picked = at::tensor(tokens, at::kLong).to(logits.device()).unsqueeze(1);
  const auto likelihoods =
      (logits.gather(1, picked).squeeze(1) - logits.logsumexp(1)).to(at::kCPU).contiguous();
  for (size_t place = 0; place < rows.size(); ++place) {
    chosen[place].token = tokens[place];
    chosen[place].log_probability = likelihoods.const_data_ptr<float>()[place];
    rows[place]->tokens.push_back(tokens[place]);
  }
  return chosen;
}

}  // namespace attention_bypass
