#pragma once

#include <cstdint>
#include <memory>

#include "forward/block_step.h"
#include "forward/forward_pass.h"
#include "forward/key_value_cache.h"

namespace attention_bypass {

// A row of a running batch. The keys and values of its first tokens, its prompt, are those of a forward pass;
// the keys and values of the tokens after them are in the row's own slot of the store.
struct DecodingRow {
  std::shared_ptr<const Plans> plans;            // of the forward pass
  std::shared_ptr<const KeyValueCache> prompts;  // the keys and values of that pass
  int64_t prompt_row;                            // the index among the rows of that pass
  int64_t node;                                  // the node of the plan tree after the last block
  int64_t slot;
  int64_t shared;  // the number of tokens before those in the slot
  int64_t stored;  // the number of tokens in the slot

  int64_t position() const { return shared + stored; }  // the position of the next token
  const CompiledBypass& bypass(int64_t block) const {
    return plans->compiled.at(block, plans->table.number(plans->tree.plan_of(node), block));
  }
  // The node of the plan tree whose keys and values the row's attention reads in a block.
  int64_t prompt_node(int64_t block) const { return plans->tree.ancestor(node, block); }
};

// Attention of the new token of each row of a batch, in one block after another.
class DecodingReader : public KeyValueReader {
 public:
  void set_block(int64_t block) { block_ = block; }

 protected:
  int64_t block_ = 0;
};

}  // namespace attention_bypass
