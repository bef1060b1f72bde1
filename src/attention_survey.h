#pragma once

#include <vector>

#include "control.h"
#include "model.h"

namespace attention_bypass {

// What attention adds to the residual stream, on average over all tokens of rows.
struct AttentionSurvey {
  struct Block {
    double share;               // |what attention adds| / |the stream after the block|
    std::vector<double> heads;  // the same of each head alone, without the output's bias
    std::vector<double> mean;   // what the heads mix, side by side, before the output projection
  };
  std::vector<Block> blocks;
  int64_t tokens = 0;
};

AttentionSurvey survey_attention(const Model& model, const std::vector<TokenRow>& rows, Control& control);

}  // namespace attention_bypass
