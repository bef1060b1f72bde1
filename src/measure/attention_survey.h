#pragma once

#include <vector>

#include "base/control.h"
#include "forward/packed_row.h"
#include "model/model.h"

namespace attention_bypass {

// The outputs of attention and MLP in each block, on average over all tokens of rows.
struct AttentionSurvey {
  struct Block {
    double share;                  // |attention output| / |the residual stream after the block|
    std::vector<double> heads;     // the same of each head, without the output projection's bias
    std::vector<double> mean;      // the head outputs side by side, before the output projection
    std::vector<double> mlp_mean;  // the MLP output
  };
  std::vector<Block> blocks;
  int64_t tokens = 0;
};

AttentionSurvey survey_attention(const Model& model, const std::vector<TokenRow>& rows, Control& control);

}  // namespace attention_bypass
