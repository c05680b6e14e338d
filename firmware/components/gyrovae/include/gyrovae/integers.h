// Integer arithmetic that several files need: logarithm, exponential by table, rounding. Exact, the same everywhere.
#pragma once

#include <stdint.h>

#include "gyrovae/tables.h"

namespace gyrovae {

static_assert((-1 >> 1) == -1, "right shifts of negative numbers have to round down");

// Rounded down, for a positive divisor.
constexpr int32_t floor_divide(int32_t value, int32_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}

// kFraction * log2 of high * 2^32 + low, by its leading one and the seven bits below it; 0 gives what 1 gives.
inline int32_t log2(uint32_t high, uint32_t low, const uint8_t *table) {
  if ((high | low) == 0) return 0;
  uint32_t top;  // the leading one is its bit 31
  int exponent;
  if (high == 0) {
    const int zeros = __builtin_clz(low);
    top = low << zeros;
    exponent = 31 - zeros;
  } else {
    const int zeros = __builtin_clz(high);
    top = high << zeros | low >> 1 >> (31 - zeros);
    exponent = 63 - zeros;
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
  // One comparison where nothing is clipped.
  if (static_cast<uint32_t>(whole + 128) < 256u) return static_cast<int8_t>(whole);
  return whole < 0 ? -128 : 127;
}

}  // namespace gyrovae
