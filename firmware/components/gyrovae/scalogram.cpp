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

// Fill one column of both folds, for lags 0 .. lags - 1 about an instant; zeros beyond the ends.
static void fold(const int16_t *signal, int length, int instant, int lags, int32_t *sum, int32_t *difference) {
  const int before = instant, after = length - 1 - instant;  // samples on either side
  const int both = before < after ? before : after;
  const int either = before < after ? after : before;
  const int16_t *right = signal + instant, *left = right;
  *sum = *right, *difference = 0;
  const int mirrored = both + 1 < lags ? both + 1 : lags, single = either + 1 < lags ? either + 1 : lags;
  int32_t *to = sum;
  const ptrdiff_t other = difference - sum;
  int lag = 1;
  for (; lag < mirrored; lag++) {
    const int32_t later = *++right, earlier = *--left;
    to += kTogether;
    to[0] = later + earlier;
    to[other] = later - earlier;
  }
  for (; lag < single; lag++) {
    const int32_t sample = before < after ? *++right : *--left;
    to += kTogether;
    to[0] = sample;
    to[other] = before < after ? sample : -sample;
  }
  for (; lag < lags; lag++) {
    to += kTogether;
    to[0] = to[other] = 0;
  }
}

// What an incomplete batch leaves of the columns is multiplied, too.
static void clear(Scratch &scratch, int lags, int column) {
  for (; column < kTogether; column++) {
    for (int lag = 0; lag < lags; lag++) scratch.sum[lag][column] = scratch.difference[lag][column] = 0;
  }
}

// Sums of products of one part of a wavelet with one of the folds, at each of the instants.
static inline void products(const int16_t *tap, int count, const int32_t *folded, int32_t *sum) {
  int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  for (const int16_t *const end = tap + count; tap != end; tap++, folded += kTogether) {
    const int32_t factor = *tap;
    a += factor * folded[0];
    b += factor * folded[1];
    c += factor * folded[2];
    d += factor * folded[3];
    e += factor * folded[4];
    f += factor * folded[5];
    g += factor * folded[6];
    h += factor * folded[7];
  }
  sum[0] = a, sum[1] = b, sum[2] = c, sum[3] = d, sum[4] = e, sum[5] = f, sum[6] = g, sum[7] = h;
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

// Instants of an octave, at most `kTogether`, each with the first of the cells that share it.
struct Batch {
  int level;
  int count;
  uint8_t cell[kTogether];
};

}  // namespace

// The pixels of all bands of an octave at a batch of instants, in the first cell of each.
static void apply(const Batch &batch, int32_t unshift, int axis, const Tables &tables, const Scratch &scratch,
                  int8_t *image) {
  for (int band = 0; band < kBands; band++) {
    if (tables.band_level[band] != batch.level) continue;
    const int count = tables.band_taps_count[band];
    const int16_t *const taps = tables.wavelet_taps + tables.band_taps_offset[band];
    int32_t real[kTogether], imag[kTogether];
    products(taps, count, scratch.sum[0], real);
    products(taps + count, count, scratch.difference[0], imag);
    const int place = axis * kBands + band;
    const int32_t floor = tables.power_floor[band], gain = tables.power_gain[place];
    const int32_t offset = pixel_offset(tables.power_mean[place], gain);
    int8_t *const row = image + band * kCells * kAxes + axis;
    for (int i = 0; i < batch.count; i++) {
      int32_t log = log_of(real[i], imag[i], tables.log2_table) - unshift;
      if (log < floor) log = floor;
      row[batch.cell[i] * kAxes] = pixel(log, gain, offset);
    }
  }
}

// The cells that share another's instant are as bright.
static void fill(int level, int axis, const Tables &tables, int8_t *image) {
  for (int cell = 1; cell < kCells; cell++) {
    if (instant_of_cell(cell, tables.window, level) != instant_of_cell(cell - 1, tables.window, level)) continue;
    for (int band = 0; band < kBands; band++) {
      int8_t *const at = image + (band * kCells + cell) * kAxes + axis;
      if (tables.band_level[band] == level) *at = at[-kAxes];
    }
  }
}

void log_power(const int16_t *samples, int32_t mean, int axis, const Tables &tables, int16_t *signal, Scratch &scratch,
               int8_t *image) {
  const int32_t unshift = 2 * kFraction * block_shift(samples, tables.window, mean, signal);
  int top = 0;
  for (int band = 0; band < kBands; band++) top = tables.band_level[band] > top ? tables.band_level[band] : top;
  int length = tables.window;
  for (int level = 0;; level++) {
    int lags = 0;  // taps of the right half of the octave's longest wavelet
    for (int band = 0; band < kBands; band++) {
      const int count = tables.band_taps_count[band];
      if (tables.band_level[band] == level && count > lags) lags = count;
    }
    Batch batch = {level, 0, {}};
    int last = -1, instants = 0;
    for (int cell = 0; lags && cell < kCells; cell++) {
      const int instant = instant_of_cell(cell, tables.window, level);
      if (instant != last) {
        batch.cell[batch.count] = static_cast<uint8_t>(cell);
        fold(signal, length, instant, lags, scratch.sum[0] + batch.count, scratch.difference[0] + batch.count);
        batch.count++;
        instants++;
        last = instant;
      }
      if (batch.count == kTogether || (cell == kCells - 1 && batch.count)) {
        clear(scratch, lags, batch.count);
        apply(batch, unshift, axis, tables, scratch, image);
        batch.count = 0;
      }
    }
    if (lags && instants < kCells) fill(level, axis, tables, image);
    if (level == top) return;
    decimate(signal, length, tables.half_band);
    length /= 2;
  }
}

}  // namespace gyrovae::scalogram
