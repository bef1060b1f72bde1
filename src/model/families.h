#pragma once

#include <string>

#include "model/architecture.h"

namespace attention_bypass {

// What the core needs to know of a model family. docs/families.md says how to add one.
struct Family {
  std::string core;       // how the names of the stack's tensors begin, such as "gpt_neox."
  std::string embedding;  // the name of the token embedding behind that, by which a checkpoint is known
  Architecture (*build)(ArchitectureBuilder& builder, Control& control);
};

// By the name that lib/families has for it.
const Family& find_family(const std::string& name);

}  // namespace attention_bypass
