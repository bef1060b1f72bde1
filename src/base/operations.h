#pragma once

#include "base/config.h"

namespace attention_bypass {

// The number of floating-point operations of a model's matrix products for one token; a multiplication and an
// addition count as two. The other operations of a model are few and not counted. Unit of Control's progress.
class Operations {
 public:
  explicit Operations(const ModelConfig& config)
      : hidden_(static_cast<double>(config.hidden_size)),
        intermediate_(static_cast<double>(config.intermediate_size)),
        vocabulary_(static_cast<double>(config.vocabulary_size)) {}

  // Queries, keys and values.
  double project() const { return 6 * hidden_ * hidden_; }
  double output() const { return 2 * hidden_ * hidden_; }
  // Attention scores of one query with this many keys, and the weighted sum of their values.
  double mix(double keys) const { return 4 * hidden_ * keys; }
  // The value projection and the output projection.
  double short_circuit() const { return 4 * hidden_ * hidden_; }
  double mlp() const { return 4 * hidden_ * intermediate_; }
  double block() const { return project() + output() + mlp(); }
  double head() const { return 2 * hidden_ * vocabulary_; }

 private:
  double hidden_, intermediate_, vocabulary_;
};

}  // namespace attention_bypass
