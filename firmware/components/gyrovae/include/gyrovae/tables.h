// A generated header's numbers in, what the component computes with out: plain pointers and counts.
//
// Python is the source of every number (gyrovae_tf/spec.py, gyrovae_tf/calibration.py); gyrovae_tf/cgen.py writes them
// into a header. GYROVAE_TABLES(nn_model) in a file that includes such a header defines `nn_model_tables` from them.
// Tables may as well point into a flash partition: `problem` says whether they can be used.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gyrovae/limits.h"

namespace gyrovae {

// What the code itself is made for. The generated header states the same, and GYROVAE_TABLES compares.
constexpr int32_t kSpecVersion = 1;
constexpr int kAxes = 3;
constexpr int kBands = 32;
constexpr int kCells = 32;
constexpr int kLevels = 8;
constexpr int kSignalBits = 14;
constexpr int kAmplitudeShift = 6;
constexpr int kFraction = 256;
constexpr int kFieldOne = 1 << 15;
constexpr int kPixel = 32;
constexpr int kPixelsAnOctave = 16;
constexpr int kGainShift = 16;
constexpr int kHalfBandTaps = 11;
constexpr int16_t kHalfBand[kHalfBandTaps] = {3, 0, -25, 0, 150, 256, 150, 0, -25, 0, 3};
constexpr int kLog2Size = 128;
constexpr int kExp2Size = 16;
constexpr int kMaxLevel = 5;
constexpr int kWindowMin = 64;
constexpr int kWindowMax = 1024;
constexpr int kDigestBytes = 32;
constexpr int kMostRegimes = 64;
constexpr int kGroup = 4;  // neighbouring bands that the coarse profile takes together
constexpr int kGroups = kBands / kGroup;
constexpr int kQuarters = 4;  // parts of the bands whose powers are told each

// Taps of a wavelet's right half that there is room for. The bands that gyrovae-tf designs have up to 39.
constexpr int kLongestWavelet = 64;

constexpr int kImageBytes = kBands * kCells * kAxes;  // of one image [32][32][3]
constexpr int kViews = 6;
enum ViewName : uint8_t { kBandsView, kGroupsView, kQuartersView, kRhythmView, kLevelView, kTiltView };
constexpr int kViewSizes[kViews] = {kBands * kAxes, kGroups *kAxes, kQuarters *kAxes, kCells *kAxes, kAxes, kAxes};

// Whether a view's codes need 16 bits; those of the others are pixels.
constexpr bool is_wide(int name) {
  return name == kQuartersView || name == kLevelView || name == kTiltView;
}

// Whether there are detectors that lack it.
constexpr bool is_optional(int name) {
  return name == kQuartersView || name == kTiltView;
}

// What normal motion looks like in one view: see `View` in gyrovae_tf/calibration.py.
struct View {
  int32_t regimes;               // 0: the view does not count
  const int8_t *codes;           // [regime][number], or null where they are wide
  const int16_t *wide_codes;     // the same of the views that are (`is_wide`)
  const float *weight;           // [number]
  const float *scatter;          // [regime]
  const float *mixing;           // lower triangle, row by row, or null
  const float *residual_weight;  // [number], or null
  float center;
  float power;
};

// Every number of a detector but its model.
struct Tables {
  // the front end
  const uint8_t *spec_digest;  // 32 bytes
  int32_t spec_version;
  int32_t window;                    // samples
  double rate_hz;                    // only to report and to set the sensor
  double lsb;                        // units a count: only to report and to scale the sensor's counts
  const float *band_hz;              // [band]
  const uint8_t *band_level;         // [band]
  const uint16_t *band_taps_count;   // [band]
  const uint16_t *band_taps_offset;  // [band]
  const int16_t *wavelet_taps;
  uint32_t wavelet_taps_count;
  const int16_t *half_band;    // [11]
  const uint8_t *log2_table;   // [128]
  const int16_t *power_floor;  // [band]
  const int16_t *power_mean;   // [axis][band]
  const int32_t *power_gain;   // [axis][band]
  const int32_t *field_edges;  // [axis][7]
  int32_t field_shift;
  const int32_t *field_mean;  // [axis]
  const int32_t *field_gain;  // [axis]
  // the score
  const uint16_t *exp2_table;  // [16]
  View views[kViews];
  float threshold;
  int32_t vote_alarms;
  int32_t vote_windows;
};

// Tables in, what is wrong with them out as a short English text, or null. `most` is the longest window that the
// caller has room for. Everything that could make the component read or write out of bounds, overflow, or divide by
// zero is looked at; pointers have to point to as many numbers as the counts say.
const char *problem(const Tables &tables, int most);

namespace detail {

template <class T, size_t n>
constexpr const T *first(const T (&array)[n]) {
  return array;
}

template <class T, size_t rows, size_t columns>
constexpr const T *first(const T (&array)[rows][columns]) {
  return array[0];
}

template <class T, size_t n>
constexpr int extent(const T (&)[n]) {
  return static_cast<int>(n);
}

constexpr bool is_half_band(const int16_t *taps) {
  for (int i = 0; i < kHalfBandTaps; i++) {
    if (taps[i] != kHalfBand[i]) return false;
  }
  return true;
}

template <size_t n>
constexpr int longest(const uint16_t (&counts)[n]) {
  int most = 0;
  for (size_t i = 0; i < n; i++) most = counts[i] > most ? counts[i] : most;
  return most;
}

template <size_t rows, size_t columns, size_t weights, size_t scatters>
constexpr View view(const int8_t (&codes)[rows][columns], const float (&weight)[weights],
                    const float (&scatter)[scatters], const float *mixing, const float *residual_weight, float center,
                    float power) {
  static_assert(columns == weights && rows == scatters, "a view's tables are not of one shape");
  return {static_cast<int32_t>(rows), codes[0], nullptr, weight, scatter, mixing, residual_weight, center, power};
}

template <size_t rows, size_t columns, size_t weights, size_t scatters>
constexpr View view(const int16_t (&codes)[rows][columns], const float (&weight)[weights],
                    const float (&scatter)[scatters], const float *mixing, const float *residual_weight, float center,
                    float power) {
  static_assert(columns == weights && rows == scatters, "a view's tables are not of one shape");
  return {static_cast<int32_t>(rows), nullptr, codes[0], weight, scatter, mixing, residual_weight, center, power};
}

template <int view, size_t n>
constexpr const float *triangle(const float (&mixing)[n]) {
  static_assert(n == static_cast<size_t>(kViewSizes[view]) * (kViewSizes[view] + 1) / 2, "a mixing has another size");
  return mixing;
}

template <int view, size_t n>
constexpr const float *row(const float (&weights)[n]) {
  static_assert(n == static_cast<size_t>(kViewSizes[view]), "a table of weights has another size");
  return weights;
}

}  // namespace detail
}  // namespace gyrovae

