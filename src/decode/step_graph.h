#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace attention_bypass {

// The captured graphs of a decoder's steps, one at a time: a graph repeats the launches of a step on a GPU
// without the host launching each kernel. Where this libtorch or device has no graphs, each step is computed.
class StepGraph {
 public:
  explicit StepGraph(at::Device device);
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;
  StepGraph(StepGraph&&) = delete;
  StepGraph& operator=(StepGraph&&) = delete;

  // Runs a computation whose tensors are the same in each run since the last change(), and which never waits
  // for the device. Returns its result, which the next run overwrites. The first runs compute; a later one is
  // captured, and those after it replay the graph.
  at::Tensor run(const std::function<at::Tensor()>& compute);
  // The next run has other tensors.
  void change();

 private:
  struct Captured;

  void capture(const std::function<at::Tensor()>& compute);

  at::Device device_;
  int64_t runs_ = 0;  // since the last change
  // The graph, or after a change the one before, from which the next graph takes over the memory.
  std::unique_ptr<Captured> captured_;
};

}  // namespace attention_bypass
