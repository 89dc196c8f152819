// The steps of a masked recurrent highway layer (`nn/rhn.py`): what has to wait for the state before.
//
// A thread has a share of the units, of candidates and gates, and works out for them the product with the weights and
// the state, while the sums are at hand; the threads meet once a depth. Every sum has an order that depends on neither
// the threads nor the number of streams.
#include "numbers.h"
#include "threads.h"
#include "vectors.h"

namespace {

using namespace tiedlm;

template <typename Number>
struct Window {
  int64_t steps, depths, streams, units;
  const Number *mask;         // [B, H], or null
  Number *states;             // s before the window, then after every depth of every step [T L + 1, B, H]
  Number *candidates, *gates;  // [T L, B, H]
  int64_t at(int64_t place) const { return place * streams * units; }
};

template <typename Number>
struct Forward {
  const Number *projected;  // W x [T, B, 2H]
  const Number *bias;       // [L, 2H]
  Number *read;             // masked states, in their places [T L + 1, B, H]
};

template <typename Number>
struct Backward {
  const Number *arriving;  // gradients of the outputs [T, B, H]
  Number *of_state;        // 0, then that of s before the window [B, H]
  Number *of_both;         // of what stands in tanh and sigmoid [T L, B, 2H]
};

// One stream's state after one depth for some units, from the sums of R (m * s).
template <typename Number>
void forward_units(const Window<Number> &window, const Forward<Number> &to, int64_t place, int64_t stream,
                   int64_t first, int64_t count, const Number (*sums)[Lanes<Number>::count]) {
  int64_t units = window.units, in_state = stream * units + first, here = window.at(place) + in_state;
  int64_t after = window.at(place + 1) + in_state, step = place / window.depths, depth = place % window.depths;
  const Number *bias = to.bias + depth * 2 * units + first, *before = window.states + here;
  const Number *projected = depth == 0 ? to.projected + 2 * (window.at(step) + stream * units) + first : nullptr;
  const Number *mask = window.mask ? window.mask + in_state : nullptr;
  Number *candidates = window.candidates + here, *gates = window.gates + here;
  Number *states = window.states + after, *read = to.read + after;
#pragma omp simd
  for (int64_t lane = 0; lane < count; ++lane) {
    Number candidate = sums[0][lane] + bias[lane], gate = sums[1][lane] + bias[units + lane];
    candidate = hyperbolic_tangent(projected ? candidate + projected[lane] : candidate);
    gate = sigmoid(projected ? gate + projected[units + lane] : gate);
    Number state = before[lane] + gate * (candidate - before[lane]);
    candidates[lane] = candidate, gates[lane] = gate, states[lane] = state;
    read[lane] = mask ? mask[lane] * state : state;
  }
}

template <typename Number>
void forward(const Window<Number> &window, const Forward<Number> &to, const Number *weights, Number *packed,
             int threads) {
  constexpr int64_t lanes = Lanes<Number>::count;
  int64_t units = window.units, vectors = vectors_of<Number>(units);
#pragma omp parallel num_threads(threads)
  {
    Range own = own_share(vectors);
    auto part = [&](int64_t half, int64_t v) { return packed + (half * vectors + v) * units * lanes; };
    for (int64_t half = 0; half < 2 * window.depths; ++half)
      for (int64_t v = own.first; v < own.end; ++v)
        pack(weights + half * units * units, units, int64_t(1), units, units, v, part(half, v));
    Tile<Number> tile;
    for (int64_t place = 0; place < window.steps * window.depths; ++place) {
      int64_t half = 2 * (place % window.depths);
      for (int64_t v = own.first; v < own.end; v += 2) {  // two vectors of units at a time, as `product` takes four
        int64_t some = std::min<int64_t>(2, own.end - v);
        const Number *parts[4] = {part(half, v), part(half + 1, v), part(half, v + 1), part(half + 1, v + 1)};
        by_rows(window.streams, [&](int64_t row, int64_t rows) {
          product(rows, 2 * some, to.read + window.at(place) + row * units, units, parts, units, tile);
          for (int64_t r = 0; r < rows; ++r)
            for (int64_t n = 0; n < some; ++n) {
              int64_t first = (v + n) * lanes;
              forward_units(window, to, place, row + r, first, std::min(lanes, units - first), tile.sums[r] + 2 * n);
            }
        });
      }
#pragma omp barrier
    }
  }
}

// One stream's gradients of what stands in tanh and sigmoid for some units, from that of the state after.
template <typename Number>
void backward_units(const Window<Number> &window, const Backward<Number> &from, int64_t place, int64_t stream,
                    int64_t first, int64_t count) {
  int64_t units = window.units, in_state = stream * units + first, here = window.at(place) + in_state;
  const Number *candidates = window.candidates + here, *gates = window.gates + here, *before = window.states + here;
  Number *of_state = from.of_state + in_state, *of_both = from.of_both + 2 * (window.at(place) + stream * units) + first;
  bool last = place % window.depths == window.depths - 1;
  const Number *arriving = last ? from.arriving + window.at(place / window.depths) + in_state : nullptr;
#pragma omp simd
  for (int64_t lane = 0; lane < count; ++lane) {
    Number candidate = candidates[lane], gate = gates[lane];
    Number state = arriving ? of_state[lane] + arriving[lane] : of_state[lane];
    of_both[lane] = state * gate * (1 - candidate * candidate);
    of_both[units + lane] = state * gate * (1 - gate) * (candidate - before[lane]);
    of_state[lane] = state * (1 - gate);
  }
}

template <typename Number>
void backward(const Window<Number> &window, const Backward<Number> &from, const Number *weights, Number *packed,
              int threads) {
  constexpr int64_t lanes = Lanes<Number>::count;
  int64_t units = window.units, vectors = vectors_of<Number>(units), of_depth = vectors * 2 * units * lanes;
#pragma omp parallel num_threads(threads)
  {
    Range own = own_share(vectors);
    for (int64_t depth = 0; depth < window.depths; ++depth)
      for (int64_t v = own.first; v < own.end; ++v)
        pack(weights + depth * 2 * units * units, 2 * units, units, units, int64_t(1), v,
             packed + depth * of_depth + v * 2 * units * lanes);
    for (int64_t place = window.steps * window.depths - 1; place >= 0; --place) {
      for (int64_t stream = 0; stream < window.streams; ++stream)
        for (int64_t v = own.first; v < own.end; ++v)
          backward_units(window, from, place, stream, v * lanes, std::min(lanes, units - v * lanes));
#pragma omp barrier
      by_tiles((const Number *)from.of_both + 2 * window.at(place), window.streams, 2 * units,
               (const Number *)packed + (place % window.depths) * of_depth, units, own,
               [&](int64_t stream, int64_t first, int64_t count, const Number *back) {
                 int64_t in_state = stream * units + first;
                 for (int64_t lane = 0; lane < count; ++lane)
                   from.of_state[in_state + lane] += back[lane] * (window.mask ? window.mask[in_state + lane] : Number(1));
               });
    }
  }
}

}  // namespace

