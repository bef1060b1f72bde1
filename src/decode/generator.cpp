#include "decode/generator.h"

#include <algorithm>
#include <utility>

#include "base/device.h"
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
    Row row{shared, number, shared->prompts[number], -1, std::mt19937_64(shared->seeds[number]), {}, {}};
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
  const auto predictions = predict(rows, control);
  std::vector<Token> tokens(rows.size());
  if (predictions.places.empty()) return tokens;
  std::vector<Row*> predicted;
  for (const auto place : predictions.places) predicted.push_back(rows[place]);
  const auto& streams = predictions.streams;
  auto chosen = choose(predicted, streams.size() == 1 ? streams.front() : at::cat(streams), control);
  for (size_t index = 0; index < chosen.size(); ++index) {
    tokens[predictions.places[index]] = std::move(chosen[index]);
  }
  return tokens;
}

Generator::Predictions Generator::predict(const std::vector<Row*>& rows, Control& control) {
  std::vector<size_t> decoding, unread;
  for (size_t place = 0; place < rows.size(); ++place) {
    (rows[place]->decoded < 0 ? unread : decoding).push_back(place);
  }
  // In this order, the batch is the same when only the order of the calls changes.
  std::sort(decoding.begin(), decoding.end(),
            [&rows](size_t left, size_t right) { return rows[left]->decoded < rows[right]->decoded; });
  std::vector<Row*> decoded;
  for (const auto place : decoding) decoded.push_back(rows[place]);
  Predictions predictions;
  const int64_t piece = LongPrompt::piece(model_->device());
  if (!unread.empty() && std::ssize(rows[unread.front()]->tokens) > piece) {
    read_piece(rows, unread.front(), predictions, control);
  } else if (!unread.empty()) {
    const int64_t most = decoding.empty() ? rows_at_once(model_->device(), 1) : piece;
    for (const auto& members : read_together(rows, first_prompts(rows, unread, most))) {
      std::vector<Row*> some;
      for (const auto member : members) some.push_back(rows[member]);
      predictions.add(read(some, control), members);
    }
  }
  if (!decoded.empty()) predictions.add(decode(decoded, control), decoding);
  return predictions;
}

at::Tensor Generator::decode(const std::vector<Row*>& rows, Control& control) {
  std::vector<int64_t> ids, tokens;
  for (const auto* row : rows) {
    ids.push_back(row->decoded);
    tokens.push_back(row->tokens.back());
  }
  if (const auto ahead = std::exchange(ahead_, std::nullopt)) {
    if (ahead->ids == ids) return ahead->streams;
    decoder_.undo(ahead->ids);
  }
  return decoder_.step(ids, tokens, control);
}

void Generator::step_ahead(const std::vector<Row*>& rows, Control& control) {
  // A step of an offloaded model reads its files while the host waits, which would delay the chosen tokens.
  if (!operators_only(model_->device()) || model_->offloaded()) return;
  std::vector<int64_t> ids;
  bool continues = true;
  for (const auto* row : rows) {
    const auto& request = *row->request;
    const auto generated = std::ssize(row->tokens) - std::ssize(request.prompts[row->number]) + 1;
    continues = continues && generated < request.max_new_tokens;
    ids.push_back(row->decoded);
  }
  // If rows come and go, as with slow readers of streams, most steps ahead would be undone.
  const bool same = std::exchange(last_, ids) == ids;
  // The rows of the next step will be in ascending order.
  if (!continues || !same || !std::is_sorted(ids.begin(), ids.end())) return;
  try {
    ahead_ = {ids, decoder_.step(ids, choices_.on_device(), control)};
  } catch (const c10::Error&) {
    // The chosen tokens must not be lost. The next step reports what failed.
    ahead_.reset();
  }
}

void Generator::read_piece(const std::vector<Row*>& rows, size_t place, Predictions& predictions,
                           Control& control) {
  auto& row = *rows[place];
  if (!row.prompt) {
    row.plans = std::make_shared<const Plans>(*model_, std::vector<BypassPlan>{row.request->plan});
    row.prompt = std::make_unique<LongPrompt>(*model_, PlannedRow{&row.tokens, row.plans.get()},
                                              std::make_shared<KeyValueCache>());
  }
  const auto stream = row.prompt->next(control);
  if (!row.prompt->complete()) return;
  start_decoding(row, row.prompt->cache(), 0);
  row.prompt.reset();
  predictions.add(stream, {place});
}

std::vector<size_t> Generator::first_prompts(const std::vector<Row*>& rows, const std::vector<size_t>& unread,
                                             int64_t most_tokens) const {
  std::vector<size_t> first;
  int64_t longest = 0;
  for (const auto place : unread) {
    const auto length = std::ssize(rows[place]->tokens);
    longest = std::max<int64_t>(longest, length);
    const bool fits = longest * (std::ssize(first) + 1) <= most_tokens;
    if (!first.empty() && (!fits || length > LongPrompt::piece(model_->device()))) break;
    first.push_back(place);
  }
  return first;
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

void Generator::start_decoding(Row& row, std::shared_ptr<const KeyValueCache> cache, int64_t index) {
  row.decoded = decoder_.add({std::move(row.plans), std::move(cache), index, 0, std::ssize(row.tokens),
                              row.request->max_new_tokens - 1, false});
}

at::Tensor Generator::read(const std::vector<Row*>& rows, Control& control) {
  const auto cache = std::make_shared<KeyValueCache>();
  std::map<const Request*, std::shared_ptr<const Plans>> plans;
  std::vector<PlannedRow> planned;
  size_t count = 0;
  for (auto* row : rows) {
    auto& own = plans[row->request.get()];
    if (!own) own = std::make_shared<const Plans>(*model_, std::vector<BypassPlan>{row->request->plan});
    row->plans = own;
    planned.push_back({&row->tokens, own.get()});
    count += row->tokens.size();
  }
  const StepThreads threads(model_->config(), count);
  const auto streams = plans.size() == 1 ? read_one_plan(rows, *plans.begin()->second, *cache, control)
                                         : read_planned_rows(*model_, planned, *cache, control);
  for (size_t place = 0; place < rows.size(); ++place) {
    start_decoding(*rows[place], cache, static_cast<int64_t>(place));
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
  std::vector<Chooser> choosers;
  for (auto* row : rows) choosers.push_back({&row->request->sampling, &row->random, row->request->top});
  choices_.choose(model_->unembed(streams), choosers);
  step_ahead(rows, control);
  auto choices = choices_.wait();
  std::vector<Token> tokens;
  for (size_t place = 0; place < rows.size(); ++place) {
    auto& choice = choices[place];
    auto& row = *rows[place];
    auto& token =
        tokens.emplace_back(Token{false, choice.token, choice.log_probability, std::move(choice.top), {}});
    if (choice.finite) {
      row.tokens.push_back(choice.token);
    } else {
      token.failure = not_finite(row, control);
    }
  }
  return tokens;
}

Error Generator::not_finite(const Row& row, Control& control) const {
  try {
    throw_not_finite(*model_, row.tokens, row.request->plan, "generation", control);
  } catch (const Error& error) {
    if (error.code() == "ABORTED") throw;
    return error;
  }
}

}  // namespace attention_bypass
