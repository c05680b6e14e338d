// Windows of counts in, scalograms out: twin of gyrovae_tf/signal/scalogram.py.
#pragma once

#include <stdint.h>

#include "gyrovae/tables.h"

namespace gyrovae::scalogram {

constexpr int kTogether = 8;  // instants at a time: each tap is loaded once for so many

// What mirrored taps share at some instants, by lag: the samples after and before it, added and subtracted.
using Folded = int32_t[kLongestWavelet][kTogether];

// Memory for one axis, beside its signal.
struct Scratch {
  Folded sum, difference;
};

// int16 samples of one axis, a sample every `kAxes` numbers, and their rounded mean in; the counts about it, shifted
// so that the largest magnitude has 14 bits, to `signal` [length]. Returns the shift, to the left where positive.
int block_shift(const int16_t *samples, int length, int32_t mean, int16_t *signal);

// One octave down, in place: half-band low-pass at every other sample, zeros beyond the ends, rounded half up.
void decimate(int16_t *signal, int length, const int16_t *half_band);

// One axis of a window (as for `block_shift`) in, its pixels to image[32 bands][32 cells][kAxes]: log power of the
// wavelets in the middle of each cell, at least the band's floor, made a pixel at once so that nothing is kept between.
// `signal` has room for tables.window numbers.
void log_power(const int16_t *samples, int32_t mean, int axis, const Tables &tables, int16_t *signal, Scratch &scratch,
               int8_t *image);

}  // namespace gyrovae::scalogram
