#include "scoring.h"

#include <algorithm>

namespace attention_bypass {

namespace {

// The stretch of one row that is scored, and where its values begin in the results.
struct Stretch {
  int64_t first, end, offset;
};

std::vector<Stretch> stretches_of(const ScoringRequest& request) {
  std::vector<Stretch> stretches;
  int64_t offset = 0;
  for (size_t row = 0; row < request.rows.size(); ++row) {
    const auto end = static_cast<int64_t>(request.rows[row].size());
    stretches.push_back({request.first[row], end, offset});
    offset += end - request.first[row];
  }
  return stretches;
}

// Greedy decoding of the rows that left the true tokens, on the cache that the pass over these has filled.
class Continuation {
 public:
  Continuation(const Model& model, const ScoringRequest& request, const std::vector<Stretch>& stretches,
               KeyValueCache& cache, std::vector<int64_t>& decoded)
      : model_(model), plan_(request.plan), cache_(cache), decoded_(decoded) {
    for (size_t row = 0; row < stretches.size(); ++row) {
      const auto& [first, end, offset] = stretches[row];
      int64_t position = first;
      while (position < end && decoded[static_cast<size_t>(offset + position - first)] ==
                                   request.rows[row][static_cast<size_t>(position)]) {
        ++position;
      }
      // A mismatch at the last token leaves nothing to decode.
      if (position + 1 < end) {
        rows_.push_back({static_cast<int64_t>(row), position, end, offset - first});
      }
    }
  }

  void run(Control& control) {
    if (rows_.empty()) return;
    std::vector<int64_t> indices, positions;
    for (const auto& row : rows_) {
      indices.push_back(row.index);
      positions.push_back(row.position);
    }
    cache_.keep_rows(indices_of(indices));
    cache_.hide_from(positions);
    double tokens = 0;
    for (const auto& row : rows_) tokens += static_cast<double>(row.end - row.position - 1);
    control.expect(tokens * (static_cast<double>(model_.config().block_count) + model_.head_cost()));
    while (!rows_.empty()) {
      step(control);
      drop_finished();
    }
  }

 private:
  struct Row {
    int64_t index, position, end, shift;  // shift: from a position in the row to its place in the results
    bool finished() const { return position + 1 >= end; }
  };

  at::Tensor indices_of(const std::vector<int64_t>& indices) const {
    return at::tensor(indices, at::kLong).to(model_.device());
  }

  void step(Control& control) {
    TokenRow tokens;
    std::vector<int64_t> positions;
    for (const auto& row : rows_) {
      tokens.push_back(decoded_[static_cast<size_t>(row.position + row.shift)]);
      positions.push_back(row.position);
    }
    const auto batch = TokenBatch::step(tokens, positions, model_.device());
    const auto hidden = model_.forward(batch, plan_, &cache_, control).select(1, 0);
    const auto best = model_.unembed(hidden).argmax(1).to(at::kCPU);
    control.advance(static_cast<double>(rows_.size()) * model_.head_cost());
    for (size_t index = 0; index < rows_.size(); ++index) {
      auto& row = rows_[index];
      if (row.finished()) continue;
      ++row.position;
      decoded_[static_cast<size_t>(row.position + row.shift)] = best.data_ptr<int64_t>()[index];
    }
  }

  // Moving the cache costs about a step's attention, so rows go by the quarter.
  void drop_finished() {
    std::vector<int64_t> kept;
    for (size_t index = 0; index < rows_.size(); ++index) {
      if (!rows_[index].finished()) kept.push_back(static_cast<int64_t>(index));
    }
    if (kept.size() * 4 > rows_.size() * 3) return;
    if (!kept.empty()) cache_.keep_rows(indices_of(kept));
    std::vector<Row> rows;
    for (const auto index : kept) rows.push_back(rows_[static_cast<size_t>(index)]);
    rows_ = std::move(rows);
  }

  const Model& model_;
  const BypassPlan& plan_;
  KeyValueCache& cache_;
  std::vector<int64_t>& decoded_;
  std::vector<Row> rows_;
};

}  // namespace

ScoringResult score_rows(const Model& model, const ScoringRequest& request, Control& control) {
  const c10::InferenceMode inference;
  // A row's last token is predicted but predicts nothing itself.
  std::vector<TokenRow> inputs = request.rows;
  for (auto& row : inputs) row.pop_back();
  const auto batch = TokenBatch::of(inputs, model.device());
  const auto stretches = stretches_of(request);
  const int64_t longest = batch.ids.size(1);
  std::vector<int64_t> sources, targets;
  for (size_t row = 0; row < request.rows.size(); ++row) {
    for (int64_t position = stretches[row].first; position < stretches[row].end; ++position) {
      sources.push_back(static_cast<int64_t>(row) * longest + position - 1);
      targets.push_back(request.rows[row][static_cast<size_t>(position)]);
    }
  }
  int64_t longest_stretch = 0;
  for (const auto& stretch : stretches)
    longest_stretch = std::max(longest_stretch, stretch.end - stretch.first);
  std::optional<KeyValueCache> cache;
  if (request.decode) {
    cache.emplace(model.config(), request.plan, static_cast<int64_t>(request.rows.size()),
                  longest + longest_stretch, model.options());
  }
  const auto blocks = static_cast<double>(model.config().block_count);
  const auto scored = static_cast<double>(targets.size());
  // At worst every row leaves the true tokens at once.
  control.expect(static_cast<double>(batch.ids.numel()) * blocks + scored * model.head_cost() +
                 (request.decode ? scored * (blocks + model.head_cost()) : 0));
  const auto hidden = model.forward(batch, request.plan, cache ? &*cache : nullptr, control);
  ScoringResult result;
  result.scores = score_tokens(
      model, hidden.flatten(0, 1).index_select(0, at::tensor(sources, at::kLong).to(model.device())),
      at::tensor(targets, at::kLong).to(model.device()), request.scores, control);
  if (request.decode) {
    result.decoded = result.scores.predicted;
    Continuation(model, request, stretches, *cache, result.decoded).run(control);
  }
  return result;
}

}  // namespace attention_bypass
