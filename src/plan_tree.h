#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bypass.h"

namespace attention_bypass {

// Plans that agree on their first blocks share all that is computed up to there. A stem is a stream of hidden
// states that plans share; at a block it goes on for the plans that agree there too, and others are born of
// it.
class PlanTree {
 public:
  struct Branch {
    BlockBypass bypass;
    int64_t stem;  // the first branch keeps the stem's number
    // No plan of it attends in a later block, so that only the positions that are read go on.
    bool narrow;
  };
  // What becomes of one stem in one block.
  struct Fork {
    int64_t stem;
    bool narrow;  // as it comes in
    std::vector<Branch> branches;

    // Whether some branch attends, and whether one does that is not narrow.
    bool attends() const;
    bool attends_wide() const;
    bool all_narrow() const;
  };

  // Plans are of equal length, at least one.
  explicit PlanTree(const std::vector<BypassPlan>& plans);

  // The forks in a block.
  const std::vector<Fork>& forks(int64_t block) const { return forks_[static_cast<size_t>(block)]; }
  int64_t blocks() const { return static_cast<int64_t>(forks_.size()); }
  // How many stems there are after the last block, one for each plan that differs from the others.
  int64_t stems() const { return static_cast<int64_t>(plans_.size()); }
  // The plan of a stem, and the stem of a plan, after the last block.
  const BypassPlan& plan(int64_t stem) const { return plans_[static_cast<size_t>(stem)]; }
  int64_t stem_of(size_t plan) const { return stem_of_plan_[plan]; }
  // The stem before a block of what is this stem after the last one.
  int64_t ancestor(int64_t stem, int64_t block) const {
    return ancestors_[static_cast<size_t>(block)][static_cast<size_t>(stem)];
  }
  // Whether the stream that enters the first block is narrow.
  bool narrow_root() const { return forks_.front().front().narrow; }

 private:
  std::vector<std::vector<Fork>> forks_;
  std::vector<std::vector<int64_t>> ancestors_;
  std::vector<BypassPlan> plans_;
  std::vector<int64_t> stem_of_plan_;
};

}  // namespace attention_bypass
