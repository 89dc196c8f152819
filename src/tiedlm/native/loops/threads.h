// Threads, or one where the compiler knows no OpenMP.
#pragma once
#include <cstdint>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace tiedlm {

inline int thread_number() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

inline int thread_count() {
#ifdef _OPENMP
  return omp_get_num_threads();
#else
  return 1;
#endif
}

struct Range {
  int64_t first, end;
};

// This thread's share of `total` things.
inline Range own_share(int64_t total) {
  int64_t thread = thread_number(), count = thread_count();
  return {total * thread / count, total * (thread + 1) / count};
}

}  // namespace tiedlm
