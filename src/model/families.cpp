#include "model/families.h"

#include <map>

#include "base/error.h"

namespace attention_bypass {

const Family& find_family(const std::string& name) {
  static const std::map<std::string, Family> families = {
      {"gpt-neox", {"gpt_neox.", "embed_in.weight", build_gpt_neox}},
      {"gpt-neo", {"transformer.", "wte.weight", build_gpt_neo}},
      {"gpt2", {"transformer.", "wte.weight", build_gpt2}},
  };
  const auto found = families.find(name);
  if (found == families.end()) {
    throw Error("ARCHITECTURE_UNSUPPORTED",
                "expected a supported model family but received \"" + name + "\"");
  }
  return found->second;
}

}  // namespace attention_bypass
