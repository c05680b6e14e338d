#include "gyrovae/real.h"

namespace gyrovae {

namespace {

// A float's bits, and back: the one way that needs neither a library nor undefined behaviour.
inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

inline float float_of(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

constexpr float kLeast = 1e-37f;  // still a normal number

}  // namespace

float square_root(float x) {
  if (!(x >= kLeast)) return 0.0f;
  // Half of the exponent, and of the mantissa, is within 4 %; each of Newton's steps squares the error and halves it.
  float root = float_of((bits_of(x) >> 1) + 0x1fbb4f2eu);
  for (int i = 0; i < 3; i++) root = 0.5f * (root + x / root);
  return root;
}

float log2(float x) {
  // x = 2^exponent * m, m from sqrt(1/2) to sqrt(2); ln m = 2 artanh((m - 1) / (m + 1)), of which 5 terms suffice.
  const uint32_t bits = bits_of(x) - 0x3f3504f3u;  // of sqrt(1/2)
  const int32_t exponent = static_cast<int32_t>(bits) >> 23;
  const float m = float_of((bits & 0x7fffffu) + 0x3f3504f3u);
  const float t = (m - 1.0f) / (m + 1.0f), u = t * t;
  const float series = 1.0f + u * (1.0f / 3 + u * (1.0f / 5 + u * (1.0f / 7 + u * (1.0f / 9))));
  return static_cast<float>(exponent) + 2.88539008f * t * series;  // 2 / ln 2
}

float exp2(float x) {
  // x = whole + part, part within half of 0; 2^part is a Taylor series, whose eighth term is below 1e-8.
  const int32_t whole = static_cast<int32_t>(x < 0.0f ? x - 0.5f : x + 0.5f);
  const float y = (x - static_cast<float>(whole)) * 0.693147181f;
  float sum = 1.0f;
  for (int i = 7; i >= 1; i--) sum = 1.0f + y / static_cast<float>(i) * sum;
  return sum * float_of(static_cast<uint32_t>(whole + 127) << 23);
}

}  // namespace gyrovae
