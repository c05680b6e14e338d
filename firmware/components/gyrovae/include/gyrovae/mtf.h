// Windows of counts in, Markov transition fields out: twin of gyrovae_tf/signal/mtf.py.
#pragma once

#include <stdint.h>

#include "gyrovae/tables.h"

namespace gyrovae::mtf {

// Memory for one axis.
struct Scratch {
  uint8_t share[kCells][kLevels];        // samples of each segment at each level: at most 1024 / 32
  int32_t transition[kLevels][kLevels];  // first counts, then probabilities
};

// int16 samples of one axis, a sample every `kAxes` numbers, their rounded mean, and the seven edges in; how many
// samples of each segment are at each level, and how often each level follows each, to `scratch`. The level is the
// number of edges that the sample, less the mean, reaches or exceeds.
void levels(const int16_t *samples, int length, int32_t mean, const int32_t *edges, Scratch &scratch);

// Counts of transitions in, probabilities in 1/32768 out, in place, rounded down.
void transitions(Scratch &scratch);

// One axis of a window (as for `levels`) in, the pixels of its field to image[32][32][kAxes].
void field(const int16_t *samples, int32_t mean, int axis, const Tables &tables, Scratch &scratch, int8_t *image);

}  // namespace gyrovae::mtf
