#pragma once

#include <ATen/Parallel.h>

#include <cstdint>

#include "base/config.h"
#include "base/operations.h"

namespace attention_bypass {

// Runs a small decoding step on one thread and restores the number of threads afterwards. In such a step
// starting the other threads takes longer than they save, and much longer if other processes use the cores.
class StepThreads {
 public:
  StepThreads(const ModelConfig& config, size_t positions) : before_(at::get_num_threads()) {
    const double block = static_cast<double>(positions) * Operations(config).block();
    if (block < least_operations) at::set_num_threads(1);
  }
  ~StepThreads() { at::set_num_threads(before_); }
  StepThreads(const StepThreads&) = delete;
  StepThreads& operator=(const StepThreads&) = delete;
  StepThreads(StepThreads&&) = delete;
  StepThreads& operator=(StepThreads&&) = delete;

 private:
  // Floating-point operations of one block. Measured on two cores: below this number two threads are no
  // faster than one; at four times this number they are.
  static constexpr double least_operations = 4e6;

  int before_;
};

}  // namespace attention_bypass
