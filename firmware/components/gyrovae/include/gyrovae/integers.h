// Integer arithmetic that several files need: logarithm, exponential by table, rounding. Exact, the same everywhere.
#pragma once

#include <stdint.h>

#include "gyrovae/tables.h"

#if defined(__ARM_FEATURE_SAT) || defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>  // one instruction for what elsewhere takes some: the numbers are the same
#endif

namespace gyrovae {

// cppcheck-suppress shiftNegativeLHS
static_assert((-1 >> 1) == -1, "right shifts of negative numbers have to round down");

// Rounded down, for a positive divisor.
constexpr int32_t floor_divide(int32_t value, int32_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}

// kFraction * log2 of high * 2^32 + low, by its leading one and the seven bits below it; 0 gives what 1 gives.
inline int32_t log2(uint32_t high, uint32_t low, const uint8_t *table) {
  uint32_t top;  // the leading one is its bit 31
  int exponent;
  if (high != 0) {
    const int zeros = __builtin_clz(high);
    top = high << zeros | low >> 1 >> (31 - zeros);
    exponent = 63 - zeros;
  } else {
    if (low == 0) return 0;
    const int zeros = __builtin_clz(low);
    top = low << zeros;
    exponent = 31 - zeros;
  }
  return exponent * kFraction + table[top >> 24 & 0x7f];
}

// A pixel is (value - mean) * gain / 2^16, rounded half up, within int8: (value * gain + offset) >> 16 with this
// offset. `problem` sees to it that int32 holds each of the three.
constexpr int32_t pixel_offset(int32_t mean, int32_t gain) {
  return (1 << (kGainShift - 1)) - mean * gain;
}

inline int8_t pixel(int32_t value, int32_t gain, int32_t offset) {
  const int32_t whole = (value * gain + offset) >> kGainShift;
#ifdef __ARM_FEATURE_SAT
  return static_cast<int8_t>(__ssat(whole, 8));
#else
  return static_cast<int8_t>(whole < -128 ? -128 : whole > 127 ? 127 : whole);
#endif
}

// Two int16 in a word, the first in its lower half.
constexpr uint32_t pair_of(int32_t low, int32_t high) {
  return (static_cast<uint32_t>(low) & 0xffffu) | static_cast<uint32_t>(high) << 16;
}

constexpr int32_t low_of(uint32_t pair) {
  return static_cast<int16_t>(pair & 0xffffu);
}

constexpr int32_t high_of(uint32_t pair) {
  return static_cast<int32_t>(pair) >> 16;
}

// To a sum, the product of the lower halves and that of the upper halves of two pairs.
inline int32_t add_products(int32_t sum, uint32_t a, uint32_t b) {
#ifdef __ARM_FEATURE_SIMD32
  return __smlad(static_cast<int16x2_t>(a), static_cast<int16x2_t>(b), sum);
#else
  return sum + low_of(a) * low_of(b) + high_of(a) * high_of(b);
#endif
}

}  // namespace gyrovae
