#pragma once

#include <ATen/ATen.h>

#include "model/bypass.h"
#include "model/model.h"

namespace attention_bypass {

// The weights of a block with the spectral norms that its bounds use.
struct BlockNorms {
  explicit BlockNorms(const Block& block);

  Attention::Weights attention;
  at::Tensor output_gram;  // (heads, head size, head size)
  at::Tensor values;       // norms of the product of output, values and the scale of the layer norm, (heads)
  at::Tensor queries, keys;  // norms of their products with the scale of the layer norm, (heads)
  double up, down;           // norms of the MLP's weights; up: with the scale of its layer norm
};

// Bounds the distance between the residual streams of the unmodified model and of the model with a bypass,
// for one block and one row of tokens. Uses the block's weights, the values of the unmodified model, and
// `radius`: a bound, for each token, of the distance between the two streams that enter the block.
// docs/theory.md has the lemmas and proofs. All tensors are float64; length is the number of tokens.
class BlockBound {
 public:
  // projections: of the block's attention in the unmodified model, one row. visible: (length, length),
  // whether a query may attend to a key.
  BlockBound(const Model& model, const Block& block, const BlockNorms& norms, const Projections& projections,
             const at::Tensor& visible);

  // Returns a bound of the difference of the attention outputs, (length). stream: the unmodified stream that
  // enters the block, (1, length, hidden size). removed: the unmodified attention output minus the output
  // with the bypass on that stream. radius: (length).
  at::Tensor attention(const AttentionBypass& bypass, const at::Tensor& stream, const at::Tensor& removed,
                       const at::Tensor& radius) const;
  // Returns a bound of the difference of the MLP outputs if the MLP is not bypassed, (length). stream: the
  // unmodified input of its norm. radius: (length), for that input.
  at::Tensor mlp(const at::Tensor& stream, const at::Tensor& radius) const;
  // Returns a bound of the norm of the attention output for any input: theorem 1 of the paper.
  double any_attention() const;

 private:
  // Return bounds of the difference of the output of each head, (heads, length), and of one head, (length).
  // moved: a bound of the distance of the normalized streams, (length).
  at::Tensor head_differences(const at::Tensor& moved) const;
  at::Tensor head_difference(int64_t head, const at::Tensor& moved) const;

  const Model& model_;
  const Block& block_;
  const BlockNorms& norms_;
  const Attention::Weights& weights_;
  at::Tensor queries_, keys_, values_;  // (heads, length, head size)
  at::Tensor visible_, attention_;      // (heads, length, length)
  at::Tensor mixed_;                    // (heads, length, head size)
};

// Returns a bound of the distance of normalized streams, before the scale of the layer norm, if the distance
// of the streams is at most `radius`: lemma 1.
at::Tensor normalized_radius(const at::Tensor& stream, const at::Tensor& radius, double epsilon);

}  // namespace attention_bypass
