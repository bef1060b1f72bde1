#include "traced_check.h"

#include <algorithm>
#include <random>

#include "error.h"

namespace attention_bypass {

namespace {

at::Tensor logits_of(const c10::IValue& output) {
  if (output.isTensor()) return output.toTensor();
  if (output.isTuple() && !output.toTuple()->elements().empty())
    return logits_of(output.toTuple()->elements()[0]);
  if (output.isGenericDict() && output.toGenericDict().contains("logits")) {
    return logits_of(output.toGenericDict().at("logits"));
  }
  return {};
}

double tolerance(at::ScalarType type) { return type == at::kFloat || type == at::kDouble ? 2e-4 : 5e-2; }

}  // namespace

void check_against_trace(const Model& model, const std::string& path, Control& control) {
  torch::jit::Module traced;
  try {
    traced = torch::jit::load(path, model.device());
  } catch (const c10::Error& error) {
    throw Error("ARCHIVE_INVALID", "expected TorchScript in " + path + " but it does not load: " +
                                       std::string(error.what_without_backtrace()));
  }
  const auto parameters = traced.parameters();
  const auto traced_type = parameters.size() == 0 ? at::kFloat : (*parameters.begin()).scalar_type();
  const double allowed = std::max(tolerance(traced_type), tolerance(model.dtype()));
  const BypassPlan plain(static_cast<size_t>(model.config().block_count));
  // The same tokens each time, so that a module that was accepted once always is.
  std::mt19937_64 random(2025);  // NOLINT(bugprone-random-generator-seed)
  double best = INFINITY;
  std::string reason = "it returned no logits";
  // A trace can be bound to the length that it was made with, so several are tried, and one that agrees is
  // enough.
  for (const int64_t length : {16, 24, 12, 8, 10, 20, 32, 64, 128}) {
    if (length > model.config().context_length) continue;
    control.check();
    TokenRow tokens(static_cast<size_t>(length));
    for (auto& token : tokens)
      token = static_cast<int64_t>(random() % static_cast<uint64_t>(model.config().vocabulary_size));
    const auto batch = TokenBatch::of({tokens}, model.device());
    at::Tensor expected;
    try {
      const c10::InferenceMode inference;
      expected = logits_of(traced.forward({batch.ids}));
    } catch (const std::exception& error) {
      const std::string text = error.what();
      reason = text.substr(0, text.find('\n'));
      continue;
    }
    if (!expected.defined()) continue;
    expected = expected.to(at::kFloat);
    const at::Tensor actual = model.unembed(model.forward(batch, plain, nullptr, control));
    if (expected.sizes() != actual.sizes()) {
      reason = "its logits have another shape";
      continue;
    }
    const double difference =
        (expected - actual).abs().max().item<double>() / expected.abs().max().item<double>();
    best = std::min(best, difference);
    if (difference <= allowed) return;
  }
  if (best < INFINITY) reason = "they differ by " + std::to_string(best) + " of the largest";
  throw Error("TRACE_DISAGREES", "expected the logits of the traced module " + path +
                                     " from its weights and the config beside it but " + reason);
}

}  // namespace attention_bypass
