#include "model/activation.h"

#include <limits>
#include <map>

#include "base/error.h"

namespace attention_bypass {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Activation {
  std::string expression;
  ActivationFunction function;
  ActivationShape shape;
};

const std::map<std::string, Activation>& activations() {
  using at::Tensor;
  // Slopes are rounded up and minima down in the fourth digit.
  static const Activation gelu = {
      "torch.gelu(x)", [](const Tensor& x) { return at::gelu(x); }, {1.1290, -0.1700, -0.7518}};
  static const Activation gelu_tanh = {"torch.gelu(x, approximate=\"tanh\")",
                                       [](const Tensor& x) { return at::gelu(x, "tanh"); },
                                       {1.1290, -0.1701, -0.7525}};
  static const Activation silu = {
      "torch.silu(x)", [](const Tensor& x) { return at::silu(x); }, {1.0999, -0.2785, -1.2785}};
  static const std::map<std::string, Activation> all = {
      {"gelu", gelu},
      {"gelu_python", gelu},
      {"gelu_new", gelu_tanh},
      {"gelu_fast", gelu_tanh},
      {"gelu_pytorch_tanh", gelu_tanh},
      {"gelu_python_tanh", gelu_tanh},
      {"quick_gelu",
       {"x * torch.sigmoid(1.702 * x)",
        [](const Tensor& x) { return x * at::sigmoid(1.702 * x); },
        {1.0999, -0.1637, -0.7512}}},
      {"relu", {"torch.relu(x)", [](const Tensor& x) { return at::relu(x); }, {1, infinity, 0}}},
      {"relu2",
       {"torch.square(torch.relu(x))",
        [](const Tensor& x) { return at::relu(x).square(); },
        {infinity, infinity, 0}}},
      {"relu6", {"torch.relu6(x)", [](const Tensor& x) { return at::relu6(x); }, {1, infinity, 0}}},
      {"leaky_relu",
       {"torch.leaky_relu(x)", [](const Tensor& x) { return at::leaky_relu(x); }, {1, infinity, 0}}},
      {"silu", silu},
      {"swish", silu},
      {"mish", {"torch.mish(x)", [](const Tensor& x) { return at::mish(x); }, {1.0885, -0.3089, -1.1925}}},
      {"sigmoid", {"torch.sigmoid(x)", [](const Tensor& x) { return at::sigmoid(x); }, {0.25, infinity, 0}}},
      {"tanh", {"torch.tanh(x)", [](const Tensor& x) { return at::tanh(x); }, {1, infinity, 0}}},
      {"linear", {"x", [](const Tensor& x) { return x; }, {1, infinity, 0}}},
  };
  return all;
}

const Activation& find(const std::string& name) {
  const auto found = activations().find(name);
  if (found != activations().end()) return found->second;
  std::string supported;
  for (const auto& [known, activation] : activations()) supported += (supported.empty() ? "" : ", ") + known;
  constexpr size_t most_shown = 60;
  const std::string shown = name.size() > most_shown ? name.substr(0, most_shown) + "..." : name;
  throw Error(
      "ACTIVATION_UNSUPPORTED",
      "expected one of " + supported + " for the activation in the config but received \"" + shown + "\"");
}

}  // namespace

ActivationFunction activation_function(const std::string& name) { return find(name).function; }

std::string activation_expression(const std::string& name) { return find(name).expression; }

ActivationShape activation_shape(const std::string& name) { return find(name).shape; }

}  // namespace attention_bypass
