#pragma once

#include <ATen/ATen.h>
#include <torch/script.h>

#include <map>
#include <string>
#include <vector>

#include "base/control.h"
#include "model/bypass.h"
#include "model/bypassed_weights.h"
#include "model/model.h"

namespace attention_bypass {

// The weights of a model with a bypass in them, by their names in Hugging Face checkpoints. Weights that are
// not in memory are read from their files one at a time.
class NamedWeights {
 public:
  // model: must exist as long as this object.
  NamedWeights(const Model& model, BypassPlan plan);

  struct Description {
    std::string name;
    at::ScalarType type;
    std::vector<int64_t> shape;
  };
  // Norms of a half-precision model, which are float32, are listed in half precision if that represents them
  // exactly.
  std::vector<Description> list() const;

  // Writes a safetensors file with this header and the weights of these names, in this order. Throws
  // DISK_FULL, WRITE_FAILED, and what reading weights throws.
  void write(const std::string& path, const std::string& header, const std::vector<std::string>& names,
             Control& control) const;

 private:
  struct Entry {
    torch::jit::Module module;
    std::string attribute;  // "weight" or "bias"
  };
  // The last layer of a block's attention or MLP.
  struct Last {
    Linear layer;
    size_t block;
    bool of_mlp;
  };

  // Returns a weight as its module has it.
  at::Tensor stored(const torch::jit::Module& module, const std::string& attribute) const;
  at::Tensor read(const Entry& entry) const;

  const Model& model_;
  BypassPlan plan_;
  std::vector<std::pair<std::string, Entry>> entries_;
  std::map<const c10::ivalue::Object*, Last> last_;
};

}  // namespace attention_bypass
