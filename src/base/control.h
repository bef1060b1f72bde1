#pragma once

#include <algorithm>
#include <atomic>
#include <functional>

#include "base/error.h"

namespace attention_bypass {

// What a caller keeps in hand of work that runs elsewhere: a flag that ends it, and its progress.
class Control {
 public:
  std::function<void(double)> on_progress;  // called on the working thread, with a share from 0 to 1

  void abort() noexcept { aborted_.store(true, std::memory_order_relaxed); }

  // Called between blocks, tokens and tensors, so that an abort takes at most one of these.
  void check() const {
    if (aborted_.load(std::memory_order_relaxed)) throw Error("ABORTED", "the operation was aborted");
  }

  // How many units of work are left, as far as is known now.
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
