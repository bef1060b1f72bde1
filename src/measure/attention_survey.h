#pragma once

#include <vector>

#include "base/control.h"
#include "forward/packed_row.h"
#include "model/model.h"

namespace attention_bypass {

// The outputs of attention and MLP of each block, averaged over all tokens of rows.
struct AttentionSurvey {
  struct Block {
    double share;                  // |attention output| / |the residual stream after the block|
    std::vector<double> heads;     // the share of each head, without the bias of the output projection
    std::vector<double> mean;      // the mean head outputs before the output projection, (hidden size)
    std::vector<double> mlp_mean;  // the mean MLP output, (hidden size)
  };
  std::vector<Block> blocks;
  int64_t tokens = 0;
};

// Throws NOT_FINITE.
AttentionSurvey survey_attention(const Model& model, const std::vector<TokenRow>& rows, Control& control);

}  // namespace attention_bypass
