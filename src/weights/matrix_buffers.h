#pragma once

#include <ATen/ATen.h>
#include <c10/core/Event.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "weights/stored_tensor.h"

namespace attention_bypass {

// Memory for the matrices of one offloaded block after another. On a GPU there is memory for two blocks, so
// that one is read and copied on a stream of its own while the device computes with the one before.
class MatrixBuffers {
 public:
  // options: the device and dtype of the matrices.
  explicit MatrixBuffers(const at::TensorOptions& options);

  // Reads the matrices of a block. They are valid until the next call of read(). Throws what
  // StoredTensor::read throws.
  std::vector<at::Tensor> read(const std::vector<StoredTensor>& matrices);
  // Nothing that is launched from now on uses the matrices that were read last.
  void release();

 private:
  // Memory for one block.
  struct Part {
    std::vector<at::Tensor> on_host;    // on a GPU page-locked, for copies that the host does not wait for
    std::vector<at::Tensor> on_device;  // as in the files; only on a GPU
    std::optional<c10::Event> copied;   // the last copy to the device
    std::optional<c10::Event> used;     // the last computation with the matrices
  };

  // Reads a matrix to the host's memory, in this dtype.
  at::Tensor read_to_host(Part& part, size_t index, const StoredTensor& stored, at::ScalarType as) const;
  at::Tensor copy_to_device(Part& part, size_t index);

  at::TensorOptions options_;
  std::vector<Part> parts_;
  size_t current_ = 0;
  std::optional<c10::Stream> copies_;  // the stream of copies to a GPU
};

}  // namespace attention_bypass
