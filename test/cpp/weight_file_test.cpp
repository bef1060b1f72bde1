#include "weights/weight_file.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

#include "error_code.h"
#include "temporary_file.h"

namespace attention_bypass {
namespace {

const std::vector<uint8_t> ten_bytes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

TEST(WeightFile, ReadsByPosition) {
  const TemporaryFile file(ten_bytes);
  const auto opened = file.open();
  std::array<uint8_t, 3> bytes{};
  opened->read(7, 3, bytes.data());
  EXPECT_EQ(bytes, (std::array<uint8_t, 3>{7, 8, 9}));
  opened->read(0, 1, bytes.data());
  EXPECT_EQ(bytes.front(), 0);
  opened->read(10, 0, bytes.data());
}

TEST(WeightFile, RefusesBytesOutsideTheFile) {
  const TemporaryFile file(ten_bytes);
  const auto opened = file.open();
  uint8_t byte = 0;
  EXPECT_EQ(error_code([&] { opened->read(10, 1, &byte); }), "WEIGHTS_TRUNCATED");
  EXPECT_EQ(error_code([&] { opened->read(11, 0, &byte); }), "WEIGHTS_TRUNCATED");
  // Their sum wraps around to 0.
  EXPECT_EQ(error_code([&] { opened->read(1, UINT64_MAX, &byte); }), "WEIGHTS_TRUNCATED");
}

TEST(WeightFile, RefusesWhatIsNoFile) {
  const TemporaryFile file(ten_bytes);
  EXPECT_EQ(error_code([] { WeightFile("/nowhere/weights", {}); }), "WEIGHTS_MISSING");
  EXPECT_EQ(error_code([] { WeightFile("/tmp", {}); }), "WEIGHTS_INVALID");
  EXPECT_EQ(error_code([] { WeightFile("/dev/null", {}); }), "WEIGHTS_INVALID");
  const std::string pipe = file.path() + "-pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error_code([&] { WeightFile(pipe, {}); }), "WEIGHTS_INVALID");
  unlink(pipe.c_str());
}

TEST(WeightFile, RefusesAFileThatHasChanged) {
  const TemporaryFile file(ten_bytes);
  const auto now = file.identity();
  for (const auto member :
       {&WeightFile::Identity::device, &WeightFile::Identity::inode, &WeightFile::Identity::size}) {
    auto other = now;
    ++(other.*member);
    EXPECT_EQ(error_code([&] { WeightFile(file.path(), other); }), "WEIGHTS_CHANGED");
  }
  auto older = now;
  older.modified -= 1'000'000'007;
  EXPECT_EQ(error_code([&] { WeightFile(file.path(), older); }), "WEIGHTS_CHANGED");
}

TEST(WeightFile, AcceptsATimeInWholeMilliseconds) {
  const TemporaryFile file(ten_bytes);
  auto identity = file.identity();
  identity.modified -= identity.modified % 1'000'000;
  EXPECT_EQ(error_code([&] { WeightFile(file.path(), identity); }), "none");
}

TEST(WeightFile, NoticesThatTheFileBecomesShorter) {
  const TemporaryFile file(ten_bytes);
  const auto opened = file.open();
  file.resize(4);
  std::array<uint8_t, 8> bytes{};
  EXPECT_EQ(error_code([&] { opened->read(0, 8, bytes.data()); }), "WEIGHTS_TRUNCATED");
  EXPECT_EQ(error_code([&] { opened->require_unchanged(); }), "WEIGHTS_CHANGED");
}

}  // namespace
}  // namespace attention_bypass
