#pragma once

#include <vector>

#include "decode/decoding_row.h"
#include "decode/key_value_store.h"

namespace attention_bypass {

// Attention on the CPU: each query reads the keys and values of its row in place, prompt and slot.
class HostReader final : public DecodingReader {
 public:
  // attending: for each block, the indices of the rows that attend. Arguments must outlive this object.
  HostReader(const Model& model, KeyValueStore& store, const std::vector<DecodingRow*>& rows,
             const std::vector<std::vector<int64_t>>& attending)
      : model_(model), store_(store), rows_(rows), attending_(attending) {}

  at::Tensor mix(const Block& block, Projections own) override;

 private:
  // Copies the key or value of each attending row's token, (rows, heads, 1, head size), to the row's slot.
  void store_tokens(const at::Tensor& tokens, const at::Tensor& slots,
                    const std::vector<int64_t>& attending) const;

  const Model& model_;
  KeyValueStore& store_;
  const std::vector<DecodingRow*>& rows_;
  const std::vector<std::vector<int64_t>>& attending_;
};

}  // namespace attention_bypass
