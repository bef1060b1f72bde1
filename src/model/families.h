#pragma once

#include <string>

#include "model/architecture.h"

namespace attention_bypass {

// A model family. docs/families.md describes how to add one.
struct Family {
  std::string core;       // the prefix of the names of blocks and embeddings, such as "gpt_neox."
  std::string embedding;  // the name of the token embedding after that prefix
  Architecture (*build)(ArchitectureBuilder& builder, Control& control);
};

// Returns the family with this name from lib/families. Throws ARCHITECTURE_UNSUPPORTED.
const Family& find_family(const std::string& name);

}  // namespace attention_bypass
