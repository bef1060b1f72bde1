#include "loading.h"

#include "traced_check.h"

namespace attention_bypass {

std::unique_ptr<Model> load_model(const ModelConfig& config, const WeightSource& source,
                                  const Placement& placement, Control& control) {
  // Weights made under inference mode carry no version counters; this is a package that never trains.
  const c10::InferenceMode inference;
  control.expect(static_cast<double>(config.block_count));
  Checkpoint checkpoint(map_tensors(source.tensors), config);
  auto model =
      std::make_unique<Model>(config, build_architecture(config, checkpoint, placement, control), placement);
  if (!source.traced.empty()) check_against_trace(*model, source.traced, control);
  return model;
}

}  // namespace attention_bypass
