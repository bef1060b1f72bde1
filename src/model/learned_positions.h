#pragma once

#include <functional>
#include <string>

#include "model/architecture.h"

namespace attention_bypass {

// Differences between the families whose module tree is transformer.wte, transformer.wpe, transformer.h and
// transformer.ln_f, as GPT-2 and GPT-Neo.
struct LearnedPositions {
  struct Block {
    Architecture::Block parts;
    torch::jit::Module module;
    std::string argument;  // the TorchScript expression that the block gets in addition to the stream
  };

  std::string prefix;  // of the names of the classes, such as "GPT2"
  std::string root;    // the name of the class of the whole model
  std::function<Block(int64_t index, const std::string& name)> block;  // name: that of the block's tensors
  std::string methods;  // additional TorchScript methods of the root
};

Architecture build_with_learned_positions(ArchitectureBuilder& builder, const LearnedPositions& family,
                                          Control& control);

}  // namespace attention_bypass
