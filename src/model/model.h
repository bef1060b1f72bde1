#pragma once

#include <torch/script.h>

#include <map>
#include <string>
#include <vector>

#include "base/config.h"
#include "model/architecture.h"
#include "model/block.h"

namespace attention_bypass {

// Positions of tokens, and what attention needs to know of them.
struct Positions {
  at::Tensor values;    // (rows, length); one row where all rows agree
  at::Tensor rotation;  // (rows, ...), as the family's attention takes it

  // Those of some rows, given by an index tensor.
  Positions of_rows(const at::Tensor& rows) const {
    return {values.index_select(0, rows), rotation.index_select(0, rows)};
  }
};

// A model as its parts: what is before the blocks, the blocks, and what is after them. How tokens go through
// them is in forward/. Only one thread may use a model at a time.
class Model {
 public:
  Model(ModelConfig config, Architecture architecture, const Placement& placement);

  // The residual stream before the first block, (rows, length, hidden size), from (rows, length) each.
  at::Tensor embed(const at::Tensor& ids, const at::Tensor& positions) const;
  // Of positions (rows, length).
  Positions positions(const at::Tensor& values) const;
  LoadedBlock block(int64_t index) const { return LoadedBlock(blocks_[static_cast<size_t>(index)]); }
  // The residual stream as the output embedding takes it, (..., hidden size) in the model's dtype.
  at::Tensor final_norm(const at::Tensor& stream) const;
  // The scale of the final norm, (hidden size).
  at::Tensor final_scale() const { return final_scale_; }
  // Rows begin to begin + count of the output embedding, on the model's device and in its dtype.
  at::Tensor output_embedding(int64_t begin, int64_t count) const;
  // Logits in float32 from the residual stream, including the final norm: (..., hidden size) -> (...,
  // vocabulary).
  at::Tensor unembed(const at::Tensor& stream) const;

  // Writes the module as a TorchScript archive, with these extra files in it. Throws DISK_FULL, WRITE_FAILED.
  void save(const std::string& path, const std::map<std::string, std::string>& extra) const;

  const ModelConfig& config() const { return config_; }
  const at::TensorOptions& options() const { return placement_.options; }
  at::Device device() const { return placement_.options.device(); }
  at::ScalarType dtype() const { return c10::typeMetaToScalarType(placement_.options.dtype()); }

 private:
  ModelConfig config_;
  Placement placement_;
  torch::jit::Module root_;
  torch::jit::Method embed_, rotation_, final_norm_;
  torch::jit::Module token_embedding_, output_embedding_;
  at::Tensor final_scale_;
  OffloadedWeights offloaded_;
  std::vector<Block> blocks_;
};

}  // namespace attention_bypass
