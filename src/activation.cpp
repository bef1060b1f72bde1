#include "activation.h"

#include <map>

#include "error.h"

namespace attention_bypass {

std::string activation_expression(const std::string& name) {
  static const std::string gelu = "torch.gelu(x)";
  static const std::string gelu_tanh = "torch.gelu(x, approximate=\"tanh\")";
  static const std::string silu = "torch.silu(x)";
  static const std::map<std::string, std::string> expressions = {
      {"gelu", gelu},
      {"gelu_python", gelu},
      {"gelu_new", gelu_tanh},
      {"gelu_fast", gelu_tanh},
      {"gelu_pytorch_tanh", gelu_tanh},
      {"gelu_python_tanh", gelu_tanh},
      {"quick_gelu", "x * torch.sigmoid(1.702 * x)"},
      {"relu", "torch.relu(x)"},
      {"relu2", "torch.square(torch.relu(x))"},
      {"relu6", "torch.relu6(x)"},
      {"leaky_relu", "torch.leaky_relu(x)"},
      {"silu", silu},
      {"swish", silu},
      {"mish", "torch.mish(x)"},
      {"sigmoid", "torch.sigmoid(x)"},
      {"tanh", "torch.tanh(x)"},
      {"linear", "x"},
  };
  const auto found = expressions.find(name);
  if (found != expressions.end()) return found->second;
  std::string supported;
  for (const auto& [known, expression] : expressions) supported += (supported.empty() ? "" : ", ") + known;
  throw Error("ACTIVATION_UNSUPPORTED",
              "expected an activation among " + supported + " in the config but received \"" + name + "\"");
}

}  // namespace attention_bypass
