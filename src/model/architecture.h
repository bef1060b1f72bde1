#pragma once

#include <torch/script.h>

#include <functional>
#include <optional>

#include "base/config.h"
#include "base/control.h"
#include "model/script_builder.h"
#include "weights/checkpoint.h"
#include "weights/offloaded_matrices.h"

namespace attention_bypass {

// A canonical model: an ordinary TorchScript module with Hugging Face's module tree, forward(input_ids) ->
// logits, and these methods besides, which drive it part by part. T tokens, H heads, D = head size.
//   root       embed(ids (R, T), positions (R, T)) -> residual stream (R, T, hidden size)
//              rotation(positions (R, T)) -> what attention needs to know of positions
//              unembed(residual stream) -> logits, final norm included
//   attention  project(normed, rotation) -> queries, keys, values, each (R, H, T, D)
//              mix(queries, keys, values, mask, causal) -> mixed values (R, T, hidden size)
//              output(mixed values) -> contribution to the residual stream (R, T, hidden size)
//              short_circuit(normed) -> contribution (R, T, hidden size)
//   norms      forward(residual stream) -> normed
//   mlp        forward(normed) -> contribution
//              weights() -> queries', keys', values' (H, D, hidden size) and biases (H, D), the output's
//              (H, hidden size, D) and bias (hidden size); zeros where there is no bias
//   mlp        activate(x), between its matrices; weights() -> the first's, its bias, the second's
// The residual stream and what norms hold are float32 in models of less: sums over many blocks would lose in
// half precision what each block adds.
struct Architecture {
  torch::jit::Module root, final_norm;
  torch::jit::Module token_embedding, output_embedding;  // their weights: (vocabulary, hidden size)
  struct Block {
    torch::jit::Module attention_norm, attention, mlp_norm, mlp;
  };
  std::vector<Block> blocks;
  OffloadedWeights offloaded;
};

// Where a model computes, and where its matrices stay.
struct Placement {
  at::TensorOptions options;  // the device and dtype of the arithmetic
  // Matrices stay in the files, and each block's are read and copied to the device while the block works.
  bool offload = false;
};

// Builds the canonical modules of the config's family.
Architecture build_architecture(const ModelConfig& config, Checkpoint& checkpoint, const Placement& placement,
                                Control& control);

// The parts that the families share.
class ArchitectureBuilder {
 public:
  ArchitectureBuilder(const ModelConfig& of, Checkpoint& from, const Placement& as)
      : config(of), checkpoint(from), options(as.options), offload_(as.offload) {}

  at::ScalarType dtype() const { return c10::typeMetaToScalarType(options.dtype()); }
  at::ScalarType stream_dtype() const { return dtype() == at::kDouble ? at::kDouble : at::kFloat; }
  // Where matrices are offloaded this one is too, unless it is to stay in memory.
  torch::jit::Module embedding(const std::string& name, int64_t count, bool in_memory);
  torch::jit::Module linear(const std::string& name, int64_t inputs, int64_t outputs, bool bias);
  // A linear layer with a bias whose weight is stored as (inputs, outputs), Hugging Face's Conv1D.
  torch::jit::Module transposed_linear(const std::string& name, int64_t inputs, int64_t outputs);
  torch::jit::Module norm(const std::string& name);
  // transposed: its layers are stored as transposed_linear has them.
  torch::jit::Module mlp(const std::string& name, const std::string& widen, const std::string& narrow,
                         bool transposed = false);
  // The names of a block's parts in Hugging Face's tree.
  struct BlockNames {
    std::string attention_norm, attention, mlp_norm, mlp;
  };
  // A block's own forward(hidden, argument) in the archive, which adds its parts to the stream as
  // forward/block_step.cpp does. attention: forward(normed, argument). argument: with its type, such as
  // "rotation: Tensor".
  torch::jit::Module block(const std::string& class_name, const BlockNames& names,
                           const Architecture::Block& parts, const torch::jit::Module& attention,
                           const std::string& argument);
  // A list of blocks as Hugging Face's tree has it, with the blocks' numbers as names.
  torch::jit::Module stack(const std::string& class_name, const std::vector<torch::jit::Module>& blocks);

  const ModelConfig& config;
  Checkpoint& checkpoint;
  const at::TensorOptions options;
  ScriptBuilder script;
  OffloadedWeights offloaded;

 private:
  // A module's weight, which is empty for one that stays in its file; keep() remembers which that is.
  struct Matrix {
    at::Tensor weight;
    std::optional<StoredTensor> stored;
  };
  Matrix matrix(const std::string& name, at::IntArrayRef shape, bool in_memory);
  torch::jit::Module keep(torch::jit::Module module, Matrix matrix);
  at::Tensor vector(const std::string& name, int64_t size, at::ScalarType type);

  bool offload_;
};

Architecture build_gpt_neox(ArchitectureBuilder& builder, Control& control);
Architecture build_gpt_neo(ArchitectureBuilder& builder, Control& control);
Architecture build_gpt2(ArchitectureBuilder& builder, Control& control);

}  // namespace attention_bypass
