// The Python twin is gyrovae_tf/signal/scalogram.py.
#include "gyrovae/scalogram.h"

#include "gyrovae/integers.h"

namespace gyrovae::scalogram {

namespace {

constexpr int kCellsBits = 5;
static_assert(1 << kCellsBits == kCells, "an instant is a product and a shift");

// What one octave of the pyramid computes.
struct Octave {
  int level;
  int pairs;            // of lags: half of the taps of its longest wavelet, rounded up
  bool wide;            // folds need both parts
  int count;            // of its bands
  uint8_t band[kBands];
};

// Instants of an octave, at most `kTogether`, as samples of it; and where in a row of pixels the first of the cells
// that share each lies.
struct Batch {
  int count;
  uint16_t instant[kTogether];
  uint8_t place[kTogether];
};

}  // namespace

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

void decimate(int16_t *signal, int length) {
  // Output k overwrites a sample that outputs from k + 1 on may need: a window of odd samples that moves along keeps
  // those before it.
  int32_t a = 0, b = 0, c = 0, d = signal[1], e = signal[3];  // -5, -3, -1, 1, 3 about the output's
  const int count = length / 2;
  const int16_t *from = signal;
  for (int16_t *to = signal; to < signal + count; to++, from += 2) {
    const int32_t f = from[5];
    const int32_t total = kHalfBand[0] * (a + f) + kHalfBand[2] * (b + e) + kHalfBand[4] * (c + d) +
                          kHalfBand[5] * from[0] + 256;
    *to = static_cast<int16_t>(total >> 9);
    a = b, b = c, c = d, d = e, e = f;
  }
  for (int i = count; i < length && i < count + kMargin; i++) signal[i] = 0;
}

// Whether sums and differences of two samples need more than 16 bits.
static bool is_wide(const int16_t *signal, int length) {
  uint32_t bits = 0;
  for (int i = 0; i < length; i++) bits |= static_cast<uint32_t>(signal[i] + (1 << 14));
  return bits >> 15;
}

// One column of both folds about an instant.
static void fold(const int16_t *instant, int pairs, Scratch::Part &part, int column) {
  uint32_t *to_sum = part.sum[0] + column, *to_difference = part.difference[0] + column;
  const int16_t *later = instant, *earlier = instant;
  int32_t sum = *instant, difference = 0;
  for (int i = 0; i < pairs; i++, to_sum += kTogether, to_difference += kTogether) {
    *to_sum = pair_of(sum, later[1] + earlier[-1]);
    *to_difference = pair_of(difference, later[1] - earlier[-1]);
    later += 2, earlier -= 2;
    sum = *later + *earlier;
    difference = *later - *earlier;
  }
}

// The same where int16 does not hold them: half of each, rounded down, and the other half.
static void fold_wide(const int16_t *instant, int pairs, Scratch::Part (&part)[2], int column) {
  for (int i = 0; i < pairs; i++) {
    const int16_t *const later = instant + 2 * i, *const earlier = instant - 2 * i;
    const int32_t sum = i ? later[0] + earlier[0] : later[0], next_sum = later[1] + earlier[-1];
    const int32_t difference = later[0] - earlier[0], next_difference = later[1] - earlier[-1];
    part[0].sum[i][column] = pair_of(sum >> 1, next_sum >> 1);
    part[1].sum[i][column] = pair_of((sum + 1) >> 1, (next_sum + 1) >> 1);
    part[0].difference[i][column] = pair_of(difference >> 1, next_difference >> 1);
    part[1].difference[i][column] = pair_of((difference + 1) >> 1, (next_difference + 1) >> 1);
  }
}

// Sums of products of one part of a wavelet with one of the folds, at each of the instants; added to what `sum` holds
// where there is `more`.
template <bool more>
static inline void products(const int16_t *tap, int count, const uint32_t *folded, int32_t *sum) {
  int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0;
  if (more) a = sum[0], b = sum[1], c = sum[2], d = sum[3], e = sum[4], f = sum[5], g = sum[6], h = sum[7];
  // Inlined, or else its eight sums would be in memory.
  const auto add = [&](uint32_t taps) __attribute__((always_inline)) {
    a = add_products(a, folded[0], taps);
    b = add_products(b, folded[1], taps);
    c = add_products(c, folded[2], taps);
    d = add_products(d, folded[3], taps);
    e = add_products(e, folded[4], taps);
    f = add_products(f, folded[5], taps);
    g = add_products(g, folded[6], taps);
    h = add_products(h, folded[7], taps);
    folded += kTogether;
  };
  for (const int16_t *const end = tap + (count & ~3); tap != end; tap += 4) {
    add(pair_of(tap[0], tap[1]));
    add(pair_of(tap[2], tap[3]));
  }
  if (count & 2) add(pair_of(tap[0], tap[1]));
  if (count & 1) add(pair_of(tap[count & 2], 0));
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
  return (2 * cell + 1) * length >> (kCellsBits + 1 + level);
}

// Every column is filled, as all are multiplied: those that a batch has no instant for like the first.
static void fold_all(const Octave &octave, const Batch &batch, const int16_t *signal, Scratch &scratch) {
  for (int column = 0; column < kTogether; column++) {
    const int16_t *const instant = signal + batch.instant[column < batch.count ? column : 0];
    if (octave.wide) {
      fold_wide(instant, octave.pairs, scratch.part, column);
    } else {
      fold(instant, octave.pairs, scratch.part[0], column);
    }
  }
}

// The pixels of all bands of an octave at a batch of instants.
static void apply(const Octave &octave, const Batch &batch, int32_t unshift, int axis, const Tables &tables,
                  const Scratch &scratch, int8_t *image) {
  for (int index = 0; index < octave.count; index++) {
    const int band = octave.band[index], place = axis * kBands + band;
    const int count = tables.band_taps_count[band];
    const int16_t *const taps = tables.wavelet_taps + tables.band_taps_offset[band];
    int32_t real[kTogether], imag[kTogether];
    products<false>(taps, count, scratch.part[0].sum[0], real);
    products<false>(taps + count, count, scratch.part[0].difference[0], imag);
    if (octave.wide) {
      products<true>(taps, count, scratch.part[1].sum[0], real);
      products<true>(taps + count, count, scratch.part[1].difference[0], imag);
    }
    // The shift, of 2 bits to the right to 13 to the left, is undone in what the logarithm is compared with. That adds
    // 26 octaves to the 55 of the tables: int32 holds all three numbers of a pixel still.
    const int32_t floor = tables.power_floor[band] + unshift, gain = tables.power_gain[place];
    const int32_t offset = pixel_offset(tables.power_mean[place] + unshift, gain);
    int8_t *const row = image + band * kCells * kAxes + axis;
    const uint8_t *const table = tables.log2_table;
    for (int i = 0; i < batch.count; i++) {
      const int32_t log = log_of(real[i], imag[i], table);
      row[batch.place[i]] = pixel(log > floor ? log : floor, gain, offset);
    }
  }
}

// The cells that share another's instant are as bright.
static void repeat(const Octave &octave, int axis, const Tables &tables, int8_t *image) {
  for (int cell = 1; cell < kCells; cell++) {
    const int last = instant_of_cell(cell - 1, tables.window, octave.level);
    if (instant_of_cell(cell, tables.window, octave.level) != last) continue;
    for (int index = 0; index < octave.count; index++) {
      int8_t *const at = image + (octave.band[index] * kCells + cell) * kAxes + axis;
      *at = at[-kAxes];
    }
  }
}

void log_power(const int16_t *samples, int32_t mean, int axis, const Tables &tables, int16_t *padded, Scratch &scratch,
               int8_t *image) {
  int length = tables.window;
  for (int i = 0; i < kMargin; i++) padded[i] = padded[kMargin + length + i] = 0;
  int16_t *const signal = padded + kMargin;
  const int32_t unshift = 2 * kFraction * block_shift(samples, length, mean, signal);
  int bands_left = kBands;
  for (int level = 0;; level++) {
    Octave octave;
    octave.level = level, octave.pairs = 0, octave.count = 0;
    octave.wide = is_wide(signal, length);
    for (int band = 0; band < kBands; band++) {
      if (tables.band_level[band] != level) continue;
      octave.band[octave.count++] = static_cast<uint8_t>(band);
      const int pairs = (tables.band_taps_count[band] + 1) / 2;
      if (pairs > octave.pairs) octave.pairs = pairs;
    }
    Batch batch;
    batch.count = 0;
    int last = -1, instants = 0;
    for (int cell = 0; octave.count && cell < kCells; cell++) {
      const int instant = instant_of_cell(cell, tables.window, level);
      if (instant != last) {
        batch.instant[batch.count] = static_cast<uint16_t>(instant);
        batch.place[batch.count] = static_cast<uint8_t>(cell * kAxes);
        batch.count++;
        instants++;
        last = instant;
      }
      if (batch.count == kTogether || (cell == kCells - 1 && batch.count)) {
        fold_all(octave, batch, signal, scratch);
        apply(octave, batch, unshift, axis, tables, scratch, image);
        batch.count = 0;
      }
    }
    if (octave.count && instants < kCells) repeat(octave, axis, tables, image);
    bands_left -= octave.count;
    if (!bands_left) return;
    decimate(signal, length);
    length /= 2;
  }
}

}  // namespace gyrovae::scalogram
