// Binds functions whose newest versions only newer systems have to versions that all have, so that an addon
// that was compiled on a newer system loads wherever libtorch does: glibc 2.28 and GLIBCXX 3.4.22. If an
// addon needs one more, scripts/oldest-libraries.mjs names it.

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

// Declares a function that the addon's other parts find under a library's name, and that nothing outside
// sees.
#define IN_PLACE_OF(symbol) __asm__(symbol) __attribute__((visibility("hidden")))
// Declares a library's function in the version given.
#define OLDER(name, symbol, version) __asm__(".symver " #name ", " symbol "@" version)

namespace {

using Condition = std::condition_variable;
using Lock = std::unique_lock<std::mutex>;

}  // namespace

extern "C" {

// glibc 2.32. A process with Node.js in it always has several threads.
extern char never_single_threaded IN_PLACE_OF("__libc_single_threaded");
char never_single_threaded = 0;

// glibc 2.29, which differs in how errors are reported.
double older_exp(double exponent);
OLDER(older_exp, "exp", FIRST_GLIBC);
double own_exp(double exponent) IN_PLACE_OF("exp");
double own_exp(double exponent) { return older_exp(exponent); }

// glibc 2.33, before which headers made it a call of the other.
int older_fstat(int layout, int descriptor, struct stat* result);
OLDER(older_fstat, "__fxstat", FIRST_GLIBC);
int own_fstat(int descriptor, struct stat* result) IN_PLACE_OF("fstat");
int own_fstat(int descriptor, struct stat* result) { return older_fstat(STAT_LAYOUT, descriptor, result); }

// glibc 2.34, where libdl became a part of libc.
void* older_dlopen(const char* path, int mode);
OLDER(older_dlopen, "dlopen", FIRST_GLIBC);
void* own_dlopen(const char* path, int mode) IN_PLACE_OF("dlopen");
void* own_dlopen(const char* path, int mode) { return older_dlopen(path, mode); }

char* older_dlerror();
OLDER(older_dlerror, "dlerror", FIRST_GLIBC);
char* own_dlerror() IN_PLACE_OF("dlerror");
char* own_dlerror() { return older_dlerror(); }

// GLIBCXX 3.4.30, which differs in what it may throw.
#define WAIT "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE"
void older_wait(Condition* condition, Lock& lock);
OLDER(older_wait, WAIT, "GLIBCXX_3.4.11");
void own_wait(Condition* condition, Lock& lock) IN_PLACE_OF(WAIT);
void own_wait(Condition* condition, Lock& lock) { older_wait(condition, lock); }

// GLIBCXX 3.4.29, called by the headers of newer compilers.
[[noreturn]] void own_throw_length() IN_PLACE_OF("_ZSt28__throw_bad_array_new_lengthv");
void own_throw_length() { throw std::bad_array_new_length(); }

}  // extern "C"
