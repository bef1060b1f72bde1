#pragma once

#include <torch/script.h>

#include <cstdint>
#include <string>

#include "forward/token_batch.h"

namespace attention_bypass {

// Resource limits for a process that runs untrusted code.
struct ProcessLimits {
  uint64_t memory = 0;   // bytes in addition to the current size of the process
  uint64_t seconds = 0;  // CPU time
};

// An untrusted TorchScript module, whose code may do anything. Load it only in a separate process.
class TracedModule {
 public:
  // Reads the archive, limits the process permanently, and then loads the module. After that, the process can
  // neither open files nor write to them. Throws WEIGHTS_MISSING, TRACE_FAILED.
  TracedModule(const std::string& path, const ProcessLimits& limits);

  // Returns the logits for one row of tokens, float32. Throws TRACE_FAILED if the module fails or returns
  // none.
  at::Tensor logits(const TokenRow& tokens);

 private:
  torch::jit::Module module_;
};

}  // namespace attention_bypass
