#pragma once

#include <ATen/ATen.h>

#include "bypass.h"
#include "model.h"

namespace attention_bypass {

// Of a block's weights what its bounds need; norms are spectral norms.
struct BlockNorms {
  explicit BlockNorms(const Model::Block& block);

  Model::Weights weights;
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
  BlockBound(const Model& model, const Model::Block& block, const BlockNorms& norms,
             const Model::Projections& projections, const at::Tensor& visible);

  // Of the difference of what attention adds, (length). stream: what comes into the block, (1, length, hidden
  // size). contribution: what attention adds to it.
  at::Tensor attention(const BlockBypass& bypass, const at::Tensor& stream, const at::Tensor& contribution,
                       const at::Tensor& radius) const;
  // Of the difference of what the MLP adds, (length). stream: what comes into the MLP's norm.
  at::Tensor mlp(const at::Tensor& stream, const at::Tensor& radius) const;
  // Of what attention adds on any input whatever, the paper's first theorem.
  double any_attention() const;

 private:
  // Of what each head adds, (heads, length), and one of them. moved: how far normalized streams can be apart.
  at::Tensor head_differences(const at::Tensor& moved) const;
  at::Tensor head_difference(int64_t head, const at::Tensor& moved) const;

  const Model& model_;
  const Model::Block& block_;
  const BlockNorms& norms_;
  const Model::Weights& weights_;
  at::Tensor queries_, keys_, values_;  // (heads, length, head size)
  at::Tensor visible_, attention_;      // (length, length), (heads, length, length)
  at::Tensor mixed_;                    // (heads, length, head size)
};

// How far normalized streams, before the norm's scale, can be apart where the streams are within a radius:
// lemma 1.
at::Tensor normalized_radius(const at::Tensor& stream, const at::Tensor& radius, double epsilon);

}  // namespace attention_bypass
