#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/model.h"

namespace attention_bypass {

// The files and tensors of a model's weights.
struct WeightSource {
  struct File {
    std::string path;
    WeightFile::Identity identity;
  };
  struct Tensor {
    std::string name;
    std::string dtype;  // the name in safetensors: F32, BF16, F16, ...
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;  // in elements
    size_t file = 0;               // index into files
    uint64_t begin = 0;            // byte range in the file
    uint64_t end = 0;
  };
  std::vector<File> files;
  std::vector<Tensor> tensors;
  bool allow_non_finite = false;  // accept weights that are NaN or infinite
};

// Throws what WeightFile, Checkpoint and StoredTensor throw.
std::unique_ptr<Model> load_model(const ModelConfig& config, const WeightSource& source,
                                  const Placement& placement, Control& control);

}  // namespace attention_bypass
