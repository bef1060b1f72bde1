#include "score/scoring_memory.h"

#include <algorithm>

#include "decode/decoder.h"
#include "decode/shared_prompts.h"
#include "forward/forward_pass.h"

namespace attention_bypass {

namespace {

// The memory of libtorch itself during computation, without tensors.
constexpr int64_t libtorch_bytes = int64_t{160} << 20;

int64_t stream_bytes(const Model& model) {
  return model.config().hidden_size * static_cast<int64_t>(sizeof(float));
}

}  // namespace

ScoringMemory::ScoringMemory(const ScoringRequest& request) : request_(request) {
  const auto& scorable = request.scorable;
  size_t sequence = 0;
  for (const auto& row : scorable.packed()) {
    int64_t scored = 0;
    for (size_t member = 0; member < row.begins.size(); ++member, ++sequence) {
      scored += std::ssize(scorable.sequences[sequence]) - scorable.first[sequence];
    }
    length_ = std::max<int64_t>(length_, std::ssize(row.tokens));
    scored_ = std::max(scored_, scored);
  }
}

int64_t ScoringMemory::rows(const Model& model, const PlanTree& tree) const {
  const int64_t left = request_.memory - fixed(model);
  return std::max<int64_t>(0, left) / std::max<int64_t>(1, row_bytes(model, tree));
}

int64_t ScoringMemory::fixed(const Model& model) const {
  const int64_t slice = rows_at_once(model, length_, request_.memory) * length_;
  return libtorch_bytes + model.widened_bytes() + ForwardPass::activation_bytes(model, slice) +
         scoring_bytes(model, request_.scheme, request_.top, request_.memory);
}

int64_t ScoringMemory::row_bytes(const Model& model, const PlanTree& tree) const {
  // Two more streams, since a block writes its output before its input is freed, and the scored positions.
  const int64_t streams = ((tree.nodes() + 2) * length_ + tree.nodes() * scored_) * stream_bytes(model);
  if (request_.effects) return streams + effects_bytes(model, tree);
  if (!request_.decode) return streams;
  const auto element = static_cast<int64_t>(model.arithmetic().dtype().itemsize());
  int64_t attending = 0;
  for (int64_t block = 0; block < tree.blocks(); ++block) {
    for (const auto& split : tree.splits(block)) attending += split.attends ? 1 : 0;
  }
  const int64_t prompts = attending * length_ * 2 * model.config().hidden_size * element;
  const bool slots = Decoder::computes_slots(model);
  const int64_t capacity = slots ? aligned(scored_) : scored_;
  const int64_t arranged = slots ? SharedPrompts::row_bytes(model, tree, length_) : 0;
  const int64_t decoded = tree.nodes() * capacity * Decoder::token_bytes(model) + arranged;
  return prompts + std::max(streams, decoded);
}

// What measure/effects.cpp keeps of each scored position in addition.
int64_t ScoringMemory::effects_bytes(const Model& model, const PlanTree& tree) const {
  // For each node the difference of its direct effect and three results of the final norm; the directions of
  // the true tokens, and what is computed with one node.
  const int64_t vectors = 4 * tree.nodes() + 6;
  // Two numbers for each block and node.
  const int64_t numbers = 2 * tree.blocks() * tree.nodes() * static_cast<int64_t>(sizeof(double));
  return scored_ * (vectors * stream_bytes(model) + numbers);
}

}  // namespace attention_bypass
