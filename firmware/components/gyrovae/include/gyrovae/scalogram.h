// Windows of counts in, scalograms out: twin of gyrovae_tf/signal/scalogram.py.
#pragma once

#include <stdint.h>

#include "gyrovae/tables.h"

namespace gyrovae::scalogram {

constexpr int kTogether = 8;              // instants at a time: each tap is loaded once for so many
constexpr int kMargin = kLongestWavelet;  // zeros before and after the signal

// What mirrored taps share at some instants, by lag: the samples after and before it, added or subtracted. Two lags
// are in a word, as int16, the first of them in its lower half.
using Folded = uint32_t[(kLongestWavelet + 1) / 2][kTogether];

// Memory for one axis, beside its signal.
struct Scratch {
  struct Part {
    Folded sum, difference;
  } part[2];  // where int16 does not hold them, they are the sums of two parts; else the second one is not used
};

// int16 samples of one axis, a sample every `kAxes` numbers, and their rounded mean in; the counts about it, shifted
// so that the largest magnitude has 14 bits, to `signal` [length]. Returns the shift, to the left where positive.
int block_shift(const int16_t *samples, int length, int32_t mean, int16_t *signal);

// One octave down, in place: half-band low-pass at every other sample, rounded half up. `kMargin` zeros lie before
// the signal and after it, then as well.
void decimate(int16_t *signal, int length);

// One axis of a window (as for `block_shift`) in, its pixels to image[32 bands][32 cells][kAxes]: log power of the
// wavelets in the middle of each cell, at least the band's floor, made a pixel at once so that nothing is kept between.
// `padded` has room for a margin, tables.window numbers and another margin.
void log_power(const int16_t *samples, int32_t mean, int axis, const Tables &tables, int16_t *padded, Scratch &scratch,
               int8_t *image);

}  // namespace gyrovae::scalogram
