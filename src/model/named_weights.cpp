#include "model/named_weights.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/file_sink.h"

namespace attention_bypass {

namespace {

// Returns the dtype in which a weight is written.
at::ScalarType written_type(const at::Tensor& weight, at::ScalarType type) {
  const auto own = weight.scalar_type();
  return own == type || at::equal(weight.to(type).to(own), weight) ? type : own;
}

// Returns the length of a header as safetensors begins with it: 8 bytes, little-endian.
std::array<char, 8> length_bytes(const std::string& header) {
  std::array<char, 8> bytes{};
  for (size_t index = 0; index < bytes.size(); ++index) {
    bytes[index] = static_cast<char>(header.size() >> (8 * index) & 0xff);
  }
  return bytes;
}

}  // namespace

NamedWeights::NamedWeights(const Model& model, BypassPlan plan) : model_(model), plan_(std::move(plan)) {
  const auto& architecture = model.architecture();
  for (const auto& module : architecture.root.named_modules()) {
    for (const auto& parameter : module.value.named_parameters(/*recurse=*/false)) {
      const auto prefix = module.name.empty() ? "" : module.name + ".";
      entries_.emplace_back(prefix + parameter.name, Entry{module.value, parameter.name});
    }
  }
  for (size_t block = 0; block < architecture.blocks.size(); ++block) {
    for (const bool of_mlp : {false, true}) {
      const auto& parts = architecture.blocks[block];
      const auto& layer = of_mlp ? parts.mlp.down() : parts.attention.output;
      last_.emplace(layer.module()._ivalue().get(), Last{layer, block, of_mlp});
    }
  }
}

std::vector<NamedWeights::Description> NamedWeights::list() const {
  const c10::InferenceMode inference;
  const auto& offloaded = model_.architecture().offloaded;
  std::vector<Description> descriptions;
  for (const auto& [name, entry] : entries_) {
    const auto found = offloaded.find(entry.module._ivalue().get());
    if (found != offloaded.end() && entry.attribute == "weight") {
      descriptions.push_back({name, model_.dtype(), found->second.shape});
    } else {
      const auto weight = entry.module.attr(entry.attribute).toTensor();
      descriptions.push_back({name, written_type(weight, model_.dtype()), weight.sizes().vec()});
    }
  }
  return descriptions;
}

at::Tensor NamedWeights::stored(const torch::jit::Module& module, const std::string& attribute) const {
  const auto& offloaded = model_.architecture().offloaded;
  const auto found = offloaded.find(module._ivalue().get());
  return found != offloaded.end() && attribute == "weight" ? found->second.read(model_.dtype())
                                                           : module.attr(attribute).toTensor();
}

at::Tensor NamedWeights::read(const Entry& entry) const {
  const auto found = last_.find(entry.module._ivalue().get());
  if (found == last_.end()) return stored(entry.module, entry.attribute);
  const auto& [layer, block, of_mlp] = found->second;
  const auto& [attention, mlp] = plan_[block];
  if ((of_mlp ? mlp.mode : attention.mode) == BypassMode::none) return stored(entry.module, entry.attribute);
  const auto turned = [transposed = layer.transposed()](const at::Tensor& weight) {
    return transposed ? weight.t() : weight;
  };
  const LayerWeights own{turned(stored(entry.module, "weight")), layer.bias()};
  const auto bypassed = of_mlp ? bypassed_weights(own, mlp) : bypassed_weights(own, attention);
  return entry.attribute == "weight" ? turned(bypassed.weight) : bypassed.bias;
}

void NamedWeights::write(const std::string& path, const std::string& header,
                         const std::vector<std::string>& names, Control& control) const {
  const c10::InferenceMode inference;
  control.expect(static_cast<double>(names.size()));
  FileSink sink(path);
  const auto length = length_bytes(header);
  sink.sputn(length.data(), std::ssize(length));
  sink.sputn(header.data(), std::ssize(header));
  for (const auto& name : names) {
    control.check();
    const auto entry =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& one) { return one.first == name; });
    TORCH_INTERNAL_ASSERT(entry != entries_.end(), "expected the name of a weight");
    auto weight = read(entry->second);
    weight = weight.to(at::kCPU, written_type(weight, model_.dtype())).contiguous();
    sink.sputn(static_cast<const char*>(weight.const_data_ptr()),
               static_cast<std::streamsize>(weight.nbytes()));
    control.advance(1);
  }
  sink.finish();
}

}  // namespace attention_bypass
