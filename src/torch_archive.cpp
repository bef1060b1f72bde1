#include "torch_archive.h"

#include <caffe2/serialize/inline_container.h>

#include <filesystem>

#include "error.h"

namespace attention_bypass {

namespace {

bool begins_with(const std::string& text, const std::string& begin) {
  return text.compare(0, begin.size(), begin) == 0;
}

[[noreturn]] void refuse(const std::string& path, const std::string& reason) {
  throw Error("ARCHIVE_INVALID",
              "expected a zip archive written by PyTorch 1.6 or later in " + path + " but " + reason);
}

TorchArchive read(caffe2::serialize::PyTorchStreamReader& reader, const std::string& path) {
  static const std::string data = "data/";
  static const std::string extra = "extra/";
  if (!reader.hasRecord("data.pkl")) refuse(path, "it has no record data.pkl");
  const auto content = [&reader](const std::string& name) {
    const auto [bytes, size] = reader.getRecord(name);
    return std::string(static_cast<const char*>(bytes.get()), size);
  };
  TorchArchive archive;
  archive.pickle = content("data.pkl");
  for (const auto& name : reader.getAllRecords()) {
    if (begins_with(name, "code/")) archive.has_code = true;
    if (begins_with(name, extra)) archive.extra.emplace(name.substr(extra.size()), content(name));
    if (begins_with(name, data)) {
      const uint64_t begin = reader.getRecordOffset(name);
      archive.storages.emplace(name.substr(data.size()),
                               TorchArchive::Record{begin, begin + reader.getRecordSize(name)});
    }
  }
  return archive;
}

}  // namespace

TorchArchive open_torch_archive(const std::string& path) {
  if (!std::filesystem::exists(path))
    throw Error("WEIGHTS_MISSING", "expected a file " + path + " but found none");
  try {
    caffe2::serialize::PyTorchStreamReader reader(path);
    return read(reader, path);
  } catch (const c10::Error& error) {
    const std::string reason = error.what_without_backtrace();
    refuse(path, reason.substr(0, reason.find('\n')));
  }
}

}  // namespace attention_bypass
