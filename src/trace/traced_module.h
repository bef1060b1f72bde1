#pragma once

#include <torch/script.h>

#include <cstdint>
#include <string>

#include "forward/token_batch.h"

namespace attention_bypass {

// What a process that runs a stranger's code may still take.
struct ProcessLimits {
  uint64_t memory = 0;   // bytes, beside what the process has now
  uint64_t seconds = 0;  // of processor time
};

// A TorchScript module by somebody else, whose code may do anything: it is only loaded in a process of its
// own.
class TracedModule {
 public:
  // Reads the archive, limits the process for good, so that it can neither open a file nor write to one, and
  // then loads the module. Throws WEIGHTS_MISSING, TRACE_FAILED.
  TracedModule(const std::string& path, const ProcessLimits& limits);

  // The logits for one row of tokens, float32. Throws TRACE_FAILED if the module fails or returns none.
  at::Tensor logits(const TokenRow& tokens);

 private:
  torch::jit::Module module_;
};

}  // namespace attention_bypass
