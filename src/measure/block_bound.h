#pragma once

#include <ATen/ATen.h>

#include "model/bypass.h"
#include "model/model.h"

namespace attention_bypass {

// Of a block's weights what its bounds need; norms are spectral norms.
struct BlockNorms {
  explicit BlockNorms(const Block& block);

  BlockWeights weights;
  at::Tensor output_gram;    // (heads, head size, head size)
  at::Tensor values;         // of output, values and the norm's scale together, (heads)
  at::Tensor queries, keys;  // of these and the norm's scale, (heads)
  double widen, narrow;      // of the MLP's matrices, the first with its norm's scale
};

// How far one block can take the residual stream of a model with a bypass from that without. It knows the
// block's weights, and what the unmodified model computes on a row of tokens; of the other model only that
// its stream comes in within `radius` of that. docs/theory.md has the proofs; lemmas here are its. Everything
// is float64, and of tensors the last axis but one, or the only one, is the row's tokens.
class BlockBound {
 public:
  // projections: of what the block's attention reads in the unmodified model. visible: (length, length),
  // whether a query may attend to a key.
  BlockBound(const Model& model, const Block& block, const BlockNorms& norms, const Projections& projections,
             const at::Tensor& visible);

  // Of the difference of the attention outputs, (length). stream: what enters the block, (1, length, hidden
  // size). removed: what the bypass takes from the attention output on that stream.
  at::Tensor attention(const AttentionBypass& bypass, const at::Tensor& stream, const at::Tensor& removed,
                       const at::Tensor& radius) const;
  // Of the difference of the outputs of an MLP that is not bypassed, (length). stream: what its norm reads.
  at::Tensor mlp(const at::Tensor& stream, const at::Tensor& radius) const;
  // Of what attention adds on any input whatever, the paper's first theorem.
  double any_attention() const;

 private:
  // Of what each head adds, (heads, length), and one of them. moved: how far normalized streams can be apart.
  at::Tensor head_differences(const at::Tensor& moved) const;
  at::Tensor head_difference(int64_t head, const at::Tensor& moved) const;

  const Model& model_;
  const Block& block_;
  const BlockNorms& norms_;
  const BlockWeights& weights_;
  at::Tensor queries_, keys_, values_;  // (heads, length, head size)
  at::Tensor visible_, attention_;      // (length, length), (heads, length, length)
  at::Tensor mixed_;                    // (heads, length, head size)
};

// How far normalized streams, before the norm's scale, can be apart where the streams are within a radius:
// lemma 1.
at::Tensor normalized_radius(const at::Tensor& stream, const at::Tensor& radius, double epsilon);

}  // namespace attention_bypass
