// All that makes a detector, wherever it lies: tables, model, golden windows. GYROVAE_DETECTOR(nn_model) defines
// `nn_model_detector` from a generated header; `flash::open` makes one of an image in flash.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gyrovae/tables.h"

namespace gyrovae {

// Windows with what front end, model and score must make of them; see gyrovae_tf/golden.py.
struct Golden {
  int32_t count;
  const int16_t *inputs;        // [window][sample][axis] counts
  const uint32_t *image_crc32;  // [window] of the images' 6144 bytes
  const int8_t *outputs;        // [window][output][byte]
  const float *scores;          // [window]
  const uint8_t *alarms;        // [window]
};

struct Detector {
  const Tables *tables;
  const uint8_t *model;  // a .tflite, aligned to 16 bytes
  uint32_t model_bytes;
  uint32_t arena_bytes;  // to reserve; 0: not known
  uint32_t id;           // CRC-32 of its image, whether it came in one or not: tells one detector from another
  float reach;           // see gyrovae/site.h
  Golden golden;
};

// CRC-32 as in zlib.
uint32_t crc32(const void *bytes, size_t count);

namespace detail {

template <size_t n, size_t numbers, size_t bytes>
constexpr Golden golden(const int16_t (&inputs)[n][numbers], const uint32_t (&crcs)[n], const int8_t (&outputs)[n][2][bytes],
                        const float (&scores)[n], const uint8_t (&alarms)[n]) {
  static_assert(bytes == static_cast<size_t>(kImageBytes), "the golden outputs have another size");
  return {static_cast<int32_t>(n), inputs[0], crcs, outputs[0][0], scores, alarms};
}

}  // namespace detail
}  // namespace gyrovae

#define GYROVAE_GOLDEN_0(prefix) \
  gyrovae::Golden {}
#define GYROVAE_GOLDEN_1(prefix)                                                                               \
  gyrovae::detail::golden(prefix##_golden_inputs, prefix##_golden_image_crc32, prefix##_golden_outputs, \
                          prefix##_golden_scores, prefix##_golden_alarms)

// Defines `<prefix>_tables` and `<prefix>_detector`. At namespace scope, once a file.
#define GYROVAE_DETECTOR(prefix)                                                                                  \
  GYROVAE_TABLES(prefix);                                                                                         \
  inline constexpr gyrovae::Detector prefix##_detector = {                                                        \
      &prefix##_tables,                                                                                           \
      prefix##_tflite,                                                                                            \
      prefix##_tflite_len,                                                                                        \
      prefix##_arena_bytes,                                                                                       \
      prefix##_detector_id,                                                                                       \
      prefix##_reach,                                                                                             \
      GYROVAE_JOIN_VIEW(GYROVAE_GOLDEN_, prefix##_HAS_GOLDEN)(prefix)}
