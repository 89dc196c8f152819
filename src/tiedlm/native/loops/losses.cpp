// The passes over a chunk's logits (`passes`), as loops that keep a row in the cache.
//
// Rows are sorted by target, so the rows of one target are neighbours: its soft target y~ is worked out once, used by
// all of them while it is in the cache, and never stored. A row of logits is read from memory once, and the gradient is
// written in its place.
//
// Targets are shared out over the threads in one way for a number of threads, so the same input gives the same bits.
#include <cstdint>
#include <vector>

#include "rows.h"
#include "threads.h"

namespace {

using namespace tiedlm;

// The sums for the bias's gradient, one for each thread, added up in their order.
template <typename Wide>
struct BiasSums {
  BiasSums(Wide *at_bias, int64_t words, int threads)
      : at_bias(at_bias), words(words), parts(at_bias ? words * threads : 0, Wide(0)) {}
  Wide *part(int thread) { return at_bias ? parts.data() + words * thread : nullptr; }
  void add() {
    for (size_t i = 0; i < parts.size(); ++i) at_bias[i % words] += parts[i];
  }
  Wide *at_bias;
  int64_t words;
  std::vector<Wide> parts;
};

template <typename Stored, typename Wide>
void cross_entropy(int64_t rows, int64_t words, const Student<Stored, Wide> &student, Wide *losses, Wide *at_bias,
                   int threads) {
  BiasSums<Wide> sums(at_bias, words, threads);
#pragma omp parallel num_threads(threads)
  {
    Scratch<Wide> scratch(words);
    Range own = own_share(rows);
    for (int64_t c = own.first; c < own.end; ++c)
      losses[c] = cross_entropy_row(student, c, words, scratch, sums.part(thread_number()));
  }
  sums.add();
}

template <typename Stored, typename Wide>
struct Teacher {
  int64_t count;           // U
  const int64_t *starts;   // the rows of target u are starts[u] to starts[u + 1] [U + 1]
  Stored *logits;          // [U, V], rows `stride` apart
  int64_t stride;
  const bool *mask;        // words that a soft target may name [V], or null
  bool through;            // whether the gradient through soft targets is wanted
};

template <typename Wide>
struct Results {
  Wide *losses, *divergences;  // [C]
};

template <typename Stored, typename Wide>
void one_target(int64_t u, const Student<Stored, Wide> &student, const Teacher<Stored, Wide> &teacher,
                const Options<Wide> &options, Scratch<Wide> &scratch, Wide *at_bias, const Results<Wide> &results) {
  Stored *own = teacher.logits + u * teacher.stride;
  Wide entropy = soft_target(own, teacher.mask, options, scratch.soft.data());
  if (teacher.through) scratch.difference.assign(options.words, Wide(0));
  for (int64_t c = teacher.starts[u]; c < teacher.starts[u + 1]; ++c) {
    const Stored *row = student.logits + c * student.stride;
    if (teacher.through) add_difference(own, row, student.weights[c], options.words, scratch.difference.data());
    augmented_row(student, c, options, entropy, scratch, at_bias, results.losses[c], results.divergences[c]);
  }
  if (teacher.through) teacher_gradient(own, options, scratch);
}

template <typename Stored, typename Wide>
void augmented(const Student<Stored, Wide> &student, const Teacher<Stored, Wide> &teacher,
               const Options<Wide> &options, const Results<Wide> &results, Wide *at_bias, int threads) {
  BiasSums<Wide> sums(at_bias, options.words, threads);
#pragma omp parallel num_threads(threads)
  {
    Scratch<Wide> scratch(options.words);
    Range own = own_share(teacher.starts[teacher.count]);
    // a thread has the targets whose first row is in its share of the rows
    for (int64_t u = 0; u < teacher.count; ++u)
      if (teacher.starts[u] >= own.first && teacher.starts[u] < own.end)
        one_target(u, student, teacher, options, scratch, sums.part(thread_number()), results);
  }
  sums.add();
}

}  // namespace

#define STUDENT(STORED, WIDE) \
  Student<STORED, WIDE> { (STORED *)logits, stride, (const WIDE *)bias, targets, (const WIDE *)weights }

#define LOOPS(NAME, STORED, WIDE)                                                                                   \
  extern "C" void cross_entropy_##NAME(int64_t rows, int64_t words, void *logits, int64_t stride, const void *bias, \
                                       const int64_t *targets, const void *weights, void *losses, void *at_bias,    \
                                       int64_t threads) {                                                               \
    cross_entropy<STORED, WIDE>(rows, words, STUDENT(STORED, WIDE), (WIDE *)losses, (WIDE *)at_bias, int(threads));      \
  }                                                                                                                 \
  extern "C" void augmented_##NAME(int64_t words, void *logits, int64_t stride, const void *bias,                   \
                                   const int64_t *targets, const void *weights, void *losses, void *at_bias,        \
                                   int64_t threads, int64_t distinct, const int64_t *starts, void *teacher,             \
                                   int64_t teacher_stride, const bool *mask, int64_t through, double coolness,          \
                                   double gamma, void *divergences) {                                               \
    Teacher<STORED, WIDE> teachers{distinct, starts, (STORED *)teacher, teacher_stride, mask, through != 0};        \
    Options<WIDE> options{words, WIDE(coolness), WIDE(gamma)};                                                      \
    Results<WIDE> results{(WIDE *)losses, (WIDE *)divergences};                                                     \
    augmented<STORED, WIDE>(STUDENT(STORED, WIDE), teachers, options, results, (WIDE *)at_bias, int(threads));           \
  }

LOOPS(float32, float, float)
LOOPS(float64, double, double)
LOOPS(bfloat16, BFloat16, float)
