#pragma once

#include <torch/script.h>

#include <optional>

#include "base/config.h"
#include "base/control.h"
#include "model/attention.h"
#include "model/layer_norm.h"
#include "model/linear.h"
#include "model/mlp.h"
#include "model/script_builder.h"
#include "weights/checkpoint.h"
#include "weights/offloaded_matrices.h"

namespace attention_bypass {

// A model as a TorchScript module with Hugging Face's module tree and forward(input_ids) -> logits, which
// archives contain, and its parts, which the core computes with. Both have the same weights.
// In half-precision models, the residual stream and the weights of norms are float32: half precision would
// round away part of what each block adds to the stream.
struct Architecture {
  struct Block {
    LayerNorm attention_norm;
    Attention::Layers attention;
    LayerNorm mlp_norm;
    Mlp mlp;
  };

  torch::jit::Module root;
  // Modules with a `weight`: (vocabulary, hidden size), and (positions, hidden size) if positions are
  // learned.
  torch::jit::Module token_embedding, output_embedding;
  std::optional<torch::jit::Module> position_embedding;
  at::Tensor rotary_frequencies;  // undefined if the family has no rotary position embeddings
  LayerNorm final_norm;
  std::vector<Block> blocks;
  OffloadedWeights offloaded = {};
  bool exact = true;  // whether all weights have the values of the files, without rounding
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
  enum class Bias : uint8_t { none, stored, zeros };
  Linear linear(const std::string& name, int64_t inputs, int64_t outputs, Bias bias);
  // Hugging Face's Conv1D: a linear layer with a bias whose weight is stored as (inputs, outputs).
  Linear transposed_linear(const std::string& name, int64_t inputs, int64_t outputs);
  LayerNorm norm(const std::string& name);
  // up, down: the names of the projections. transposed: build them with transposed_linear.
  Mlp mlp(const std::string& name, const std::string& up, const std::string& down, bool transposed = false);
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
  // Heads that attend only to the token itself, for an attention module whose forward() has the tensors
  // `mixed` and `values`, (rows, heads, length, head size): the line of forward() that replaces head outputs,
  // and the member that it reads. Both are empty if the model has no such heads.
  struct ShortCircuit {
    std::vector<ScriptBuilder::Member> members;
    std::string line;
  };
  ShortCircuit short_circuit(int64_t block) const;
  // Builds Hugging Face's module list of blocks, with the indices of the blocks as names.
  torch::jit::Module stack(const std::string& class_name, const std::vector<torch::jit::Module>& blocks);

  const ModelConfig& config;
  Checkpoint& checkpoint;
  const at::TensorOptions options;
  ScriptBuilder script;
  OffloadedWeights offloaded;
  bool exact = true;

 private:
  // The weight of a module. If it is offloaded, `weight` is empty and `stored` is the tensor in the file.
  struct Matrix {
    at::Tensor weight;
    std::optional<StoredTensor> stored;
  };
  Matrix matrix(const std::string& name, at::IntArrayRef shape, bool in_memory);
  // Takes a tensor from the checkpoint. as: the dtype in which it will be used.
  StoredTensor take(const std::string& name, at::IntArrayRef shape, at::ScalarType as);
  // Adds the module to `offloaded` if its weight is. Returns the module.
  torch::jit::Module register_offloaded(torch::jit::Module module, Matrix matrix);
  at::Tensor vector(const std::string& name, int64_t size, at::ScalarType type);

  bool offload_;
};

Architecture build_gpt_neox(ArchitectureBuilder& builder, Control& control);
Architecture build_gpt_neo(ArchitectureBuilder& builder, Control& control);
Architecture build_gpt2(ArchitectureBuilder& builder, Control& control);

}  // namespace attention_bypass
