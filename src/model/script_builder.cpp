#include "model/script_builder.h"

namespace attention_bypass {

torch::jit::Module ScriptBuilder::build(const std::string& class_name, const std::vector<Member>& members,
                                        const std::string& source) {
  const auto known = types_.find(class_name);
  if (known != types_.end()) {
    torch::jit::Module module(unit_, known->second);
    for (const auto& member : members) module._ivalue()->setAttr(member.name, member.value);
    return module;
  }
  torch::jit::Module module(c10::QualifiedName("__torch__.attention_bypass." + class_name), unit_);
  for (const auto& member : members) {
    switch (member.kind) {
      case Member::Kind::parameter:
        module.register_parameter(member.name, member.value.toTensor(), /*is_buffer=*/false);
        break;
      case Member::Kind::buffer:
        module.register_buffer(member.name, member.value.toTensor());
        break;
      case Member::Kind::attribute:
        module.register_attribute(member.name, member.value.type(), member.value);
        break;
      case Member::Kind::module:
        module.register_module(member.name, torch::jit::Module(member.value.toObject()));
        break;
    }
  }
  if (!source.empty()) module.define(source);
  types_.emplace(class_name, module.type());
  return module;
}

}  // namespace attention_bypass
