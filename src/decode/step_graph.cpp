#include "decode/step_graph.h"

#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <ATen/DeviceAccelerator.h>

// Since libtorch 2.13.
#if __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/accelerator/Graph.h>
#define ATTENTION_BYPASS_GRAPHS 1
#else
#define ATTENTION_BYPASS_GRAPHS 0
#endif

namespace attention_bypass {

#if ATTENTION_BYPASS_GRAPHS

struct StepGraph::Recording {
  at::accelerator::Graph graph;
  at::Tensor result;
};

StepGraph::StepGraph(at::Device device)
    : device_(device), possible_(!device.is_cpu() && at::has_graph_impl(device.type())) {}

bool StepGraph::record(const std::function<at::Tensor()>& compute) {
  auto recording = std::make_unique<Recording>();
  try {
    // The default stream can't be recorded. What it still computes must not mix with the recording.
    const c10::impl::VirtualGuardImpl streams(device_.type());
    at::accelerator::synchronizeDevice(device_.index());
    const c10::StreamGuard guard(streams.getStreamFromGlobalPool(device_));
    recording->graph.capture_begin({0, 0}, at::GraphCaptureMode::ThreadLocal);
    try {
      recording->result = compute();
    } catch (...) {
      recording->graph.capture_end();
      throw;
    }
    recording->graph.capture_end();
  } catch (const c10::Error&) {
    // Recording computes nothing, so the step can still be computed.
    return false;
  }
  recording_ = std::move(recording);
  return true;
}

#else

struct StepGraph::Recording {};

StepGraph::StepGraph(at::Device device) : device_(device), possible_(false) {}

#endif

StepGraph::~StepGraph() = default;

at::Tensor StepGraph::run(const std::function<at::Tensor()>& compute) {
#if ATTENTION_BYPASS_GRAPHS
  // The first run loads kernels and allocates what later runs keep.
  if (possible_ && warm_ && !recording_) possible_ = record(compute);
  if (recording_) {
    recording_->graph.replay();
    return recording_->result;
  }
#endif
  warm_ = true;
  return compute();
}

}  // namespace attention_bypass
