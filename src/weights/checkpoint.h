#pragma once

#include <string>

#include "weights/stored_tensor.h"

namespace attention_bypass {

// The tensors of a checkpoint under the canonical names of Hugging Face, whatever stands before these in the
// file: nothing for a base model, "gpt_neox." for a language model, any wrapper's names for a traced module.
class Checkpoint {
 public:
  // core: how canonical names of the stack of blocks begin. anchor: the name of the token embedding behind
  // that. Throws TENSOR_MISSING if no name ends with it.
  Checkpoint(StoredTensors weights, const std::string& core, const std::string& anchor);

  bool has(const std::string& name) const;

  // The tensor of this name, once. Throws TENSOR_MISSING, TENSOR_SHAPE, TENSOR_DTYPE.
  StoredTensor take(const std::string& name, at::IntArrayRef shape);

  // Leaves a tensor that repeats another one, such as a tied output embedding.
  void leave(const std::string& name);

  // Throws TENSOR_UNEXPECTED where weights are left: then the config describes another model. Buffers that
  // published checkpoints carry are no weights.
  void finish() const;

 private:
  std::string stored_name(const std::string& name) const;

  StoredTensors weights_;
  std::string core_;    // how canonical names of the stack of blocks begin, "gpt_neox." or "transformer."
  std::string stored_;  // how they begin in the file
  std::string outer_;   // what stands before the name of the output embedding in the file
};

}  // namespace attention_bypass
