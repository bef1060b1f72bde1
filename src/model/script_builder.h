#pragma once

#include <torch/script.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace attention_bypass {

// Builds TorchScript modules from source text. Modules with the same class name share a type, so the code of
// a block is compiled once for all blocks.
class ScriptBuilder {
 public:
  struct Member {
    enum class Kind { parameter, buffer, attribute, module } kind;
    std::string name;
    c10::IValue value;
  };

  static Member parameter(const std::string& name, const at::Tensor& tensor) {
    return {Member::Kind::parameter, name, tensor};
  }
  static Member buffer(const std::string& name, const at::Tensor& tensor) {
    return {Member::Kind::buffer, name, tensor};
  }
  static Member attribute(const std::string& name, c10::IValue value) {
    return {Member::Kind::attribute, name, std::move(value)};
  }
  static Member module(const std::string& name, const torch::jit::Module& value) {
    return {Member::Kind::module, name, value._ivalue()};
  }

  // Returns a module. All modules of a class must have members with the same names and types. `source` is
  // compiled only for the first module of a class.
  torch::jit::Module build(const std::string& class_name, const std::vector<Member>& members,
                           const std::string& source);

 private:
  std::shared_ptr<torch::jit::CompilationUnit> unit_ = std::make_shared<torch::jit::CompilationUnit>();
  std::map<std::string, c10::ClassTypePtr> types_;
};

}  // namespace attention_bypass
