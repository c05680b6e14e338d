// The Python twin is gyrovae_tf/signal/mtf.py.
#include "gyrovae/mtf.h"

#include "gyrovae/integers.h"

namespace gyrovae::mtf {

void levels(const int16_t *samples, int length, int32_t mean, const int32_t *edges, Scratch &scratch) {
  for (int i = 0; i < kCells; i++) {
    for (int j = 0; j < kLevels; j++) scratch.share[i][j] = 0;
  }
  for (int i = 0; i < kLevels; i++) {
    for (int j = 0; j < kLevels; j++) scratch.transition[i][j] = 0;
  }
  const int segment = length / kCells;
  int32_t none[kLevels];  // the first sample follows no other
  int32_t *from = none;
  for (int j = 0; j < kLevels; j++) none[j] = 0;
  for (auto &share : scratch.share) {
    for (int k = 0; k < segment; k++, samples += kAxes) {
      const int32_t sample = *samples - mean;
      int level = sample >= edges[3] ? 4 : 0;  // edges ascend
      level += sample >= edges[level + 1] ? 2 : 0;
      level += sample >= edges[level] ? 1 : 0;
      share[level]++;
      from[level]++;
      from = scratch.transition[level];
    }
  }
}

void transitions(Scratch &scratch) {
  for (auto &row : scratch.transition) {
    int32_t left = 0;
    for (const int32_t count : row) left += count;
    if (!left) continue;
    for (int32_t &count : row) count = count * kFieldOne / left;
  }
}

void field(const int16_t *samples, int32_t mean, int axis, const Tables &tables, Scratch &scratch, int8_t *image) {
  levels(samples, tables.window, mean, tables.field_edges + axis * (kLevels - 1), scratch);
  transitions(scratch);
  const int32_t gain = tables.field_gain[axis], offset = pixel_offset(tables.field_mean[axis], gain);
  const int32_t shift = tables.field_shift;
  image += axis;
  const int32_t segment = tables.window / kCells;
  for (const auto &from : scratch.share) {
    // This segment's samples lead to each level, all pairs counted.
    int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
    for (int i = 0; i < kLevels; i++) {
      const int32_t count = from[i];
      if (!count) continue;
      const int32_t *const to = scratch.transition[i];
      a += count * to[0];
      b += count * to[1];
      c += count * to[2];
      d += count * to[3];
      e += count * to[4];
      f += count * to[5];
      g += count * to[6];
      h += count * to[7];
    }
    // A segment's shares sum to its length: all of it at the last level, and what the others differ from that.
    const int32_t all = segment * h;
    a -= h, b -= h, c -= h, d -= h, e -= h, f -= h, g -= h;
    for (const auto &share : scratch.share) {
      const int32_t sum =
          all + share[0] * a + share[1] * b + share[2] * c + share[3] * d + share[4] * e + share[5] * f + share[6] * g;
      *image = pixel(sum >> shift, gain, offset);
      image += kAxes;
    }
  }
}

}  // namespace gyrovae::mtf
