#include "decode/step_graph.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>
#include <optional>

// Since libtorch 2.13.
#if __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/accelerator/Graph.h>
#define ATTENTION_BYPASS_GRAPHS 1
#else
#define ATTENTION_BYPASS_GRAPHS 0
#endif

namespace attention_bypass {

#if ATTENTION_BYPASS_GRAPHS

namespace {

// A capture takes longer than some steps. The first run also loads kernels and allocates what later runs
// keep.
constexpr int64_t runs_before_capture = 4;

// After a capture has failed, libtorch may be left in the middle of it, so the process does not try again.
std::atomic<bool>& failed() {
  static std::atomic<bool> any = false;
  return any;
}

bool can_capture(at::Device device) {
  return !device.is_cpu() && !failed() && at::has_graph_impl(device.type());
}

// The stream on which all graphs of this thread are captured; the default stream can't be. Libtorch keeps
// memory and workspaces for each stream.
c10::Stream capture_stream(at::Device device) {
  thread_local std::optional<c10::Stream> stream;
  if (!stream || stream->device() != device) {
    stream = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
  }
  return *stream;
}

}  // namespace

struct StepGraph::Captured {
  at::accelerator::Graph graph;
  at::Tensor result;
  bool current = true;
};

void StepGraph::capture(const std::function<at::Tensor()>& compute) {
  auto next = std::make_unique<Captured>();
  try {
    // What the device still computes must not mix with the capture.
    at::accelerator::synchronizeDevice(device_.index());
    const c10::StreamGuard guard(capture_stream(device_));
    // A pool of its own for each graph would keep its memory after the graph.
    at::MempoolId_t pool = {0, 0};
    if (captured_) {
      captured_->result.reset();
      pool = captured_->graph.pool();
    }
    next->graph.capture_begin(pool, at::GraphCaptureMode::ThreadLocal);
    try {
      next->result = compute();
    } catch (...) {
      next->graph.capture_end();
      throw;
    }
    next->graph.capture_end();
  } catch (const c10::Error&) {
    // A capture computes nothing, so the step can still be computed.
    failed() = true;
    captured_.reset();
    return;
  }
  captured_ = std::move(next);
}

void StepGraph::change() {
  runs_ = 0;
  if (captured_) captured_->current = false;
}

at::Tensor StepGraph::run(const std::function<at::Tensor()>& compute) {
  const bool current = captured_ && captured_->current;
  if (!current && runs_ >= runs_before_capture && can_capture(device_)) capture(compute);
  if (captured_ && captured_->current) {
    captured_->graph.replay();
    return captured_->result;
  }
  ++runs_;
  return compute();
}

#else

struct StepGraph::Captured {};

void StepGraph::change() {}

at::Tensor StepGraph::run(const std::function<at::Tensor()>& compute) { return compute(); }

#endif

StepGraph::StepGraph(at::Device device) : device_(device) {}

StepGraph::~StepGraph() = default;

}  // namespace attention_bypass
