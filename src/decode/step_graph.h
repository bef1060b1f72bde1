#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <memory>

namespace attention_bypass {

// Repeats the same computation on a GPU without launching its kernels one by one. The second run records the
// launches in a graph, and later runs replay it. Where this libtorch or device has no graphs, each run
// computes.
class StepGraph {
 public:
  explicit StepGraph(at::Device device);
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;
  StepGraph(StepGraph&&) = delete;
  StepGraph& operator=(StepGraph&&) = delete;

  // Runs a computation whose tensors are the same in each run and which never waits for the device. Returns
  // its result, which the next run overwrites.
  at::Tensor run(const std::function<at::Tensor()>& compute);

 private:
  struct Recording;

  bool record(const std::function<at::Tensor()>& compute);

  at::Device device_;
  bool possible_;
  bool warm_ = false;
  std::unique_ptr<Recording> recording_;
};

}  // namespace attention_bypass
