#pragma once

#include "base/config.h"

namespace attention_bypass {

// Floating-point operations of a model's matrix products, a multiplication and an addition counting as two,
// for one token each. What else a model does is little beside them. The units in which controls advance.
class Operations {
 public:
  explicit Operations(const ModelConfig& config)
      : hidden_(static_cast<double>(config.hidden_size)),
        intermediate_(static_cast<double>(config.intermediate_size)),
        vocabulary_(static_cast<double>(config.vocabulary_size)) {}

  // Queries, keys and values.
  double project() const { return 6 * hidden_ * hidden_; }
  double output() const { return 2 * hidden_ * hidden_; }
  // Scores of one query with this many keys, and the mixing of their values.
  double mix(double keys) const { return 4 * hidden_ * keys; }
  // A token's own value, and the output.
  double short_circuit() const { return 4 * hidden_ * hidden_; }
  double mlp() const { return 4 * hidden_ * intermediate_; }
  double block() const { return project() + output() + mlp(); }
  double head() const { return 2 * hidden_ * vocabulary_; }

 private:
  double hidden_, intermediate_, vocabulary_;
};

}  // namespace attention_bypass
