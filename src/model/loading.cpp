#include "model/loading.h"

#include "base/error.h"
#include "model/families.h"

namespace attention_bypass {

namespace {

StoredTensors open_tensors(const WeightSource& source) {
  std::vector<std::shared_ptr<const WeightFile>> files;
  for (const auto& [path, identity] : source.files) {
    files.push_back(std::make_shared<const WeightFile>(path, identity));
  }
  StoredTensors tensors;
  for (const auto& given : source.tensors) {
    StoredTensor stored{given.name,
                        scalar_type(given.dtype, given.name),
                        given.shape,
                        given.strides,
                        files.at(given.file),
                        given.begin,
                        given.end,
                        source.allow_non_finite};
    stored.validate();
    if (!tensors.emplace(given.name, std::move(stored)).second) {
      throw Error("WEIGHTS_INVALID", "expected one tensor with the name " + given.name + " but found two");
    }
  }
  return tensors;
}

}  // namespace

std::unique_ptr<Model> load_model(const ModelConfig& config, const WeightSource& source,
                                  const Placement& placement, Control& control) {
  // The package never trains, so autograd's bookkeeping is not needed.
  const c10::InferenceMode inference;
  control.expect(static_cast<double>(config.block_count));
  const auto& family = find_family(config.family);
  Checkpoint checkpoint(open_tensors(source), family.core, family.embedding);
  return std::make_unique<Model>(config, build_architecture(config, checkpoint, placement, control),
                                 placement);
}

}  // namespace attention_bypass
