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
  int32_t start[kLevels - 1];
  for (int i = 0; i < kLevels - 1; i++) start[i] = edges[i] + mean;
  const int segment = length / kCells;
  int32_t *from = nullptr;
  for (int i = 0; i < kCells; i++) {
    for (int k = 0; k < segment; k++, samples += kAxes) {
      const int32_t sample = *samples;
      int level = sample >= start[3] ? 4 : 0;  // edges ascend
      level += sample >= start[level + 1] ? 2 : 0;
      level += sample >= start[level] ? 1 : 0;
      scratch.share[i][level]++;
      if (from) from[level]++;
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
  const int32_t middle = tables.field_mean[axis], gain = tables.field_gain[axis], shift = tables.field_shift;
  image += axis;
  for (const auto &from : scratch.share) {
    int32_t to[kLevels] = {};  // this segment's samples lead to each level, all pairs counted
    for (int i = 0; i < kLevels; i++) {
      const int32_t count = from[i];
      if (!count) continue;
      for (int j = 0; j < kLevels; j++) to[j] += count * scratch.transition[i][j];
    }
    const int32_t a = to[0], b = to[1], c = to[2], d = to[3], e = to[4], f = to[5], g = to[6], h = to[7];
    for (const uint8_t *share = scratch.share[0]; share < scratch.share[0] + kCells * kLevels; share += kLevels) {
      const int32_t sum = share[0] * a + share[1] * b + share[2] * c + share[3] * d + share[4] * e + share[5] * f +
                          share[6] * g + share[7] * h;
      *image = pixel(sum >> shift, middle, gain);
      image += kAxes;
    }
  }
}

}  // namespace gyrovae::mtf
