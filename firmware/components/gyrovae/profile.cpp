// The Python twin is gyrovae_tf/signal/profile.py.
#include "gyrovae/profile.h"

#include "gyrovae/integers.h"

namespace gyrovae::profile {

constexpr int kMantissaBits = 10;                // of the table of 2^(i / 16)
constexpr int kLowest = -128 / kPixelsAnOctave;  // octaves of the darkest pixel
constexpr int kQuiet = 16 * kPixelsAnOctave;     // sixteenths of an octave below the loudest band: does not count
constexpr int kLevelBits = 10;
constexpr int kCellsBits = 5;
static_assert(1 << kCellsBits == kCells, "the mean over cells is a shift");

void time_sums(const int8_t *image, int16_t *sums) {
  for (int row = 0; row < kBands; row++) {
    int32_t x = 0, y = 0, z = 0;
    for (int cell = 0; cell < kCells; cell++, image += kAxes) x += image[0], y += image[1], z += image[2];
    sums[row] = static_cast<int16_t>(x);
    sums[kBands + row] = static_cast<int16_t>(y);
    sums[2 * kBands + row] = static_cast<int16_t>(z);
  }
}

void band_profile(const int8_t *scalogram, const Tables &tables, int16_t *profile) {
  constexpr int32_t kZero = (kMantissaBits - kLowest + kCellsBits) * kFraction;
  const uint16_t *const exp2 = tables.exp2_table;
  const auto power_of = [exp2](int32_t pixel) {
    const uint32_t index = static_cast<uint32_t>(pixel + 128);
    return static_cast<uint32_t>(exp2[index % kPixelsAnOctave]) << index / kPixelsAnOctave;
  };
  for (int band = 0; band < kBands; band++) {
    uint32_t x = 0, y = 0, z = 0;  // at most 32 * 1961 << 15: below 2^31
    for (int cell = 0; cell < kCells; cell++, scalogram += kAxes) {
      x += power_of(scalogram[0]), y += power_of(scalogram[1]), z += power_of(scalogram[2]);
    }
    profile[band] = static_cast<int16_t>(log2(0, x, tables.log2_table) - kZero);
    profile[kBands + band] = static_cast<int16_t>(log2(0, y, tables.log2_table) - kZero);
    profile[2 * kBands + band] = static_cast<int16_t>(log2(0, z, tables.log2_table) - kZero);
  }
}

void group_profile(const int16_t *sums, int16_t *groups) {
  for (int i = 0; i < kAxes * kGroups; i++, sums += kGroup) {
    int32_t sum = 0;
    for (int k = 0; k < kGroup; k++) sum += sums[k];
    groups[i] = static_cast<int16_t>(sum);
  }
}

// Log powers of neighbouring bands in, that of all of them together out.
static int32_t level_of(const int32_t *power, int bands, const Tables &tables) {
  int32_t loudest = INT32_MIN;
  for (int band = 0; band < bands; band++) loudest = power[band] > loudest ? power[band] : loudest;
  uint32_t total = 0;
  for (int band = 0; band < bands; band++) {
    const int32_t below = (loudest - power[band]) >> 4;  // sixteenths of an octave
    if (below >= kQuiet) continue;
    const uint32_t part = static_cast<uint32_t>(tables.exp2_table[-below & (kPixelsAnOctave - 1)]) << kLevelBits;
    total += part >> (below + kPixelsAnOctave - 1) / kPixelsAnOctave;
  }
  return loudest + log2(0, total, tables.log2_table) - (kMantissaBits + kLevelBits) * kFraction;
}

void levels(const int16_t *profile, const Tables &tables, int32_t *quarters, int32_t *level) {
  constexpr int kQuarter = kBands / kQuarters;
  for (int axis = 0; axis < kAxes; axis++) {
    // A band's log power is its mean on normal motion plus its profile in octaves: a pixel is 2^16 / gain log powers.
    int32_t power[kBands];
    for (int band = 0; band < kBands; band++) {
      const int place = axis * kBands + band;
      const int32_t gain = tables.power_gain[place] > 1 ? tables.power_gain[place] : 1;
      const int32_t octaves = floor_divide(profile[place] * (1 << (kGainShift - 3)), gain);
      power[band] = tables.power_mean[place] + ((octaves + 1) >> 1);  // rounded: half up
    }
    for (int i = 0; i < kQuarters; i++) *quarters++ = level_of(power + i * kQuarter, kQuarter, tables);
    level[axis] = level_of(power, kBands, tables);
  }
}

void means(const int16_t *window, int length, int32_t *mean) {
  int32_t x = 0, y = 0, z = 0;
  for (const int16_t *const end = window + length * kAxes; window != end; window += kAxes) {
    x += window[0], y += window[1], z += window[2];
  }
  mean[0] = floor_divide(2 * x + length, 2 * length);
  mean[1] = floor_divide(2 * y + length, 2 * length);
  mean[2] = floor_divide(2 * z + length, 2 * length);
}

void profiles(const int16_t *window, const int8_t *images, const Tables &tables, Profile &profile) {
  time_sums(images, profile.bands);  // for the moment
  group_profile(profile.bands, profile.groups);
  band_profile(images, tables, profile.bands);
  time_sums(images + kImageBytes, profile.rhythm);
  levels(profile.bands, tables, profile.quarters, profile.level);
  means(window, tables.window, profile.tilt);
}

}  // namespace gyrovae::profile
