// The passes over a chunk's logits (`passes`), as loops that keep a row in the cache.
//
// Rows are sorted by target, so the rows of one target are neighbours: its soft target y~ is worked out once, used by
// all of them while it is in the cache, and never stored. A row of logits is read from memory once, and the gradient is
// written in its place. Everything is worked out in `Wide` (float, or double) and rounded once, when it is stored.
//
// Targets are shared out over the threads in one way for a number of threads, and every sum has a fixed order, so the
// same input gives the same bits.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace {

using BFloat16 = uint16_t;  // its bits

inline float widened(float value) { return value; }
inline double widened(double value) { return value; }
inline float widened(BFloat16 value) {
  return __builtin_bit_cast(float, uint32_t(value) << 16);
}

inline void store(float &place, float value) { place = value; }
inline void store(double &place, double value) { place = value; }
inline void store(BFloat16 &place, float value) {  // to the nearest, ties to even
  uint32_t bits = __builtin_bit_cast(uint32_t, value), rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  place = value == value ? BFloat16(rounded) : BFloat16(0x7fc0);
}

// exp(x) for x <= 0, to two units in the last place: x = n log 2 + r, and a polynomial in r. 0 below -87.3; not a
// number where x is not one.
inline float exponential(float x) {
  float kept = x < -87.3f ? -87.3f : x;
  float n = std::nearbyint(kept * 1.44269504f);
  float r = (kept - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  float power = __builtin_bit_cast(float, uint32_t(int32_t(n) + 127) << 23);
  return x < -87.3f ? 0.0f : p * power;
}
inline double exponential(double x) { return std::exp(x); }

template <typename Wide>
struct Options {
  int64_t words;
  Wide coolness, gamma;  // 1 / tau
};

// What is divided by, and what lies behind a loss, of the softmax of one row.
template <typename Wide>
struct Normaliser {
  Wide top, total;
};

template <typename Stored, typename Wide>
struct Student {
  Stored *logits;     // [C, V], rows `stride` apart
  int64_t stride;
  const Wide *bias;   // [V], or null
  const int64_t *targets;  // [C]
  const Wide *weights;     // [C], or null where no gradient is wanted
};

// Memory of one thread for a row: powers of the row, of the softened row, the soft target, the sum over its rows.
template <typename Wide>
struct Scratch {
  explicit Scratch(int64_t words) : powers(words), softened(words), soft(words), difference(words) {}
  std::vector<Wide> powers, softened, soft, difference;
};

template <typename Stored, typename Wide>
Wide biased(const Stored *row, const Wide *bias, int64_t word) {
  return bias ? widened(row[word]) + bias[word] : Wide(widened(row[word]));
}

template <typename Stored, typename Wide>
Wide largest(const Stored *row, const Wide *bias, int64_t words) {
  Wide top = -std::numeric_limits<Wide>::infinity();
  if (bias) {
#pragma omp simd reduction(max : top)
    for (int64_t v = 0; v < words; ++v) {
      Wide value = widened(row[v]) + bias[v];
      top = value > top ? value : top;
    }
  } else {
#pragma omp simd reduction(max : top)
    for (int64_t v = 0; v < words; ++v) {
      Wide value = widened(row[v]);
      top = value > top ? value : top;
    }
  }
  return top;
}

// Store exp(z + b - top), and return top and the sum.
template <typename Stored, typename Wide>
Normaliser<Wide> predicted(const Stored *row, const Wide *bias, int64_t words, Wide *powers) {
  Wide top = largest(row, bias, words), total = 0;
  if (bias) {
#pragma omp simd reduction(+ : total)
    for (int64_t v = 0; v < words; ++v) {
      Wide power = exponential(Wide(widened(row[v])) + bias[v] - top);
      powers[v] = power;
      total += power;
    }
  } else {
#pragma omp simd reduction(+ : total)
    for (int64_t v = 0; v < words; ++v) {
      Wide power = exponential(Wide(widened(row[v])) - top);
      powers[v] = power;
      total += power;
    }
  }
  return {top, total};
}

// Both softmaxes of a row without a bias, in one loop.
template <typename Stored, typename Wide>
void both(const Stored *row, const Options<Wide> &options, const Wide *soft, Scratch<Wide> &scratch,
          Normaliser<Wide> &hard, Normaliser<Wide> &cool, Wide &crossing) {
  Wide top = largest(row, static_cast<const Wide *>(nullptr), options.words), coolness = options.coolness;
  Wide total = 0, softened_total = 0, crossed = 0;
  Wide *powers = scratch.powers.data(), *softened = scratch.softened.data();
#pragma omp simd reduction(+ : total, softened_total, crossed)
  for (int64_t v = 0; v < options.words; ++v) {
    Wide below = Wide(widened(row[v])) - top;
    Wide power = exponential(below), gentle = exponential(below * coolness);
    powers[v] = power;
    softened[v] = gentle;
    total += power;
    softened_total += gentle;
    crossed -= soft[v] > 0 ? soft[v] * (below * coolness) : Wide(0);
  }
  hard = {top, total}, cool = {top, softened_total}, crossing = crossed;
}

// Store exp((z - top) / tau); return top and sum, and y~ . (top - z) / tau.
template <typename Stored, typename Wide>
Normaliser<Wide> softened(const Stored *row, const Options<Wide> &options, const Wide *soft, Wide *powers,
                          Wide &crossing) {
  Wide top = largest(row, static_cast<const Wide *>(nullptr), options.words), total = 0, crossed = 0;
  Wide coolness = options.coolness;
#pragma omp simd reduction(+ : total, crossed)
  for (int64_t v = 0; v < options.words; ++v) {
    Wide below = (Wide(widened(row[v])) - top) * coolness;
    Wide power = exponential(below);
    powers[v] = power;
    total += power;
    crossed -= soft[v] > 0 ? soft[v] * below : Wide(0);
  }
  crossing = crossed;
  return {top, total};
}

// Store y~ (eq. 3.7) and return its entropy.
template <typename Stored, typename Wide>
Wide soft_target(const Stored *row, const bool *mask, const Options<Wide> &options, Wide *soft) {
  Wide top = -std::numeric_limits<Wide>::infinity(), total = 0, product = 0;
  for (int64_t v = 0; v < options.words; ++v) {
    Wide value = mask && !mask[v] ? -std::numeric_limits<Wide>::infinity() : Wide(widened(row[v]));
    soft[v] = value;
  }
  top = largest(soft, static_cast<const Wide *>(nullptr), options.words);
  Wide coolness = options.coolness;
#pragma omp simd reduction(+ : total, product)
  for (int64_t v = 0; v < options.words; ++v) {
    Wide below = (soft[v] - top) * coolness;
    Wide power = exponential(below);
    soft[v] = power;
    total += power;
    product += power > 0 ? power * below : Wide(0);
  }
  Wide share = 1 / total;
#pragma omp simd
  for (int64_t v = 0; v < options.words; ++v) soft[v] *= share;
  return std::log(total) - product * share;
}

template <typename Stored, typename Wide>
Wide cross_entropy_of(const Student<Stored, Wide> &student, const Stored *row, int64_t target,
                      const Normaliser<Wide> &hard) {
  // in this order a near-certain loss keeps its last bits
  return (hard.top - biased(row, student.bias, target)) + std::log(hard.total);
}

// Add w (y - e) to the gradient of the bias.
template <typename Wide>
void add_bias(Wide *at_bias, const Wide *powers, Wide factor, Wide weight, int64_t target, int64_t words) {
  if (!at_bias) return;
#pragma omp simd
  for (int64_t v = 0; v < words; ++v) at_bias[v] += factor * powers[v];
  at_bias[target] -= weight;
}

// One row of plain cross-entropy: J, and w (y - e) in place of the logits.
template <typename Stored, typename Wide>
Wide cross_entropy_row(const Student<Stored, Wide> &student, int64_t c, int64_t words, Scratch<Wide> &scratch,
                       Wide *at_bias) {
  Stored *row = student.logits + c * student.stride;
  Wide *powers = scratch.powers.data();
  int64_t target = student.targets[c];
  Normaliser<Wide> hard = predicted(row, student.bias, words, powers);
  Wide loss = cross_entropy_of(student, row, target, hard);
  if (student.weights) {
    Wide weight = student.weights[c], factor = weight / hard.total;
    add_bias(at_bias, powers, factor, weight, target, words);
#pragma omp simd
    for (int64_t v = 0; v < words; ++v) store(row[v], factor * powers[v]);
    store(row[target], weight * std::expm1(-loss));  // y - 1, rounded once
  }
  return loss;
}

// One row of the augmented loss: J and KL(y~ || y^), and G = w [(y - e) + gamma (y^ - y~)] in place of the logits.
template <typename Stored, typename Wide>
void augmented_row(const Student<Stored, Wide> &student, int64_t c, const Options<Wide> &options, Wide entropy,
                   Scratch<Wide> &scratch, Wide *at_bias, Wide &loss, Wide &divergence) {
  Stored *row = student.logits + c * student.stride;
  const Wide *soft = scratch.soft.data();
  Wide *powers = scratch.powers.data(), *gentle = scratch.softened.data();
  int64_t target = student.targets[c];
  Normaliser<Wide> hard, cool;
  Wide crossing;
  if (student.bias) {
    hard = predicted(row, student.bias, options.words, powers);
    cool = softened(row, options, soft, gentle, crossing);
  } else {
    both(row, options, soft, scratch, hard, cool, crossing);
  }
  loss = cross_entropy_of(student, row, target, hard);
  divergence = std::log(cool.total) + crossing - entropy;
  if (!student.weights) return;
  Wide weight = student.weights[c], factor = weight / hard.total, gamma = weight * options.gamma;
  Wide share = gamma / cool.total;
  add_bias(at_bias, powers, factor, weight, target, options.words);
#pragma omp simd
  for (int64_t v = 0; v < options.words; ++v)
    store(row[v], factor * powers[v] + (share * gentle[v] - gamma * soft[v]));
  store(row[target], weight * std::expm1(-loss) + (share * gentle[target] - gamma * soft[target]));
}

// Add w (L l - z) to the sum over the rows of one target; the row holds its logits still.
template <typename Stored, typename Wide>
void add_difference(const Stored *teacher, const Stored *row, Wide weight, int64_t words, Wide *difference) {
#pragma omp simd
  for (int64_t v = 0; v < words; ++v) difference[v] += weight * (Wide(widened(teacher[v])) - Wide(widened(row[v])));
}

// Store R = gamma y~ (D - y~ . D) in place of the teacher's logits, with D = difference / tau.
template <typename Stored, typename Wide>
void teacher_gradient(Stored *teacher, const Options<Wide> &options, const Scratch<Wide> &scratch) {
  const Wide *soft = scratch.soft.data(), *difference = scratch.difference.data();
  Wide mean = 0, factor = options.gamma * options.coolness;
#pragma omp simd reduction(+ : mean)
  for (int64_t v = 0; v < options.words; ++v) mean += soft[v] * difference[v];
#pragma omp simd
  for (int64_t v = 0; v < options.words; ++v) store(teacher[v], factor * soft[v] * (difference[v] - mean));
}

int thread_number() {
#ifdef _OPENMP
  return omp_get_thread_num();
#else
  return 0;
#endif
}

int thread_count() {
#ifdef _OPENMP
  return omp_get_num_threads();
#else
  return 1;
#endif
}

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
void cross_entropy(int64_t rows, int64_t words, Student<Stored, Wide> student, Wide *losses, Wide *at_bias,
                   int threads) {
  BiasSums<Wide> sums(at_bias, words, threads);
#pragma omp parallel num_threads(threads)
  {
    Scratch<Wide> scratch(words);
    int64_t thread = thread_number(), count = thread_count();
    for (int64_t c = rows * thread / count; c < rows * (thread + 1) / count; ++c)
      losses[c] = cross_entropy_row(student, c, words, scratch, sums.part(int(thread)));
  }
  sums.add();
}

// All rows [starts[u], starts[u + 1]) of one target.
template <typename Stored, typename Wide>
void one_target(int64_t u, const int64_t *starts, const Student<Stored, Wide> &student, Stored *own,
                const bool *mask, bool through, const Options<Wide> &options, Scratch<Wide> &scratch, Wide *at_bias,
                Wide *losses, Wide *divergences) {
  Wide entropy = soft_target(own, mask, options, scratch.soft.data());
  if (through) scratch.difference.assign(options.words, Wide(0));
  for (int64_t c = starts[u]; c < starts[u + 1]; ++c) {
    if (through)
      add_difference(own, student.logits + c * student.stride, student.weights[c], options.words,
                     scratch.difference.data());
    augmented_row(student, c, options, entropy, scratch, at_bias, losses[c], divergences[c]);
  }
  if (through) teacher_gradient(own, options, scratch);
}

template <typename Stored, typename Wide>
void augmented(int64_t targets, const int64_t *starts, Student<Stored, Wide> student, Stored *teacher,
               int64_t teacher_stride, const bool *mask, bool through, Options<Wide> options, Wide *losses, Wide *divergences, Wide *at_bias,
               int threads) {
  BiasSums<Wide> sums(at_bias, options.words, threads);
#pragma omp parallel num_threads(threads)
  {
    Scratch<Wide> scratch(options.words);
    int64_t thread = thread_number(), count = thread_count(), rows = starts[targets];
    // a thread has the targets that begin in its share of the rows
    for (int64_t u = 0; u < targets; ++u)
      if (starts[u] >= rows * thread / count && starts[u] < rows * (thread + 1) / count)
        one_target(u, starts, student, teacher + u * teacher_stride, mask, through, options, scratch, sums.part(int(thread)), losses,
                   divergences);
  }
  sums.add();
}

}  // namespace