// The pieces of GYROVAE_TABLES. GYROVAE_JOIN expands its arguments first: GYROVAE_MIXING_1 or _0, for example.
// (Two of them: a macro is not expanded within its own expansion.)
#define GYROVAE_JOIN_(a, b) a##b
#define GYROVAE_JOIN(a, b) GYROVAE_JOIN_(a, b)
#define GYROVAE_JOIN_VIEW_(a, b) a##b
#define GYROVAE_JOIN_VIEW(a, b) GYROVAE_JOIN_VIEW_(a, b)
#define GYROVAE_MIXING_0(prefix, name, view) nullptr
#define GYROVAE_MIXING_1(prefix, name, view) gyrovae::detail::triangle<view>(prefix##_##name##_mixing)
#define GYROVAE_MIXING(prefix, name, view) \
  GYROVAE_JOIN(GYROVAE_MIXING_, prefix##_##name##_HAS_MIXING)(prefix, name, view)
#define GYROVAE_VIEW(prefix, name, view_name, residual)                                               \
  gyrovae::detail::view(prefix##_##name##_codes, prefix##_##name##_weight, prefix##_##name##_scatter, \
                        GYROVAE_MIXING(prefix, name, view_name), residual, prefix##_##name##_center,  \
                        prefix##_##name##_power)
#define GYROVAE_QUARTERS_0(prefix) \
  gyrovae::View {}
#define GYROVAE_QUARTERS_1(prefix) GYROVAE_VIEW(prefix, quarters, gyrovae::kQuartersView, nullptr)
#define GYROVAE_TILT_0(prefix) \
  gyrovae::View {}
#define GYROVAE_TILT_1(prefix) GYROVAE_VIEW(prefix, tilt, gyrovae::kTiltView, nullptr)
#define GYROVAE_SAME(prefix, name, value) \
  static_assert(prefix##_##name == (value), "the header's " #name " is not what this firmware was made for")
#define GYROVAE_EXTENT(prefix, name, value) \
  static_assert(gyrovae::detail::extent(prefix##_##name) == (value), "the header's " #name " has another length")
#define GYROVAE_CODES(prefix, name, view)                                                         \
  static_assert(gyrovae::detail::extent(prefix##_##name##_codes[0]) == gyrovae::kViewSizes[view], \
                "the header's " #name "_codes have another length")

// Defines `<prefix>_tables`, and holds that header and this component together. At namespace scope, once a file.
#define GYROVAE_TABLES(prefix)                                                                                        \
  GYROVAE_SAME(prefix, spec_version, gyrovae::kSpecVersion);                                                          \
  GYROVAE_SAME(prefix, axes, gyrovae::kAxes);                                                                         \
  GYROVAE_SAME(prefix, bands, gyrovae::kBands);                                                                       \
  GYROVAE_SAME(prefix, cells, gyrovae::kCells);                                                                       \
  GYROVAE_SAME(prefix, signal_bits, gyrovae::kSignalBits);                                                            \
  GYROVAE_SAME(prefix, amplitude_shift, gyrovae::kAmplitudeShift);                                                    \
  GYROVAE_SAME(prefix, fraction, gyrovae::kFraction);                                                                 \
  GYROVAE_SAME(prefix, pixel, gyrovae::kPixel);                                                                       \
  GYROVAE_SAME(prefix, pixels_an_octave, gyrovae::kPixelsAnOctave);                                                   \
  GYROVAE_SAME(prefix, field_levels, gyrovae::kLevels);                                                               \
  GYROVAE_SAME(prefix, field_one, gyrovae::kFieldOne);                                                                \
  static_assert(prefix##_window >= gyrovae::kWindowMin && prefix##_window <= gyrovae::kWindowMax &&                   \
                    prefix##_window % gyrovae::kCells == 0,                                                           \
                "the header's window is of no length that this firmware knows");                                      \
  GYROVAE_EXTENT(prefix, spec_digest, 2 * gyrovae::kDigestBytes + 1);                                                 \
  GYROVAE_EXTENT(prefix, spec_digest_bytes, gyrovae::kDigestBytes);                                                   \
  GYROVAE_EXTENT(prefix, band_hz, gyrovae::kBands);                                                                   \
  GYROVAE_EXTENT(prefix, band_level, gyrovae::kBands);                                                                \
  GYROVAE_EXTENT(prefix, band_taps_count, gyrovae::kBands);                                                           \
  GYROVAE_EXTENT(prefix, band_taps_offset, gyrovae::kBands);                                                          \
  GYROVAE_EXTENT(prefix, wavelet_taps,                                                                                \
                 prefix##_band_taps_offset[gyrovae::kBands - 1] + 2 * prefix##_band_taps_count[gyrovae::kBands - 1]); \
  static_assert(gyrovae::detail::longest(prefix##_band_taps_count) <= gyrovae::kLongestWavelet,                       \
                "the header has a wavelet that is longer than there is room for");                                    \
  GYROVAE_EXTENT(prefix, half_band, gyrovae::kHalfBandTaps);                                                          \
  static_assert(gyrovae::detail::is_half_band(prefix##_half_band), "the header has another half-band filter");        \
  GYROVAE_EXTENT(prefix, log2_table, gyrovae::kLog2Size);                                                             \
  GYROVAE_EXTENT(prefix, exp2_table, gyrovae::kExp2Size);                                                             \
  GYROVAE_EXTENT(prefix, power_floor, gyrovae::kBands);                                                               \
  GYROVAE_EXTENT(prefix, power_mean, gyrovae::kAxes);                                                                 \
  GYROVAE_EXTENT(prefix, power_mean[0], gyrovae::kBands);                                                             \
  GYROVAE_EXTENT(prefix, power_gain, gyrovae::kAxes);                                                                 \
  GYROVAE_EXTENT(prefix, power_gain[0], gyrovae::kBands);                                                             \
  GYROVAE_EXTENT(prefix, field_edges, gyrovae::kAxes);                                                                \
  GYROVAE_EXTENT(prefix, field_edges[0], gyrovae::kLevels - 1);                                                       \
  GYROVAE_EXTENT(prefix, field_mean, gyrovae::kAxes);                                                                 \
  GYROVAE_EXTENT(prefix, field_gain, gyrovae::kAxes);                                                                 \
  GYROVAE_CODES(prefix, bands, gyrovae::kBandsView);                                                                  \
  GYROVAE_CODES(prefix, groups, gyrovae::kGroupsView);                                                                \
  GYROVAE_CODES(prefix, rhythm, gyrovae::kRhythmView);                                                                \
  GYROVAE_CODES(prefix, level, gyrovae::kLevelView);                                                                  \
  static_assert(prefix##_views == gyrovae::kViews - 2 + prefix##_HAS_QUARTERS + prefix##_HAS_TILT,                    \
                "the header has another set of views");                                                               \
  inline constexpr gyrovae::Tables prefix##_tables = {                                                                \
      prefix##_spec_digest_bytes,                                                                                     \
      prefix##_spec_version,                                                                                          \
      prefix##_window,                                                                                                \
      prefix##_rate_hz,                                                                                               \
      prefix##_lsb,                                                                                                   \
      prefix##_band_hz,                                                                                               \
      prefix##_band_level,                                                                                            \
      prefix##_band_taps_count,                                                                                       \
      prefix##_band_taps_offset,                                                                                      \
      prefix##_wavelet_taps,                                                                                          \
      static_cast<uint32_t>(gyrovae::detail::extent(prefix##_wavelet_taps)),                                          \
      prefix##_half_band,                                                                                             \
      prefix##_log2_table,                                                                                            \
      prefix##_power_floor,                                                                                           \
      gyrovae::detail::first(prefix##_power_mean),                                                                    \
      gyrovae::detail::first(prefix##_power_gain),                                                                    \
      gyrovae::detail::first(prefix##_field_edges),                                                                   \
      prefix##_field_shift,                                                                                           \
      prefix##_field_mean,                                                                                            \
      prefix##_field_gain,                                                                                            \
      prefix##_exp2_table,                                                                                            \
      {GYROVAE_VIEW(prefix, bands, gyrovae::kBandsView, nullptr),                                                     \
       GYROVAE_VIEW(prefix, groups, gyrovae::kGroupsView, nullptr),                                                   \
       GYROVAE_JOIN_VIEW(GYROVAE_QUARTERS_, prefix##_HAS_QUARTERS)(prefix),                                           \
       GYROVAE_VIEW(prefix, rhythm, gyrovae::kRhythmView,                                                             \
                    gyrovae::detail::row<gyrovae::kRhythmView>(prefix##_rhythm_residual_weight)),                     \
       GYROVAE_VIEW(prefix, level, gyrovae::kLevelView, nullptr),                                                     \
       GYROVAE_JOIN_VIEW(GYROVAE_TILT_, prefix##_HAS_TILT)(prefix)},                                                  \
      prefix##_threshold,                                                                                             \
      prefix##_vote_alarms,                                                                                           \
      prefix##_vote_windows}
