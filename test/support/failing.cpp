// Loaded before everything else by LD_PRELOAD, this makes memory or a disk run out when a test says so. It reads what to
// do from a file of 64-bit numbers that it maps: [0] which of the next allocations fails, counted down, 0 for none;
// [1] how many have failed; [2] how many bytes still fit into $FAILING_FOLDER.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

volatile int64_t* state() {
  static volatile int64_t* const mapped = [] {
    const char* path = getenv("FAILING_STATE");
    const int file = path == nullptr ? -1 : open(path, O_RDWR);
    void* memory = file < 0 ? MAP_FAILED : mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<volatile int64_t*>(memory);
  }();
  return mapped;
}

// Whether code is libtorch's allocator: Node itself ends where it gets no memory.
bool takes_for_tensors(const void* code) {
  Dl_info found;
  return dladdr(code, &found) != 0 && strstr(found.dli_fname, "libc10") != nullptr;
}

bool fails(const void* caller) {
  const auto at = state();
  if (at == nullptr || at[0] <= 0 || !takes_for_tensors(caller) || --at[0] != 0) return false;
  ++at[1];
  return true;
}

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// How many of so many bytes may still be written to an open file.
size_t room(int file, size_t wanted) {
  static const char* const folder = getenv("FAILING_FOLDER");
  const auto at = state();
  if (folder == nullptr || at == nullptr) return wanted;
  char link[64];
  char path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0 || strncmp(path, folder, strlen(folder)) != 0) return wanted;
  const auto left = static_cast<size_t>(at[2]);
  const size_t fits = wanted < left ? wanted : left;
  at[2] = static_cast<int64_t>(left - fits);
  return fits;
}

ssize_t full() {
  errno = ENOSPC;
  return -1;
}

template <typename Write>
ssize_t one(int file, const void* bytes, size_t count, Write write_part) {
  const size_t fits = room(file, count);
  return count > 0 && fits == 0 ? full() : write_part(bytes, fits);
}

// Only the first part: to write less than was asked for is allowed.
template <typename Write>
ssize_t first(int file, const iovec* parts, int count, Write write_part) {
  for (int part = 0; part < count; ++part) {
    if (parts[part].iov_len > 0) return one(file, parts[part].iov_base, parts[part].iov_len, write_part);
  }
  return 0;
}

}  // namespace

// libtorch takes the memory of tensors by this.
extern "C" int posix_memalign(void** memory, size_t alignment, size_t size) noexcept {
  static const auto take = real<int (*)(void**, size_t, size_t)>("posix_memalign");
  return fails(__builtin_return_address(0)) ? ENOMEM : take(memory, alignment, size);
}

extern "C" ssize_t write(int file, const void* bytes, size_t count) {
  static const auto plain = real<ssize_t (*)(int, const void*, size_t)>("write");
  return one(file, bytes, count, [file](const void* part, size_t size) { return plain(file, part, size); });
}

extern "C" ssize_t pwrite64(int file, const void* bytes, size_t count, off64_t place) {
  static const auto plain = real<ssize_t (*)(int, const void*, size_t, off64_t)>("pwrite64");
  return one(file, bytes, count,
             [file, place](const void* part, size_t size) { return plain(file, part, size, place); });
}

extern "C" ssize_t pwrite(int file, const void* bytes, size_t count, off_t place) {
  return pwrite64(file, bytes, count, place);
}

extern "C" ssize_t writev(int file, const iovec* parts, int count) {
  return first(file, parts, count, [file](const void* part, size_t size) { return write(file, part, size); });
}

extern "C" ssize_t pwritev64(int file, const iovec* parts, int count, off64_t place) {
  return first(file, parts, count,
               [file, place](const void* part, size_t size) { return pwrite64(file, part, size, place); });
}

extern "C" ssize_t pwritev(int file, const iovec* parts, int count, off_t place) {
  return pwritev64(file, parts, count, place);
}
