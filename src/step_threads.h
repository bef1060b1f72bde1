#pragma once

#include <ATen/Parallel.h>

#include <cstdint>

#include "config.h"
#include "operations.h"

namespace attention_bypass {

// One thread for a step of decoding on the CPU whose products are over before the other threads have woken
// up; as many as before after it. Where cores are shared, waiting for such threads takes most of the step.
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
  // Of one block. Measured: with fewer two threads gain nothing over one, with four times as many they do.
  static constexpr double least_operations = 4e6;

  int before_;
};

}  // namespace attention_bypass
