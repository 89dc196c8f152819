// The steps of a masked LSTM layer (`nn/lstm.py`): what has to wait for the step before.
//
// A thread has a share of the units, in all four gates, and works out for them the product with the weights, the gates
// and the state, while the sums are at hand; the threads meet once a step. Weights are packed so that they are read in
// order. Every sum has an order that depends on neither the threads nor the number of streams.
#include "numbers.h"
#include "threads.h"
#include "vectors.h"

namespace {

using namespace tiedlm;

template <typename Number>
struct Window {
  int64_t steps, streams, units;
  Number *gates;       // W_ih x + b, then i, f, g, o after their nonlinearities [T, B, 4H]
  const Number *mask;  // [B, H], or null
  Number *cells;       // c before the window, then after every step [T + 1, B, H]
  Number *bounded;     // tanh(c) after every step [T, B, H]
  int64_t at(int64_t step, int64_t stream) const { return (step * streams + stream) * units; }
};

template <typename Number>
struct Forward {
  Number *read;  // masked h before the window, then after every step [T + 1, B, H]
  Number *last;  // raw h after the last step [B, H]
};

template <typename Number>
struct Backward {
  const Number *of_outputs;  // [T, B, H]
  const Number *of_last;     // of raw h after the window [B, H]
  Number *of_cell;           // of c after the window, then of c before it [B, H]
  Number *of_sums;           // of what stands in the nonlinearities [T, B, 4H]
  Number *of_hidden;         // of raw h before the window [B, H]
};

// One stream's gates, cell and output for some units, from the sums of W_hh h.
template <typename Number>
void forward_units(const Window<Number> &window, const Forward<Number> &to, int64_t step, int64_t stream,
                   int64_t first, int64_t count, const Number (*sums)[Lanes<Number>::count]) {
  int64_t units = window.units, here = window.at(step, stream) + first, after = window.at(step + 1, stream) + first;
  Number *gates = window.gates + 4 * window.at(step, stream) + first;
  const Number *mask = window.mask ? window.mask + stream * units + first : nullptr, *before = window.cells + here;
  Number *cells = window.cells + after, *bounded = window.bounded + here, *read = to.read + after;
  Number *last = to.last + stream * units + first;
  // one loop without calls or branches, so that it becomes vector instructions
#pragma omp simd
  for (int64_t lane = 0; lane < count; ++lane) {
    Number enter = sigmoid(gates[lane] + sums[0][lane]), forget = sigmoid(gates[units + lane] + sums[1][lane]);
    Number candidate = hyperbolic_tangent(gates[2 * units + lane] + sums[2][lane]);
    Number gate = sigmoid(gates[3 * units + lane] + sums[3][lane]);
    Number cell = forget * before[lane] + enter * candidate, tanh = hyperbolic_tangent(cell);
    gates[lane] = enter, gates[units + lane] = forget, gates[2 * units + lane] = candidate;
    gates[3 * units + lane] = gate;
    cells[lane] = cell, bounded[lane] = tanh;
    last[lane] = gate * tanh;
    read[lane] = mask ? mask[lane] * (gate * tanh) : gate * tanh;
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
    auto place = [&](int64_t gate, int64_t v) { return packed + (gate * vectors + v) * units * lanes; };
    for (int64_t v = own.first; v < own.end; ++v)
      for (int64_t gate = 0; gate < 4; ++gate)
        pack(weights + gate * units * units, units, 1, units, units, v, place(gate, v));
    Tile<Number> tile;
    for (int64_t step = 0; step < window.steps; ++step) {
      const Number *read = to.read + window.at(step, 0);
      for (int64_t v = own.first; v < own.end; ++v) {
        const Number *parts[4] = {place(0, v), place(1, v), place(2, v), place(3, v)};
        int64_t first = v * lanes, count = std::min(lanes, units - first);
        by_rows(window.streams, [&](int64_t row, int64_t rows) {
          product(rows, 4, read + row * units, units, parts, units, tile);
          for (int64_t r = 0; r < rows; ++r)
            forward_units(window, to, step, row + r, first, count, tile.sums[r]);
        });
      }
#pragma omp barrier
    }
  }
}

// One stream's gradients for some units, from that of raw h as it comes from the step after (`back`, before the mask).
template <typename Number>
void backward_units(const Window<Number> &window, const Backward<Number> &from, int64_t step, int64_t stream,
                    int64_t first, int64_t count, const Number *back) {
  int64_t units = window.units, here = window.at(step, stream) + first, in_state = stream * units + first;
  const Number *gates = window.gates + 4 * window.at(step, stream) + first, *before = window.cells + here;
  const Number *bounded = window.bounded + here, *of_outputs = from.of_outputs + here;
  const Number *mask = window.mask ? window.mask + in_state : nullptr;
  const Number *of_last = step + 1 == window.steps ? from.of_last + in_state : nullptr;
  Number *of_cell = from.of_cell + in_state, *of_sums = from.of_sums + 4 * window.at(step, stream) + first;
#pragma omp simd
  for (int64_t lane = 0; lane < count; ++lane) {
    Number enter = gates[lane], forget = gates[units + lane], candidate = gates[2 * units + lane];
    Number gate = gates[3 * units + lane], tanh = bounded[lane];
    Number hidden = of_outputs[lane] + (back ? back[lane] : Number(0));
    hidden = (mask ? mask[lane] * hidden : hidden) + (of_last ? of_last[lane] : Number(0));
    Number cell = of_cell[lane] + hidden * gate * (1 - tanh * tanh);
    of_sums[lane] = cell * candidate * enter * (1 - enter);
    of_sums[units + lane] = cell * before[lane] * forget * (1 - forget);
    of_sums[2 * units + lane] = cell * enter * (1 - candidate * candidate);
    of_sums[3 * units + lane] = hidden * tanh * gate * (1 - gate);
    of_cell[lane] = cell * forget;
  }
}

template <typename Number>
void backward(const Window<Number> &window, const Backward<Number> &from, const Number *weights, Number *packed,
              int threads) {
  constexpr int64_t lanes = Lanes<Number>::count;
  int64_t units = window.units;
#pragma omp parallel num_threads(threads)
  {
    Range own = own_share(vectors_of<Number>(units));
    for (int64_t v = own.first; v < own.end; ++v) {
      pack(weights, 4 * units, units, units, int64_t(1), v, packed + v * 4 * units * lanes);
      for (int64_t stream = 0; stream < window.streams; ++stream)
        backward_units(window, from, window.steps - 1, stream, v * lanes, std::min(lanes, units - v * lanes),
                       (const Number *)nullptr);
    }
#pragma omp barrier
    for (int64_t step = window.steps - 2; step >= 0; --step) {
      by_tiles((const Number *)from.of_sums + 4 * window.at(step + 1, 0), window.streams, 4 * units, (const Number *)packed, units, own,
               [&](int64_t stream, int64_t first, int64_t count, const Number *back) {
                 backward_units(window, from, step, stream, first, count, back);
               });
#pragma omp barrier
    }
    by_tiles((const Number *)from.of_sums, window.streams, 4 * units, (const Number *)packed, units, own,
             [&](int64_t stream, int64_t first, int64_t count, const Number *back) {
               int64_t place = stream * units + first;
               for (int64_t lane = 0; lane < count; ++lane)
                 from.of_hidden[place + lane] = back[lane] * (window.mask ? window.mask[place + lane] : Number(1));
             });
  }
}

}  // namespace

