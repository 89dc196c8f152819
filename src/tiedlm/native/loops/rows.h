// What is done to one row of logits, by one thread. Everything is worked out in `Wide` (float, or double) and rounded
// once, when it is stored; every sum has a fixed order.
#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "numbers.h"

namespace tiedlm {

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

template <bool Biased, typename Stored, typename Wide>
Wide largest(const Stored *row, const Wide *bias, int64_t words) {
  Wide top = -std::numeric_limits<Wide>::infinity();
#pragma omp simd reduction(max : top)
  for (int64_t v = 0; v < words; ++v) {
    Wide value = Wide(widened(row[v])) + (Biased ? bias[v] : Wide(0));
    top = value > top ? value : top;
  }
  return top;
}

// Store exp(z + b - top), and return top and the sum.
template <bool Biased, typename Stored, typename Wide>
Normaliser<Wide> predicted(const Stored *row, const Wide *bias, int64_t words, Wide *powers) {
  Wide top = largest<Biased>(row, bias, words), total = 0;
#pragma omp simd reduction(+ : total)
  for (int64_t v = 0; v < words; ++v) {
    Wide power = exponential(Wide(widened(row[v])) + (Biased ? bias[v] : Wide(0)) - top);
    powers[v] = power;
    total += power;
  }
  return {top, total};
}

// Both softmaxes of a row without a bias, in one loop.
template <typename Stored, typename Wide>
void both(const Stored *row, const Options<Wide> &options, const Wide *soft, Scratch<Wide> &scratch,
          Normaliser<Wide> &hard, Normaliser<Wide> &cool, Wide &crossing) {
  Wide top = largest<false, Stored, Wide>(row, nullptr, options.words), coolness = options.coolness;
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
  Wide top = largest<false, Stored, Wide>(row, nullptr, options.words), total = 0, crossed = 0;
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
  top = largest<false, Wide, Wide>(soft, nullptr, options.words);
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
  Normaliser<Wide> hard = student.bias ? predicted<true>(row, student.bias, words, powers)
                                       : predicted<false>(row, student.bias, words, powers);
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
    hard = predicted<true>(row, student.bias, options.words, powers);
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

}  // namespace tiedlm
