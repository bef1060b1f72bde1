#pragma once

#include <torch/script.h>

#include <functional>

#include "checkpoint.h"
#include "config.h"
#include "control.h"
#include "script_builder.h"

namespace attention_bypass {

// A canonical model: an ordinary TorchScript module with Hugging Face's module tree, forward(input_ids) ->
// logits, and these methods besides, which drive it part by part. T tokens, H heads, D = head size.
//   root       embed(ids (R, T), positions (R, T)) -> hidden (R, T, hidden size)
//              rotation(positions (R, T)) -> what attention needs to know of positions
//              unembed(hidden) -> logits, final norm included
//   attention  project(normed, rotation) -> queries, keys, values, each (R, H, T, D)
//              attend(queries, keys, values, mask, causal) -> contribution (R, T, hidden size)
//              short_circuit(normed) -> contribution (R, T, hidden size)
//   norms, mlp forward(hidden) -> hidden
struct Architecture {
  torch::jit::Module root;
  struct Block {
    torch::jit::Module attention_norm, attention, mlp_norm, mlp;
  };
  std::vector<Block> blocks;
};

// Builds the canonical modules of either family in the dtype and on the device of options.
Architecture build_architecture(const ModelConfig& config, Checkpoint& checkpoint,
                                const at::TensorOptions& options, Control& control);

// What both families' builders need: the parts that they share.
class ArchitectureBuilder {
 public:
  ArchitectureBuilder(const ModelConfig& of, Checkpoint& from, const at::TensorOptions& as)
      : config(of), checkpoint(from), options(as) {}

  torch::jit::Module embedding(const std::string& name, int64_t count);
  torch::jit::Module linear(const std::string& name, int64_t inputs, int64_t outputs, bool bias);
  torch::jit::Module norm(const std::string& name);
  torch::jit::Module mlp(const std::string& name, const std::string& widen, const std::string& narrow);
  // A list of blocks as Hugging Face's tree has it, with the blocks' numbers as names.
  torch::jit::Module stack(const std::string& class_name, const std::vector<torch::jit::Module>& blocks);

  const ModelConfig& config;
  Checkpoint& checkpoint;
  const at::TensorOptions options;
  ScriptBuilder script;

 private:
  at::Tensor weight(const std::string& name, at::IntArrayRef shape);
};

Architecture build_gpt_neox(ArchitectureBuilder& builder, Control& control);
Architecture build_gpt_neo(ArchitectureBuilder& builder, Control& control);

}  // namespace attention_bypass
