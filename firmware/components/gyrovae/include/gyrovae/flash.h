// The image of a detector in flash in, the detector out, read where it lies: twin of gyrovae_tf/flash.py.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gyrovae/detector.h"

namespace gyrovae::flash {

constexpr uint32_t kVersion = 2;
constexpr size_t kHeadBytes = 64;
constexpr size_t kAlign = 16;  // of every table and of the model, from the image's start

// `image` (aligned to 16 bytes) and how many bytes can be read there in, `detector`, which points into it and to
// `tables`, out. Returns null, or what is wrong as a short English text; then the two are of no use.
// `most` is the longest window that there is room for.
const char *open(const uint8_t *image, size_t bytes, int most, Detector &detector, Tables &tables);

}  // namespace gyrovae::flash