#define LOOPS(NAME, NUMBER)                                                                                         \
  extern "C" void lstm_forward_##NAME(int64_t steps, int64_t streams, int64_t units, NUMBER *gates,                 \
                                      const NUMBER *mask, NUMBER *cells, NUMBER *bounded, const NUMBER *weights,    \
                                      NUMBER *packed, int64_t threads, NUMBER *read, NUMBER *last) {                    \
    Window<NUMBER> window{steps, streams, units, gates, mask, cells, bounded};                                      \
    forward<NUMBER>(window, {read, last}, weights, packed, int(threads));                                                \
  }                                                                                                                 \
  extern "C" void lstm_backward_##NAME(int64_t steps, int64_t streams, int64_t units, NUMBER *gates,                \
                                       const NUMBER *mask, NUMBER *cells, NUMBER *bounded, const NUMBER *weights,   \
                                       NUMBER *packed, int64_t threads, const NUMBER *of_outputs, const NUMBER *of_last, \
                                       NUMBER *of_cell, NUMBER *of_sums, NUMBER *of_hidden) {                       \
    Window<NUMBER> window{steps, streams, units, gates, mask, cells, bounded};                                      \
    backward<NUMBER>(window, {of_outputs, of_last, of_cell, of_sums, of_hidden}, weights, packed, int(threads));         \
  }

LOOPS(float32, float)
LOOPS(float64, double)
