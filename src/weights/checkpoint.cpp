#include "weights/checkpoint.h"

#include <array>
#include <sstream>
#include <string_view>

#include "base/error.h"

namespace attention_bypass {

namespace {

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

bool begins_with(const std::string& text, const std::string& begin) {
  return text.compare(0, begin.size(), begin) == 0;
}

template <typename Value>
std::string text_of(const Value& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

// Returns whether a name is one of these or ends with "." and one of these.
bool is_buffer(const std::string& name) {
  static constexpr std::array<std::string_view, 12> buffers = {"attn.bias",
                                                               "attn.masked_bias",
                                                               "attention.bias",
                                                               "attention.masked_bias",
                                                               "attn.attention.bias",
                                                               "attn.attention.masked_bias",
                                                               "attn.short_circuited",
                                                               "attention.short_circuited",
                                                               "rotary_emb.inv_freq",
                                                               "rotary_emb.original_inv_freq",
                                                               "rotary_emb.cos_cached",
                                                               "rotary_emb.sin_cached"};
  for (const auto buffer : buffers) {
    if (!ends_with(name, std::string(buffer))) continue;
    if (name.size() == buffer.size() || name[name.size() - buffer.size() - 1] == '.') return true;
  }
  return false;
}

}  // namespace

Checkpoint::Checkpoint(StoredTensors weights, const std::string& core, const std::string& anchor)
    : weights_(std::move(weights)), core_(core) {
  for (const auto& [name, tensor] : weights_) {
    if (name != anchor && !ends_with(name, "." + anchor)) continue;
    stored_ = name.substr(0, name.size() - anchor.size());
    outer_ = ends_with(stored_, core_) ? stored_.substr(0, stored_.size() - core_.size()) : stored_;
    return;
  }
  throw Error("TENSOR_MISSING", "expected a tensor " + core_ + anchor +
                                    " in the weights but found none among " +
                                    std::to_string(weights_.size()) + " tensors");
}

std::string Checkpoint::stored_name(const std::string& name) const {
  return begins_with(name, core_) ? stored_ + name.substr(core_.size()) : outer_ + name;
}

bool Checkpoint::has(const std::string& name) const { return weights_.count(stored_name(name)) != 0; }

StoredTensor Checkpoint::take(const std::string& name, at::IntArrayRef shape) {
  const std::string stored = stored_name(name);
  const auto found = weights_.find(stored);
  if (found == weights_.end()) {
    throw Error("TENSOR_MISSING", "expected a tensor " + stored + " in the weights but found none");
  }
  StoredTensor tensor = std::move(found->second);
  weights_.erase(found);
  if (at::IntArrayRef(tensor.shape) != shape) {
    throw Error("TENSOR_SHAPE", "expected tensor " + stored + " to have the shape " + text_of(shape) +
                                    " from the config but received " +
                                    text_of(at::IntArrayRef(tensor.shape)));
  }
  if (!c10::isFloatingType(tensor.type)) {
    throw Error("TENSOR_DTYPE", "expected tensor " + stored +
                                    " to hold floating-point weights but received " +
                                    c10::toString(tensor.type));
  }
  return tensor;
}

void Checkpoint::leave(const std::string& name) { weights_.erase(stored_name(name)); }

void Checkpoint::finish() const {
  std::string unexpected;
  size_t count = 0;
  for (const auto& [name, tensor] : weights_) {
    // A wrapper module may hold other tensors too, so only names with the model's prefix are checked.
    if (!begins_with(name, outer_) || is_buffer(name)) continue;
    if (++count <= 3) unexpected += (count > 1 ? ", " : "") + name;
  }
  if (count == 0) return;
  throw Error("TENSOR_UNEXPECTED", "expected only the tensors that the config describes but found " +
                                       std::to_string(count) + " more, such as " + unexpected);
}

}  // namespace attention_bypass
