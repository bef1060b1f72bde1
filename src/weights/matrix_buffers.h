#pragma once

#include <ATen/ATen.h>
#include <c10/core/Event.h>

#include <cstddef>
#include <optional>
#include <vector>

#include "weights/stored_tensor.h"

namespace attention_bypass {

// Memory for the matrices of one offloaded block after another. A GPU has memory for two blocks, so that one
// is read and copied on a stream of its own while the device computes with the one before.
class MatrixBuffers {
 public:
  // options: the device and dtype of the matrices.
  explicit MatrixBuffers(const at::TensorOptions& options);
  ~MatrixBuffers();
  MatrixBuffers(const MatrixBuffers&) = delete;
  MatrixBuffers& operator=(const MatrixBuffers&) = delete;
  MatrixBuffers(MatrixBuffers&&) = delete;
  MatrixBuffers& operator=(MatrixBuffers&&) = delete;

  // Reads the matrices of a block. They are valid until the next call of read(). Throws what
  // StoredTensor::read throws.
  std::vector<at::Tensor> read(const std::vector<StoredTensor>& matrices);
  // Nothing that is launched from now on uses the matrices that were read last.
  void release() noexcept;

 private:
  // Memory of the host for one matrix, which all blocks share.
  struct HostBuffer {
    at::Tensor memory;                 // on a GPU page-locked, for copies that the host does not wait for
    std::optional<c10::Event> copied;  // the last copy to a GPU
  };
  // Memory of a GPU for one block.
  struct DeviceBuffers {
    std::vector<at::Tensor> matrices;  // in the dtypes of the files
    c10::Event used;                   // the last computation with the matrices
  };

  // Reads a matrix to the host's memory, in this dtype.
  const at::Tensor& read_to_host(size_t index, const StoredTensor& stored, at::ScalarType as);
  // Copies a matrix from the host's memory.
  at::Tensor copy_to_device(size_t index);

  at::TensorOptions options_;
  std::vector<HostBuffer> on_host_;
  std::vector<DeviceBuffers> on_device_;  // none on the CPU
  size_t current_ = 0;
  std::optional<c10::Stream> copying_;
};

}  // namespace attention_bypass
