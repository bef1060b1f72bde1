// Links some functions to their older symbol versions, so that an addon that was compiled on a newer system
// loads on every system that libtorch supports: glibc 2.28 and GLIBCXX 3.4.22. scripts/oldest-libraries.mjs
// reports functions that are missing here.

#include <sys/stat.h>

#include <condition_variable>
#include <mutex>
#include <new>

#ifdef __x86_64__
#define FIRST_GLIBC "GLIBC_2.2.5"
#define STAT_LAYOUT 1
#else
#define FIRST_GLIBC "GLIBC_2.17"
#define STAT_LAYOUT 0
#endif

// Declares a function that replaces a library's function inside the addon. Hidden from other libraries.
#define IN_PLACE_OF(symbol) __asm__(symbol) __attribute__((visibility("hidden")))
// Declares a library's function in an older symbol version.
#define OLDER(name, symbol, version) __asm__(".symver " #name ", " symbol "@" version)

namespace {

using Condition = std::condition_variable;
using Lock = std::unique_lock<std::mutex>;

}  // namespace

extern "C" {

// New in glibc 2.32. A process with Node.js in it always has several threads.
extern char never_single_threaded IN_PLACE_OF("__libc_single_threaded");
char never_single_threaded = 0;

// New version in glibc 2.29. It differs in how errors are reported.
double older_exp(double exponent);
OLDER(older_exp, "exp", FIRST_GLIBC);
double own_exp(double exponent) IN_PLACE_OF("exp");
double own_exp(double exponent) { return older_exp(exponent); }

// New in glibc 2.33. In older versions, fstat is a wrapper in the headers that calls __fxstat.
int older_fstat(int layout, int descriptor, struct stat* result);
OLDER(older_fstat, "__fxstat", FIRST_GLIBC);
int own_fstat(int descriptor, struct stat* result) IN_PLACE_OF("fstat");
int own_fstat(int descriptor, struct stat* result) { return older_fstat(STAT_LAYOUT, descriptor, result); }

// New versions in glibc 2.34, which includes libdl.
void* older_dlopen(const char* path, int mode);
OLDER(older_dlopen, "dlopen", FIRST_GLIBC);
void* own_dlopen(const char* path, int mode) IN_PLACE_OF("dlopen");
void* own_dlopen(const char* path, int mode) { return older_dlopen(path, mode); }

char* older_dlerror();
OLDER(older_dlerror, "dlerror", FIRST_GLIBC);
char* own_dlerror() IN_PLACE_OF("dlerror");
char* own_dlerror() { return older_dlerror(); }

// New version in GLIBCXX 3.4.30. It differs in its exception specification.
#define WAIT "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE"
void older_wait(Condition* condition, Lock& lock);
OLDER(older_wait, WAIT, "GLIBCXX_3.4.11");
void own_wait(Condition* condition, Lock& lock) IN_PLACE_OF(WAIT);
void own_wait(Condition* condition, Lock& lock) { older_wait(condition, lock); }

// New in GLIBCXX 3.4.29. The headers of newer compilers call it.
[[noreturn]] void own_throw_length() IN_PLACE_OF("_ZSt28__throw_bad_array_new_lengthv");
void own_throw_length() { throw std::bad_array_new_length(); }

}  // extern "C"
