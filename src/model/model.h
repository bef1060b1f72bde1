#pragma once

#include <torch/script.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "model/architecture.h"
#include "model/block.h"

namespace attention_bypass {

// The positions of tokens, and what attention needs for them.
struct Positions {
  at::Tensor values;    // (rows, length), or (1, length) if all rows have the same positions
  at::Tensor rotation;  // of these positions, see model/rotary.h; undefined if the family has none

  // Returns the positions of the rows in an index tensor.
  Positions of_rows(const at::Tensor& rows) const {
    return {values.index_select(0, rows), rotation.defined() ? rotation.index_select(0, rows) : rotation};
  }
};

// The parts of a model: embeddings, blocks, final norm and output embedding. forward/ runs tokens through
// them. Only one thread may use a model at a time.
class Model {
 public:
  Model(ModelConfig config, Architecture architecture, const Placement& placement);

  // Returns the residual stream before the first block, (rows, length, hidden size). ids, positions: (rows,
  // length).
  at::Tensor embed(const at::Tensor& ids, const at::Tensor& positions) const;
  // values: (rows, length).
  Positions positions(const at::Tensor& values) const;
  // tokens: how many the caller computes with the block.
  LoadedBlock block(int64_t index, int64_t tokens) const {
    return {blocks_[static_cast<size_t>(index)], tokens};
  }
  // The size in bytes of a block whose matrices are widened; 0 if they never are.
  int64_t widened_bytes() const;
  // Applies the final norm to the residual stream. Returns (..., hidden size) in the dtype of the arithmetic.
  at::Tensor final_norm(const at::Tensor& stream) const { return architecture_.final_norm(stream); }
  // The weight of the final norm, (hidden size).
  const at::Tensor& final_scale() const { return architecture_.final_norm.scale(); }
  // Returns rows begin to begin + count of the output embedding, on the model's device and in its dtype.
  at::Tensor output_embedding(int64_t begin, int64_t count) const;
  // Returns the rows of the output embedding for these tokens, (..., hidden size), in the dtype of the
  // stream.
  at::Tensor output_embedding(const at::Tensor& ids) const {
    return embedding_rows(architecture_.output_embedding, ids);
  }
  // Applies the final norm and the output embedding to the residual stream (..., hidden size). Returns logits
  // (..., vocabulary) in float32.
  at::Tensor unembed(const at::Tensor& stream) const;
  // Does this with all rows of the output embedding as an argument, so that an offloaded model reads them
  // only once for several calls.
  at::Tensor unembed(const at::Tensor& stream, const at::Tensor& output_embedding) const;
  // Applies only the output embedding. normed: what the final norm returned.
  at::Tensor project(const at::Tensor& normed, const at::Tensor& output_embedding) const;

  // Returns a model with the same weights in memory that computes in float32. Results are those of float32
  // weights if exact(). Not for offloaded weights.
  std::unique_ptr<Model> in_float32() const;
  // Whether weights are read from the files block by block.
  bool offloaded() const { return placement_.offload; }
  // Whether all weights have the values of the files, without rounding.
  bool exact() const { return architecture_.exact; }

  // The modules with their weights.
  const Architecture& architecture() const { return architecture_; }
  // Writes the module as a TorchScript archive with these extra files. Throws DISK_FULL, WRITE_FAILED.
  void save(const std::string& path, const std::map<std::string, std::string>& extra) const;

  const ModelConfig& config() const { return config_; }
  at::Device device() const { return placement_.options.device(); }
  // The dtype of the weights.
  at::ScalarType dtype() const { return c10::typeMetaToScalarType(placement_.options.dtype()); }
  // The device, and the dtype of the inputs and outputs of attention and MLPs.
  at::TensorOptions arithmetic() const {
    return placement_.options.dtype(architecture_.final_norm.result_type());
  }

 private:
  // Returns the rows of an embedding for these tokens, in the dtype of the stream. Only rows of tokens that
  // occur are read from the files of offloaded weights.
  at::Tensor embedding_rows(const torch::jit::Module& embedding, const at::Tensor& ids) const;

  ModelConfig config_;
  Placement placement_;
  Architecture architecture_;
  std::vector<Block> blocks_;
  at::Tensor rotation_table_;  // of all positions, (context length, 2, size); undefined: computed each time
};

}  // namespace attention_bypass
