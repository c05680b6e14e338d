// float32 functions without libm: the same on every target, within 1e-6 of the true value (relative).
#pragma once

#include <stdint.h>

namespace gyrovae {

// For x >= 0; 0 for what is below 1e-37.
float square_root(float x);

// Base 2, for x from 1e-37 on; the error is absolute for |log2 x| < 1.
float log2(float x);

// 2^x for x from -126 to 127.
float exp2(float x);

}  // namespace gyrovae
