#pragma once

#include <algorithm>
#include <atomic>
#include <functional>

#include "base/error.h"

namespace attention_bypass {

// Aborts work that runs on another thread, and reports its progress.
class Control {
 public:
  std::function<void(double)>
      on_progress;  // called on the working thread with the completed fraction, from 0 to 1

  void abort() noexcept { aborted_.store(true, std::memory_order_relaxed); }

  // Throws ABORTED after abort(). The work calls it between blocks, tokens and tensors, so an abort waits for
  // at most one of these.
  void check() const {
    if (aborted_.load(std::memory_order_relaxed)) throw Error("ABORTED", "the operation was aborted");
  }

  // Sets the estimated number of units of work that are left.
  void expect(double units) { total_ = done_ + units; }

  void advance(double units) {
    done_ += units;
    if (on_progress && total_ > 0) on_progress(std::min(1.0, done_ / total_));
  }

  double done() const { return done_; }

 private:
  std::atomic<bool> aborted_{false};
  double done_ = 0;
  double total_ = 0;
};

}  // namespace attention_bypass
