// Images in, profiles out: twin of gyrovae_tf/signal/profile.py.
#pragma once

#include <stdint.h>

#include "gyrovae/tables.h"

namespace gyrovae::profile {

// What a window looks like in each view, all of x first, then of y, then of z.
struct Profile {
  int16_t bands[kAxes * kBands];        // log mean power over time, in 1/16 pixel
  int16_t groups[kAxes * kGroups];      // sums of 4 x 32 pixels
  int16_t rhythm[kAxes * kCells];       // sums of the field's 32 pixels
  int32_t quarters[kAxes * kQuarters];  // log power of a quarter's bands together, in 1/256 octave
  int32_t level[kAxes];                 // the same of all bands
  int32_t tilt[kAxes];                  // the window's mean, in counts
};

// An int8 image [32][32][3] in, sums of pixels along its second axis, [3][32] (axis, row), out.
void time_sums(const int8_t *image, int16_t *sums);

// An int8 scalogram [32][32][3] in, log mean power over time [3][32] (axis, band) in 1/16 pixel out.
void band_profile(const int8_t *scalogram, const Tables &tables, int16_t *profile);

// Time sums [3][32] in, sums over neighbouring bands, [3][8], out.
void group_profile(const int16_t *sums, int16_t *groups);

// Band profiles [3][32] in, the log powers of each quarter's bands [3][4] and of all bands [3] in 1/256 octave out.
void levels(const int16_t *profile, const Tables &tables, int32_t *quarters, int32_t *level);

// int16 counts window[length][3] in, the rounded mean of each axis [3] in counts (half up) out.
void means(const int16_t *window, int length, int32_t *mean);

// A window [tables.window][3] and its images [2][32][32][3] in, all of them out. To be called before the model runs:
// it may use the memory of its input for something else.
void profiles(const int16_t *window, const int8_t *images, const Tables &tables, Profile &profile);

}  // namespace gyrovae::profile
