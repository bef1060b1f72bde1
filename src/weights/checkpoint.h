#pragma once

#include <string>

#include "weights/stored_tensor.h"

namespace attention_bypass {

// Finds the tensors of a checkpoint by their canonical Hugging Face names. In the file these names may have
// any prefix: none for a base model, "gpt_neox." for a language model, the wrapper's names for a traced
// module.
class Checkpoint {
 public:
  // core: the prefix of the canonical names of the blocks and embeddings. anchor: the name of the token
  // embedding after that prefix. Throws TENSOR_MISSING if no name ends with the anchor.
  Checkpoint(StoredTensors weights, const std::string& core, const std::string& anchor);

  bool has(const std::string& name) const;

  // Removes the tensor of this name from the checkpoint and returns it. Throws TENSOR_MISSING, TENSOR_SHAPE,
  // TENSOR_DTYPE.
  StoredTensor take(const std::string& name, at::IntArrayRef shape);

  // Ignores a tensor that repeats another one, such as a tied output embedding.
  void leave(const std::string& name);

  // Throws TENSOR_UNEXPECTED if weights were neither taken nor ignored: the config then describes another
  // model. Buffers such as attention masks are not counted.
  void finish() const;

 private:
  std::string stored_name(const std::string& name) const;

  StoredTensors weights_;
  std::string core_;    // the canonical prefix, "gpt_neox." or "transformer."
  std::string stored_;  // the prefix in the file that stands for core_
  std::string outer_;   // the prefix in the file of names without core_, such as the output embedding
};

}  // namespace attention_bypass
