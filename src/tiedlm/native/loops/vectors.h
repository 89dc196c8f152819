// Vectors of the processor's width, and a product of few rows with weights that were packed for it.
#pragma once
#include <algorithm>
#include <cstdint>

#include "threads.h"

namespace tiedlm {

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64, MOST_ROWS = 6;  // 6 x 4 sums, 4 weights, in 32 registers
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32, MOST_ROWS = 3;  // 3 x 4 sums, 3 to spare, in 16 registers
#else
constexpr int VECTOR_BYTES = 16, MOST_ROWS = 3;
#endif
constexpr int MOST_VECTORS = 4;

template <typename Number>
struct Lanes {
  typedef Number Vector __attribute__((vector_size(VECTOR_BYTES)));
  typedef Number Loose __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(Number))));
  static constexpr int64_t count = VECTOR_BYTES / sizeof(Number);
};

template <typename Number>
int64_t vectors_of(int64_t columns) {
  return (columns + Lanes<Number>::count - 1) / Lanes<Number>::count;
}

// The sums of up to MOST_ROWS rows in up to MOST_VECTORS vectors.
template <typename Number>
struct Tile {
  Number sums[MOST_ROWS][MOST_VECTORS][Lanes<Number>::count];
};

// sums[r][v] = sum over k of rows[r][k] weights[v][k], where weights[v][k] is a vector.
template <int ROWS, int VECTORS, typename Number>
void product_of(const Number *rows, int64_t stride, const Number *const *weights, int64_t depth, Tile<Number> &tile) {
  using Loose = typename Lanes<Number>::Loose;
  constexpr int64_t lanes = Lanes<Number>::count;
  typename Lanes<Number>::Vector sums[ROWS][VECTORS] = {};
  for (int64_t k = 0; k < depth; ++k) {
    typename Lanes<Number>::Vector read[VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) read[v] = *(const Loose *)(weights[v] + k * lanes);
#pragma GCC unroll 6
    for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < VECTORS; ++v) sums[r][v] += rows[r * stride + k] * read[v];
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < VECTORS; ++v) *(Loose *)tile.sums[r][v] = sums[r][v];
  }
}

template <int VECTORS, typename Number>
void product_in(int64_t count, const Number *rows, int64_t stride, const Number *const *weights, int64_t depth,
                Tile<Number> &tile) {
  static_assert(MOST_ROWS <= 6);
  switch (count) {
    case 1: return product_of<1, VECTORS>(rows, stride, weights, depth, tile);
    case 2: return product_of<2, VECTORS>(rows, stride, weights, depth, tile);
    case 3: return product_of<3, VECTORS>(rows, stride, weights, depth, tile);
#if defined(__AVX512F__)
    case 4: return product_of<4, VECTORS>(rows, stride, weights, depth, tile);
    case 5: return product_of<5, VECTORS>(rows, stride, weights, depth, tile);
    case 6: return product_of<6, VECTORS>(rows, stride, weights, depth, tile);
#endif
  }
}

template <typename Number>
void product(int64_t count, int64_t vectors, const Number *rows, int64_t stride, const Number *const *weights,
             int64_t depth, Tile<Number> &tile) {
  switch (vectors) {
    case 1: return product_in<1>(count, rows, stride, weights, depth, tile);
    case 2: return product_in<2>(count, rows, stride, weights, depth, tile);
    case 3: return product_in<3>(count, rows, stride, weights, depth, tile);
    case 4: return product_in<4>(count, rows, stride, weights, depth, tile);
  }
}

// Call `body(first, count)` for blocks of rows of nearly one size, none above MOST_ROWS.
template <typename Body>
void by_rows(int64_t rows, Body body) {
  int64_t blocks = (rows + MOST_ROWS - 1) / MOST_ROWS;
  for (int64_t block = 0; block < blocks; ++block) {
    int64_t first = rows * block / blocks;
    body(first, rows * (block + 1) / blocks - first);
  }
}

// Call `body(row, first column, columns, sums)` for each row of `rows` [count, depth] times weights [depth, columns],
// within the vectors of columns from `own.first` to `own.end`; packed as `pack` leaves them, one after the other.
template <typename Number, typename Body>
void by_tiles(const Number *rows, int64_t count, int64_t depth, const Number *packed, int64_t columns, Range own,
              Body body) {
  constexpr int64_t lanes = Lanes<Number>::count;
  Tile<Number> tile;
  for (int64_t v = own.first; v < own.end; v += MOST_VECTORS) {
    int64_t vectors = std::min<int64_t>(MOST_VECTORS, own.end - v);
    const Number *parts[MOST_VECTORS] = {};
    for (int64_t part = 0; part < vectors; ++part) parts[part] = packed + (v + part) * depth * lanes;
    by_rows(count, [&](int64_t row, int64_t some) {
      product(some, vectors, rows + row * depth, depth, parts, depth, tile);
      for (int64_t r = 0; r < some; ++r)
        for (int64_t part = 0; part < vectors; ++part) {
          int64_t first = (v + part) * lanes;
          body(row + r, first, std::min(lanes, columns - first), tile.sums[r][part]);
        }
    });
  }
}

// Write vector v of the columns of a matrix [depth, columns] as [depth][lanes], zeros beyond the last column.
template <typename Number>
void pack(const Number *matrix, int64_t depth, int64_t of_depth, int64_t columns, int64_t of_column, int64_t v,
          Number *packed) {
  constexpr int64_t lanes = Lanes<Number>::count;
  int64_t first = v * lanes, count = std::min(lanes, columns - first);
  for (int64_t k = 0; k < depth; ++k)
    for (int64_t lane = 0; lane < lanes; ++lane)
      packed[k * lanes + lane] = lane < count ? matrix[k * of_depth + (first + lane) * of_column] : Number(0);
}

}  // namespace tiedlm
