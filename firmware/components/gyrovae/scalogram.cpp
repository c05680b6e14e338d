// The Python twin is gyrovae_tf/signal/scalogram.py.
#include "gyrovae/scalogram.h"

#include "gyrovae/integers.h"

namespace gyrovae::scalogram {

int block_shift(const int16_t *samples, int length, int32_t mean, int16_t *signal) {
  int32_t least = samples[0], most = samples[0];
  for (int i = 0; i < length; i++) {
    const int32_t sample = samples[i * kAxes];
    if (sample < least) least = sample;
    if (sample > most) most = sample;
  }
  most -= mean;
  least = mean - least;
  const int32_t largest = most > least ? most : least;
  if (largest <= 0) {
    for (int i = 0; i < length; i++) signal[i] = 0;
    return 0;
  }
  const int shift = kSignalBits - (32 - __builtin_clz(static_cast<uint32_t>(largest)));
  // To the left it is a product, to the right it rounds half up.
  const int32_t factor = 1 << (shift > 0 ? shift : 0), right = shift < 0 ? -shift : 0;
  const int32_t offset = (right ? 1 << (right - 1) : 0) - mean * factor;
  for (int i = 0; i < length; i++) {
    signal[i] = static_cast<int16_t>((samples[i * kAxes] * factor + offset) >> right);
  }
  return shift;
}

void decimate(int16_t *signal, int length, const int16_t *half_band) {
  // Taps 1, 3, 7, 9 are 0 and the others mirrored (`problem` looks). Output k overwrites a sample that outputs from
  // k + 1 on may need, k <= 5 only: a window of samples that moves along keeps them.
  const int32_t outer = half_band[0], middle = half_band[2], inner = half_band[4], center = half_band[5];
  const int count = length / 2;
  int32_t a = 0, b = 0, c = 0;  // samples -5, -3, -1 about the output's
  int32_t d = signal[1], e = length > 3 ? signal[3] : 0;
  int32_t now = signal[0];
  for (int k = 0; k < count; k++) {
    const int after = 2 * k + 5;
    const int32_t f = after < length ? signal[after] : 0;
    const int32_t next = 2 * k + 2 < length ? signal[2 * k + 2] : 0;
    const int32_t total = outer * (a + f) + middle * (b + e) + inner * (c + d) + center * now + 256;
    signal[k] = static_cast<int16_t>(total >> 9);
    a = b, b = c, c = d, d = e, e = f;
    now = next;
  }
}

// Fill one half of a fold (`sum` and what follows it) for lags 0 .. lags - 1 about an instant; zeros beyond the ends.
static void fold(const int16_t *signal, int length, int instant, int lags, int32_t *sum) {
  constexpr int kStep = sizeof(Fold) / sizeof(int32_t);
  const int before = instant, after = length - 1 - instant;  // samples on either side
  const int both = before < after ? before : after;
  const int either = before < after ? after : before;
  const int16_t *right = signal + instant, *left = signal + instant;
  sum[0] = *right, sum[1] = 0;
  sum += kStep;
  int lag = 1;
  for (; lag < lags && lag <= both; lag++, sum += kStep) {
    const int32_t later = *++right, earlier = *--left;
    sum[0] = later + earlier;
    sum[1] = later - earlier;
  }
  for (; lag < lags && lag <= either; lag++, sum += kStep) {
    if (before < after) {
      const int32_t later = *++right;
      sum[0] = later, sum[1] = later;
    } else {
      const int32_t earlier = *--left;
      sum[0] = earlier, sum[1] = -earlier;
    }
  }
  for (; lag < lags; lag++, sum += kStep) sum[0] = sum[1] = 0;
}

// A wavelet's sums of products in, 256 * log2 of its power out. |sums| < 2^31, so amplitudes < 2^25.
static inline int32_t log_of(int32_t real, int32_t imag, const uint8_t *table) {
  const int64_t x = real >> kAmplitudeShift, y = imag >> kAmplitudeShift;
  const uint64_t power = static_cast<uint64_t>(x * x + y * y);
  return log2(static_cast<uint32_t>(power >> 32), static_cast<uint32_t>(power), table);
}

// The samples of an octave at which a cell's power is taken: its middle.
static inline int instant_of_cell(int cell, int length, int level) {
  return ((2 * cell + 1) * length / (2 * kCells)) >> level;
}

namespace {

// What is the same for all instants of an octave.
struct Octave {
  const int16_t *signal;
  int length;
  int level;
  int lags;         // taps of the right half of its longest wavelet
  int32_t unshift;  // what the block's shift added to a log power
};

// Cells first .. first + count - 1 share an instant.
struct Run {
  int first, count;
};

}  // namespace

static void apply(const Octave &octave, Run a, Run b, int axis, const Tables &tables, Scratch &scratch, int8_t *image) {
  Fold *const folds = scratch.fold;
  for (int half = 0; half < 2; half++) {
    const int instant = instant_of_cell(half ? b.first : a.first, tables.window, octave.level);
    fold(octave.signal, octave.length, instant, octave.lags, half ? &folds->sum_b : &folds->sum_a);
  }
  for (int band = 0; band < kBands; band++) {
    if (tables.band_level[band] != octave.level) continue;
    const int count = tables.band_taps_count[band];
    const int16_t *real = tables.wavelet_taps + tables.band_taps_offset[band];
    const int16_t *imag = real + count;
    int32_t real_a = 0, imag_a = 0, real_b = 0, imag_b = 0;
    const Fold *at = folds;
    for (int lag = 0; lag < count; lag++, at++) {
      const int32_t even = real[lag], odd = imag[lag];
      real_a += even * at->sum_a;
      imag_a += odd * at->difference_a;
      real_b += even * at->sum_b;
      imag_b += odd * at->difference_b;
    }
    const int32_t floor = tables.power_floor[band], mean = tables.power_mean[axis * kBands + band];
    const int32_t gain = tables.power_gain[axis * kBands + band];
    int8_t *const row = image + band * kCells * kAxes + axis;
    for (int half = 0; half < 2; half++) {
      const Run run = half ? b : a;
      int32_t log = log_of(half ? real_b : real_a, half ? imag_b : imag_a, tables.log2_table) - octave.unshift;
      if (log < floor) log = floor;
      const int8_t value = pixel(log, mean, gain);
      for (int cell = run.first; cell < run.first + run.count; cell++) row[cell * kAxes] = value;
    }
  }
}

void log_power(const int16_t *samples, int32_t mean, int axis, const Tables &tables, int16_t *signal, Scratch &scratch,
               int8_t *image) {
  Octave octave = {signal, tables.window, 0, 0, 0};
  octave.unshift = 2 * kFraction * block_shift(samples, tables.window, mean, signal);
  int top = 0;
  for (int band = 0; band < kBands; band++) top = tables.band_level[band] > top ? tables.band_level[band] : top;
  for (;; octave.level++) {
    octave.lags = 0;
    for (int band = 0; band < kBands; band++) {
      const int count = tables.band_taps_count[band];
      if (tables.band_level[band] == octave.level && count > octave.lags) octave.lags = count;
    }
    for (int cell = 0; octave.lags && cell < kCells;) {
      Run runs[2];
      for (Run &run : runs) {
        // The last instant may have no partner: it is then computed twice.
        run.first = cell < kCells ? cell : runs[0].first;
        const int instant = instant_of_cell(run.first, tables.window, octave.level);
        for (cell = run.first + 1; cell < kCells; cell++) {
          if (instant_of_cell(cell, tables.window, octave.level) != instant) break;
        }
        run.count = cell - run.first;
      }
      apply(octave, runs[0], runs[1], axis, tables, scratch, image);
    }
    if (octave.level == top) return;
    decimate(signal, octave.length, tables.half_band);
    octave.length /= 2;
  }
}

}  // namespace gyrovae::scalogram
