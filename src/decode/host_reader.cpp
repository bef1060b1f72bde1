#include "decode/host_reader.h"

#include <algorithm>
#include <cstring>

#include "decode/single_query_attention.h"

namespace attention_bypass {

at::Tensor HostReader::mix(const Block& block, Projections own) {
  const auto& slots = store_.at(block_);
  const auto& attending = attending_[static_cast<size_t>(block_)];
  store_tokens(own.keys, slots.keys, attending);
  store_tokens(own.values, slots.values, attending);
  const auto element = slots.keys.element_size();
  const auto offset = [element](const at::Tensor& tensor, int64_t elements) -> const void* {
    return static_cast<const char*>(tensor.const_data_ptr()) + elements * element;
  };
  std::vector<std::vector<KeyValueSpan>> seen;
  for (const auto place : attending) {
    const auto& row = *rows_[static_cast<size_t>(place)];
    const int64_t earliest =
        block.window() == 0 ? 0 : std::max<int64_t>(0, row.position() - block.window() + 1);
    auto& spans = seen.emplace_back();
    if (row.shared > earliest) {
      const auto& prompt = row.prompts->at(block_, row.prompt_node(block_));
      const int64_t begin = row.prompt_row * prompt.keys.stride(0) + earliest * prompt.keys.stride(2);
      spans.push_back({offset(prompt.keys, begin), offset(prompt.values, begin), row.shared - earliest,
                       prompt.keys.stride(2), prompt.keys.stride(1)});
    }
    const int64_t from = std::max<int64_t>(0, earliest - row.shared);
    const int64_t begin = row.slot * slots.keys.stride(0) + from * slots.keys.stride(1);
    spans.push_back({offset(slots.keys, begin), offset(slots.values, begin), row.stored + 1 - from,
                     slots.keys.stride(1), slots.keys.stride(2)});
  }
  return single_query_attention(own.queries, seen, model_.config().attention_scale);
}

void HostReader::store_tokens(const at::Tensor& tokens, const at::Tensor& slots,
                              const std::vector<int64_t>& attending) const {
  const auto element = static_cast<size_t>(slots.element_size());
  const auto head_bytes = static_cast<size_t>(tokens.size(3)) * element;
  const auto at = [element](const at::Tensor& tensor, int64_t elements) {
    return static_cast<char*>(tensor.data_ptr()) + static_cast<size_t>(elements) * element;
  };
  for (size_t index = 0; index < attending.size(); ++index) {
    const auto& row = *rows_[static_cast<size_t>(attending[index])];
    const int64_t to = row.slot * slots.stride(0) + row.stored * slots.stride(1);
    for (int64_t head = 0; head < tokens.size(1); ++head) {
      std::memcpy(at(slots, to + head * slots.stride(2)),
                  at(tokens, static_cast<int64_t>(index) * tokens.stride(0) + head * tokens.stride(1)),
                  head_bytes);
    }
  }
}

}  // namespace attention_bypass