#define LOOPS(NAME, NUMBER)                                                                                         \
  extern "C" void rhn_forward_##NAME(int64_t steps, int64_t depths, int64_t streams, int64_t units,                 \
                                     const NUMBER *mask, NUMBER *states, NUMBER *candidates, NUMBER *gates,         \
                                     const NUMBER *weights, NUMBER *packed, int64_t threads,                        \
                                     const NUMBER *projected, const NUMBER *bias, NUMBER *read) {                   \
    Window<NUMBER> window{steps, depths, streams, units, mask, states, candidates, gates};                          \
    forward<NUMBER>(window, {projected, bias, read}, weights, packed, int(threads));                                \
  }                                                                                                                 \
  extern "C" void rhn_backward_##NAME(int64_t steps, int64_t depths, int64_t streams, int64_t units,                \
                                      const NUMBER *mask, NUMBER *states, NUMBER *candidates, NUMBER *gates,        \
                                      const NUMBER *weights, NUMBER *packed, int64_t threads,                       \
                                      const NUMBER *arriving, NUMBER *of_state, NUMBER *of_both) {                  \
    Window<NUMBER> window{steps, depths, streams, units, mask, states, candidates, gates};                          \
    backward<NUMBER>(window, {arriving, of_state, of_both}, weights, packed, int(threads));                         \
  }

LOOPS(float32, float)
LOOPS(float64, double)