#define LOOPS(NAME, STORED, WIDE)                                                                                    \
  extern "C" void cross_entropy_##NAME(int64_t rows, int64_t words, void *logits, int64_t stride, const void *bias,  \
                                       const int64_t *targets, const void *weights, void *losses, void *at_bias,     \
                                       int threads) {                                                                \
    Student<STORED, WIDE> student{(STORED *)logits, stride, (const WIDE *)bias, targets, (const WIDE *)weights};     \
    cross_entropy<STORED, WIDE>(rows, words, student, (WIDE *)losses, (WIDE *)at_bias, threads);                     \
  }                                                                                                                  \
  extern "C" void augmented_##NAME(int64_t words, void *logits, int64_t stride, const void *bias,                    \
                                   const int64_t *targets, const void *weights, void *losses, void *at_bias,         \
                                   int threads, int64_t distinct, const int64_t *starts, void *teacher,              \
                                   int64_t teacher_stride, const bool *mask, int through, double coolness, double gamma,                     \
                                   void *divergences) {                                                              \
    Student<STORED, WIDE> student{(STORED *)logits, stride, (const WIDE *)bias, targets, (const WIDE *)weights};     \
    Options<WIDE> options{words, WIDE(coolness), WIDE(gamma)};                                                       \
    augmented<STORED, WIDE>(distinct, starts, student, (STORED *)teacher, teacher_stride, mask, through != 0, options,               \
                            (WIDE *)losses, (WIDE *)divergences, (WIDE *)at_bias, threads);                          \
  }

LOOPS(float32, float, float)
LOOPS(float64, double, double)
LOOPS(bfloat16, BFloat16, float)
