#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace attention_bypass {

// A zip archive by PyTorch: a state dictionary (torch.save) or a TorchScript module (torch.jit.save).
struct TorchArchive {
  struct Record {
    uint64_t begin, end;  // of its bytes in the file; PyTorch does not compress them
  };

  bool has_code = false;                     // a TorchScript module
  std::string pickle;                        // the object whose tensors are in storages
  std::map<std::string, Record> storages;    // by their keys in the pickle
  std::map<std::string, std::string> extra;  // files that were stored beside the module
};

// Throws WEIGHTS_MISSING, ARCHIVE_INVALID.
TorchArchive open_torch_archive(const std::string& path);

}  // namespace attention_bypass
