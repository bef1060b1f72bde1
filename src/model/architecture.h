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

// A model as a TorchScript module with Hugging Face's module tree and forward(input_ids) -> logits. These
// methods run it part by part. R rows, T tokens, H heads, D = head size.
//   root       embed(ids (R, T), positions (R, T)) -> residual stream (R, T, hidden size)
//              rotation(positions (R, T)) -> what attention needs for positions
//              unembed(residual stream) -> logits, final norm included
//   attention  project(normed, rotation) -> queries, keys, values, each (R, H, T, D)
//              mix(queries, keys, values, mask, causal) -> mixed values (R, T, hidden size)
//              output(mixed values) -> contribution to the residual stream (R, T, hidden size)
//              short_circuit(normed) -> contribution (R, T, hidden size)
//              weights() -> weights of queries, keys, values (H, D, hidden size), their biases (H, D), the
//              output's weight (H, hidden size, D) and bias (hidden size); zeros if there is no bias
//   norms      forward(residual stream) -> normed
//   mlp        forward(normed) -> contribution (R, T, hidden size)
//              activate(x) -> the activation
//              weights() -> the weight of the up-projection, its bias, the weight of the down-projection
// In half-precision models, the residual stream and the weights of norms are float32: half precision would
// round away part of what each block adds to the stream.
struct Architecture {
  torch::jit::Module root, final_norm;
  torch::jit::Module token_embedding, output_embedding;  // their weights are (vocabulary, hidden size)
  struct Block {
    torch::jit::Module attention_norm, attention, mlp_norm, mlp;
  };
  std::vector<Block> blocks;
  OffloadedWeights offloaded;
};

// Where a model computes and where its matrices are kept.
struct Placement {
  at::TensorOptions options;  // the device and dtype of the arithmetic
  // Keep the matrices in their files and copy one block at a time to the device.
  bool offload = false;
};

// Builds the modules of a model of the config's family. Throws what reading weights throws, and
// ACTIVATION_UNSUPPORTED.
Architecture build_architecture(const ModelConfig& config, Checkpoint& checkpoint, const Placement& placement,
                                Control& control);

// Builds the modules that all families use.
class ArchitectureBuilder {
 public:
  ArchitectureBuilder(const ModelConfig& of, Checkpoint& from, const Placement& as)
      : config(of), checkpoint(from), options(as.options), offload_(as.offload) {}

  at::ScalarType dtype() const { return c10::typeMetaToScalarType(options.dtype()); }
  at::ScalarType stream_dtype() const { return dtype() == at::kDouble ? at::kDouble : at::kFloat; }
  // in_memory: load the weight even if matrices are offloaded.
  torch::jit::Module embedding(const std::string& name, int64_t count, bool in_memory);
  torch::jit::Module linear(const std::string& name, int64_t inputs, int64_t outputs, bool bias);
  // Hugging Face's Conv1D: a linear layer with a bias whose weight is stored as (inputs, outputs).
  torch::jit::Module transposed_linear(const std::string& name, int64_t inputs, int64_t outputs);
  torch::jit::Module norm(const std::string& name);
  // up, down: the names of the projections. transposed: build them with transposed_linear.
  torch::jit::Module mlp(const std::string& name, const std::string& up, const std::string& down,
                         bool transposed = false);
  // The names of a block's parts in Hugging Face's module tree.
  struct BlockNames {
    std::string attention_norm, attention, mlp_norm, mlp;
  };
  // Builds a block with forward(hidden, argument), for the archive: the core uses forward/block_step.cpp,
  // which computes the same. attention: a module with forward(normed, argument). argument: name and type,
  // such as "rotation: Tensor".
  torch::jit::Module block(const std::string& class_name, const BlockNames& names,
                           const Architecture::Block& parts, const torch::jit::Module& attention,
                           const std::string& argument);
  // The output embedding, and the TorchScript expression of the root that computes logits from `hidden`.
  struct OutputEmbedding {
    torch::jit::Module module;
    std::string expression;
  };
  struct OutputNames {
    std::string stored;  // in the checkpoint
    std::string member;  // in the root
  };
  // Builds the output embedding and adds it to the members of the root. If the config ties it to the token
  // embedding, which has the path `token_path` in the root, that is returned instead.
  OutputEmbedding output_embedding(const torch::jit::Module& token_embedding, const std::string& token_path,
                                   const OutputNames& names, std::vector<ScriptBuilder::Member>& members);
  // Builds Hugging Face's module list of blocks, with the indices of the blocks as names.
  torch::jit::Module stack(const std::string& class_name, const std::vector<torch::jit::Module>& blocks);

  const ModelConfig& config;
  Checkpoint& checkpoint;
  const at::TensorOptions options;
  ScriptBuilder script;
  OffloadedWeights offloaded;

 private:
  // The weight of a module. If it is offloaded, `weight` is empty and `stored` is the tensor in the file.
  struct Matrix {
    at::Tensor weight;
    std::optional<StoredTensor> stored;
  };
  Matrix matrix(const std::string& name, at::IntArrayRef shape, bool in_memory);
  // Adds the module to `offloaded` if its weight is. Returns the module.
  torch::jit::Module register_offloaded(torch::jit::Module module, Matrix matrix);
  at::Tensor vector(const std::string& name, int64_t size, at::ScalarType type);

  bool offload_;
};

Architecture build_gpt_neox(ArchitectureBuilder& builder, Control& control);
Architecture build_gpt_neo(ArchitectureBuilder& builder, Control& control);
Architecture build_gpt2(ArchitectureBuilder& builder, Control& control);

}  // namespace attention_bypass
