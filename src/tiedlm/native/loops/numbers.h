// The types that logits are stored in, and elementary functions so written that compilers make vector instructions of
// them.
#pragma once
#include <cmath>
#include <cstdint>

namespace tiedlm {

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
Wide sigmoid(Wide x) {
  Wide below = exponential(-std::fabs(x)), share = 1 / (1 + below);
  return x < 0 ? below * share : share;
}

// Near 0, where 1 - exp(-2 |x|) would lose its digits, five terms of the series are exact to rounding.
inline float hyperbolic_tangent(float x) {
  float square = x * x, below = exponential(-2 * std::fabs(x)), far = (1 - below) / (1 + below);
  float series = x * (1 + square * (-1.0f / 3 + square * (2.0f / 15 + square * (-17.0f / 315 + square * (62.0f / 2835)))));
  return std::fabs(x) < 0.25f ? series : std::copysign(far, x);
}
inline double hyperbolic_tangent(double x) { return std::tanh(x); }

}  // namespace tiedlm
