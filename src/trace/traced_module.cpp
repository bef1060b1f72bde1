#include "trace/traced_module.h"

#include <sys/resource.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "base/error.h"

namespace attention_bypass {

namespace {

void limit(decltype(RLIMIT_CPU) resource, rlim_t value) {
  const rlimit limits{value, value};
  if (setrlimit(resource, &limits) != 0) {
    throw Error("TRACE_FAILED", "the operating system refused to limit its process");
  }
}

// Returns the size of the process's data in bytes, or its peak resident size if /proc is not available.
uint64_t data_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string name; status >> name;) {
    uint64_t kibibytes = 0;
    if (name == "VmData:" && status >> kibibytes) return kibibytes << 10;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) << 10;
}

void limit_process(const ProcessLimits& limits) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, limits.seconds);
  limit(RLIMIT_DATA, data_bytes() + limits.memory);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_NOFILE, 0);
}

std::string one_line(const std::string& text) {
  const auto end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "it failed without a message";
  const auto begin = text.find_last_of('\n', end);
  return begin == std::string::npos ? text.substr(0, end + 1) : text.substr(begin + 1, end - begin);
}

at::Tensor logits_of(const c10::IValue& output) {
  if (output.isTensor()) return output.toTensor();
  if (output.isTuple() && !output.toTuple()->elements().empty())
    return logits_of(output.toTuple()->elements()[0]);
  if (output.isGenericDict() && output.toGenericDict().contains("logits")) {
    return logits_of(output.toGenericDict().at("logits"));
  }
  throw Error("TRACE_FAILED", "it returned no logits");
}

}  // namespace

TracedModule::TracedModule(const std::string& path, const ProcessLimits& limits) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    throw Error("WEIGHTS_MISSING", "expected " + path + " to be a readable file but opening it failed");
  std::stringstream archive;
  archive << file.rdbuf();
  file.close();
  limit_process(limits);
  try {
    module_ = torch::jit::load(archive, at::Device(at::kCPU));
  } catch (const std::exception& error) {
    throw Error("TRACE_FAILED", one_line(error.what()));
  }
}

at::Tensor TracedModule::logits(const TokenRow& tokens) {
  const c10::InferenceMode inference;
  const auto ids = TokenBatch::of(std::vector<TokenRow>{tokens}, at::Device(at::kCPU)).ids;
  try {
    return logits_of(module_.forward({ids})).to(at::kCPU, at::kFloat).contiguous();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    throw Error("TRACE_FAILED", one_line(error.what()));
  }
}

}  // namespace attention_bypass
