#include "lane_decoder.h"

#include <algorithm>
#include <map>

#include "head_bypass.h"
#include "not_finite.h"
#include "single_query_attention.h"
#include "step_threads.h"
#include "vocabulary.h"

namespace attention_bypass {

LaneDecoder::LaneDecoder(const Model& model, const PlanTree& tree, const PromptCache& cache,
                         std::vector<Lane> lanes)
    : model_(model), tree_(tree), cache_(cache), costs_(model.config()) {
  // Plans of one row side by side: they read the same prompt.
  std::sort(lanes.begin(), lanes.end(), [](const Lane& left, const Lane& right) {
    return left.row != right.row ? left.row < right.row : left.stem < right.stem;
  });
  int64_t tokens = 0;
  for (const auto& lane : lanes) {
    lanes_.push_back({lane, tokens, lane.position});
    tokens += lane.end - 1 - lane.position;
  }
  const auto& config = model.config();
  for (int64_t block = 0; block < config.block_count; ++block) {
    const auto room = [&] {
      return at::empty({tokens, config.head_count, config.head_size()}, model.options());
    };
    own_.push_back({room(), room()});
  }
}

int64_t LaneDecoder::token_bytes(const Model& model) {
  return 2 * model.config().block_count * model.config().hidden_size *
         static_cast<int64_t>(c10::elementSize(model.dtype()));
}

double LaneDecoder::operations(const Model& model, const std::vector<Lane>& lanes) {
  const Operations costs(model.config());
  double tokens = 0;
  for (const auto& lane : lanes) tokens += static_cast<double>(lane.end - 1 - lane.position);
  return tokens * (static_cast<double>(model.config().block_count) * costs.block() + costs.head());
}

void LaneDecoder::run(Control& control) {
  while (!lanes_.empty()) {
    step(control);
    lanes_.erase(std::remove_if(lanes_.begin(), lanes_.end(),
                                [](const Working& lane) { return lane.position + 1 >= lane.end; }),
                 lanes_.end());
  }
}

void LaneDecoder::step(Control& control) {
  const StepThreads threads(model_.config(), lanes_.size());
  std::vector<int64_t> tokens, positions;
  for (const auto& lane : lanes_) {
    tokens.push_back(lane.decoded[lane.position - lane.first]);
    positions.push_back(lane.position);
  }
  const auto column = [this](const std::vector<int64_t>& values) {
    return at::tensor(values, at::kLong).unsqueeze(1).to(model_.device());
  };
  const auto places = column(positions);
  auto hidden = model_.embed(column(tokens), places);
  const auto rotation = model_.rotation(places);
  double operations = 0;
  for (int64_t index = 0; index < tree_.blocks(); ++index) {
    control.check();
    const auto block = model_.block(index);
    std::vector<size_t> attending;
    std::map<BlockBypass, std::vector<size_t>> bypassed;
    for (size_t lane = 0; lane < lanes_.size(); ++lane) {
      const auto& bypass = bypass_of(lane, index);
      if (bypass.attends()) {
        attending.push_back(lane);
      } else if (bypass.mode != BypassMode::zero) {
        bypassed[bypass].push_back(lane);
      }
    }
    const auto mlp = model_.parallel_residual() ? block->mlp(hidden) : at::Tensor();
    // Each reads and adds to lanes of its own.
    for (const auto& [bypass, lanes] : bypassed) {
      const auto which = indices(lanes);
      const auto contribution =
          block->bypassed(bypass, [&] { return block->normed(hidden.index_select(0, which)); });
      hidden.index_add_(0, which,
                        contribution.to(hidden.scalar_type()).expand({which.size(0), 1, hidden.size(2)}));
      if (bypass.mode == BypassMode::short_circuit) {
        operations += static_cast<double>(lanes.size()) * costs_.short_circuit();
      }
    }
    if (attending.size() == lanes_.size()) {
      hidden.add_(attend(block, index, attending, block->normed(hidden), rotation));
    } else if (!attending.empty()) {
      const auto which = indices(attending);
      // Of the rotation's axes the lanes are the second where there is one, and the first elsewhere.
      const auto turns = rotation.index_select(rotation.dim() > 2 ? 1 : 0, which);
      const auto contribution =
          attend(block, index, attending, block->normed(hidden.index_select(0, which)), turns);
      hidden.index_add_(0, which, contribution.to(hidden.scalar_type()));
    }
    hidden.add_(mlp.defined() ? mlp : block->mlp(hidden));
    operations += static_cast<double>(attending.size()) * (costs_.project() + costs_.output()) +
                  static_cast<double>(lanes_.size()) * costs_.mlp();
    for (const auto lane : attending) {
      operations += costs_.mix(static_cast<double>(lanes_[lane].position + 1));
    }
  }
  control.advance(operations);
  const auto best = best_tokens(model_, hidden.select(1, 0), control);
  if (best.not_finite) refuse(lanes_[*best.not_finite], control);
  for (size_t lane = 0; lane < lanes_.size(); ++lane) {
    auto& working = lanes_[lane];
    ++working.position;
    working.decoded[working.position - working.first] = best.tokens[lane];
  }
}

void LaneDecoder::refuse(const Lane& lane, Control& control) const {
  TokenRow tokens(lane.sequence->begin(), lane.sequence->begin() + lane.first);
  tokens.insert(tokens.end(), lane.decoded, lane.decoded + (lane.position - lane.first) + 1);
  throw_not_finite(model_, tokens, tree_.plan(lane.stem), "decoding", control);
}

const BlockBypass& LaneDecoder::bypass_of(size_t lane, int64_t block) const {
  return tree_.plan(lanes_[lane].stem)[static_cast<size_t>(block)];
}

at::Tensor LaneDecoder::indices(const std::vector<size_t>& places) const {
  return at::tensor(std::vector<int64_t>(places.begin(), places.end()), at::kLong).to(model_.device());
}

at::Tensor LaneDecoder::attend(const Model::BlockAtWork& block, int64_t index,
                               const std::vector<size_t>& lanes, const at::Tensor& normed,
                               const at::Tensor& rotation) {
  const auto projections = block->project(normed, rotation);
  std::vector<int64_t> places;
  for (const auto lane : lanes) places.push_back(lanes_[lane].own_begin + lanes_[lane].own() - 1);
  const auto where = at::tensor(places, at::kLong).to(model_.device());
  auto& own = own_[static_cast<size_t>(index)];
  own.keys.index_copy_(0, where, projections.keys.select(2, 0));
  own.values.index_copy_(0, where, projections.values.select(2, 0));
  const bool in_place = model_.device().is_cpu() && model_.dtype() != at::kHalf;
  const auto mixed = in_place ? mix_in_place(index, lanes, projections.queries.select(2, 0), block->window())
                              : mix_gathered(block, index, lanes, projections.queries);
  std::map<BlockBypass, std::vector<size_t>> by_heads;
  for (size_t place = 0; place < lanes.size(); ++place) {
    const auto& bypass = bypass_of(lanes[place], index);
    if (!bypass.heads.empty()) by_heads[bypass].push_back(place);
  }
  for (const auto& [bypass, members] : by_heads) {
    const auto which = indices(members);
    mixed.index_copy_(
        0, which,
        bypass_heads(bypass, mixed.index_select(0, which), projections.values.index_select(0, which)));
  }
  return block->output(mixed);
}

at::Tensor LaneDecoder::mix_in_place(int64_t index, const std::vector<size_t>& lanes,
                                     const at::Tensor& queries, int64_t window) const {
  const auto& own = own_[static_cast<size_t>(index)];
  const auto element = static_cast<int64_t>(c10::elementSize(model_.dtype()));
  const auto offset = [element](const at::Tensor& tensor, int64_t elements) -> const void* {
    return static_cast<const char*>(tensor.const_data_ptr()) + elements * element;
  };
  std::vector<std::vector<KeyValueSpan>> seen;
  for (const auto lane : lanes) {
    const auto& working = lanes_[lane];
    const auto& prompt = cache_.at(index, tree_.ancestor(working.stem, index));
    const int64_t earliest = window == 0 ? 0 : std::max<int64_t>(0, working.position - window + 1);
    const int64_t from_prompt = std::min(earliest, working.prompt);
    const int64_t from_own = std::max<int64_t>(0, earliest - working.prompt);
    const int64_t size = prompt.keys.stride(2);
    const int64_t prompt_begin = working.row * prompt.keys.stride(0) + from_prompt * size;
    const int64_t own_begin = (working.own_begin + from_own) * own.keys.stride(0);
    seen.push_back({{offset(prompt.keys, prompt_begin), offset(prompt.values, prompt_begin),
                     working.prompt - from_prompt, size, prompt.keys.stride(1)},
                    {offset(own.keys, own_begin), offset(own.values, own_begin), working.own() - from_own,
                     own.keys.stride(0), own.keys.stride(1)}});
  }
  return single_query_attention(queries, seen, model_.config().attention_scale()).flatten(1).unsqueeze(1);
}

at::Tensor LaneDecoder::mix_gathered(const Model::BlockAtWork& block, int64_t index,
                                     const std::vector<size_t>& lanes, const at::Tensor& queries) const {
  const auto longs = [this](const std::vector<int64_t>& values) {
    return at::tensor(values, at::kLong).to(model_.device());
  };
  std::map<int64_t, std::pair<std::vector<int64_t>, std::vector<int64_t>>> by_stem;  // places here, and rows
  std::vector<int64_t> prompts, owns, begins;
  for (size_t place = 0; place < lanes.size(); ++place) {
    const auto& lane = lanes_[lanes[place]];
    auto& [places, rows] = by_stem[tree_.ancestor(lane.stem, index)];
    places.push_back(static_cast<int64_t>(place));
    rows.push_back(lane.row);
    prompts.push_back(lane.prompt);
    owns.push_back(lane.own());
    begins.push_back(lane.own_begin);
  }
  const auto column = [&](const std::vector<int64_t>& values) { return longs(values).unsqueeze(1); };
  const auto counting = [this](int64_t count) {
    return at::arange(count, at::TensorOptions(at::kLong).device(model_.device())).unsqueeze(0);
  };
  const int64_t longest_own = *std::max_element(owns.begin(), owns.end());
  const int64_t longest_prompt = *std::max_element(prompts.begin(), prompts.end());
  const auto ahead = counting(longest_own);
  // Behind a lane's end anything will do: it is hidden.
  const auto own_places = column(begins) + at::minimum(ahead, column(owns) - 1);
  const auto gathered = [&](at::Tensor PromptCache::Entry::* shared, const at::Tensor& mine) {
    auto prompt = at::empty({static_cast<int64_t>(lanes.size()), mine.size(1), longest_prompt, mine.size(2)},
                            mine.options());
    for (const auto& [stem, members] : by_stem) {
      const auto& entry = cache_.at(index, stem).*shared;
      prompt.index_copy_(0, longs(members.first),
                         entry.narrow(2, 0, longest_prompt).index_select(0, longs(members.second)));
    }
    const auto own = mine.index_select(0, own_places.flatten())
                         .view({own_places.size(0), own_places.size(1), mine.size(1), mine.size(2)});
    return at::cat({prompt, own.transpose(1, 2)}, 2);
  };
  const auto& own = own_[static_cast<size_t>(index)];
  const auto behind = counting(longest_prompt);
  const auto key_positions =
      at::cat({at::where(behind < column(prompts), behind, hidden_position),
               at::where(ahead < column(owns), ahead + column(prompts), hidden_position)},
              1);
  Visibility visibility(column(prompts) + column(owns) - 1, key_positions, false);
  return block->mix({queries, gathered(&PromptCache::Entry::keys, own.keys),
                     gathered(&PromptCache::Entry::values, own.values)},
                    visibility.within(block->window()));
}

}  // namespace attention_bypass
