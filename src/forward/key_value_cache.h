#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <map>
#include <vector>

namespace attention_bypass {

// The keys and values of a forward pass, for each block and each node of the plan tree that attends in the
// block. Plans that share a node share its keys and values. The nodes of a block are adjacent in memory, so
// that one attention reads them all.
class KeyValueCache {
 public:
  struct Entry {
    at::Tensor keys, values;  // (rows, heads, length, head size)
  };
  // The entries of a block.
  struct Nodes {
    std::vector<int64_t> nodes;  // of the plan tree, in the order of the tensors
    at::Tensor keys, values;     // (nodes, rows, heads, length, head size)
    std::map<int64_t, Entry> entries;

    // Returns the index of a node.
    int64_t index(int64_t node) const;
  };

  // The rows to store: `count` rows from `begin` on, or some of these rows; and the tokens: all, or those
  // from `first_token` on.
  struct Place {
    int64_t rows;  // in total
    int64_t begin, count;
    at::Tensor which;  // indices of rows, counted from `begin`; undefined: all
    int64_t first_token = 0;
    int64_t tokens = 0;  // in total; 0: no more than are stored at once
  };

  // Sets the nodes that attend in a block, before the first is stored. Not needed if it is node 0 alone.
  void expect(int64_t block, std::vector<int64_t> nodes);
  void store(int64_t block, int64_t node, const Place& place, const at::Tensor& keys,
             const at::Tensor& values);
  const Entry& at(int64_t block, int64_t node) const { return blocks_.at(block).entries.at(node); }
  // Returns the entries of a block, or nullptr if nothing attends in it.
  const Nodes* nodes(int64_t block) const;

 private:
  std::map<int64_t, Nodes> blocks_;
};

}  // namespace attention_bypass
