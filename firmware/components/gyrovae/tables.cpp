#include "gyrovae/tables.h"

namespace gyrovae {

namespace {

constexpr int32_t kLogPowerLimit = 55 * kFraction;  // as in gyrovae_tf/spec.py, which tells why
constexpr int32_t kEdgeLimit = 1 << 17;
constexpr int32_t kTapLimit = 1 << 16;

constexpr int32_t magnitude(int32_t value) {
  return value < 0 ? -value : value;
}

template <class T>
bool all_within(const T *table, int count, int32_t least, int32_t most) {
  for (int i = 0; i < count; i++) {
    if (table[i] < least || table[i] > most) return false;
  }
  return true;
}

// By a float's bits: flags such as -ffast-math let a compiler take it for granted that no number is infinite.
constexpr uint32_t kInfinity = 0x7f800000u;

uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}

bool is_finite(float value) {
  return (bits_of(value) & kInfinity) != kInfinity;
}

bool is_positive(float value) {
  return bits_of(value) - 1 < kInfinity - 1;  // neither 0 nor with a sign
}

const char *problem_of_bands(const Tables &tables) {
  for (int band = 0; band < kBands; band++) {
    const int32_t count = tables.band_taps_count[band];
    if (tables.band_level[band] > kMaxLevel) return "a wavelet belongs to an octave that there is none of";
    if (count < 1 || count > kLongestWavelet) return "a wavelet is longer than there is room for";
    if (tables.band_taps_offset[band] + 2u * static_cast<uint32_t>(count) > tables.wavelet_taps_count) {
      return "a wavelet's taps lie outside their table";
    }
    const int16_t *const real = tables.wavelet_taps + tables.band_taps_offset[band], *const imag = real + count;
    int32_t reals = magnitude(real[0]), imags = 0;
    for (int32_t lag = 1; lag < count; lag++) {
      reals += 2 * magnitude(real[lag]);
      imags += 2 * magnitude(imag[lag]);
    }
    if (imag[0] != 0 || reals >= kTapLimit || imags >= kTapLimit) return "a wavelet's taps are too large";
    if (!is_positive(tables.band_hz[band])) return "a wavelet's frequency is not usable";
  }
  if (!detail::is_half_band(tables.half_band)) return "the half-band filter is another one than this firmware knows";
  return nullptr;
}

const char *problem_of_pixels(const Tables &tables) {
  if (!all_within(tables.power_floor, kBands, -kLogPowerLimit, kLogPowerLimit) ||
      !all_within(tables.power_mean, kAxes * kBands, -kLogPowerLimit, kLogPowerLimit) ||
      !all_within(tables.power_gain, kAxes * kBands, 0, 1 << 16)) {
    return "the scalogram's tables are out of range";
  }
  if (!all_within(tables.field_edges, kAxes * (kLevels - 1), -kEdgeLimit, kEdgeLimit) ||
      !all_within(tables.field_mean, kAxes, 0, kFieldOne) || !all_within(tables.field_gain, kAxes, 0, 1 << 15) ||
      tables.field_shift < 0 || tables.field_shift > 16 ||
      (tables.window / kCells) * (tables.window / kCells) > 1 << tables.field_shift) {
    return "the field's tables are out of range";
  }
  for (int axis = 0; axis < kAxes; axis++) {
    const int32_t *const edges = tables.field_edges + axis * (kLevels - 1);
    for (int i = 1; i < kLevels - 1; i++) {
      if (edges[i] < edges[i - 1]) return "the field's edges do not ascend";
    }
  }
  return nullptr;
}

const char *problem_of_view(const View &view, int size) {
  if (view.regimes < 1 || view.regimes > kMostRegimes) return "a view has a wrong number of regimes";
  if ((view.codes != nullptr) == (view.wide_codes != nullptr) || !view.weight || !view.scatter) {
    return "a view's tables are missing";
  }
  for (int i = 0; i < size; i++) {
    if (!is_finite(view.weight[i])) return "a view's weight is no number";
    if (view.residual_weight && !is_finite(view.residual_weight[i])) return "a view's residual weight is no number";
  }
  for (int32_t i = 0; i < view.regimes; i++) {
    if (!is_positive(view.scatter[i])) return "a view's scatter is not usable";
  }
  for (int i = 0; view.mixing && i < size * (size + 1) / 2; i++) {
    if (!is_finite(view.mixing[i])) return "a view's mixing is no number";
  }
  if (!is_positive(view.center) || !is_positive(view.power)) return "a view's center or power is not usable";
  return nullptr;
}

}  // namespace

const char *problem(const Tables &tables, int most) {
  if (tables.spec_version != kSpecVersion) return "the front end is of another version";
  if (tables.window < kWindowMin || tables.window > kWindowMax || tables.window % kCells) {
    return "the window's length is not usable";
  }
  if (tables.window > most) return "the window is longer than this firmware has room for";
  if (const char *found = problem_of_bands(tables)) return found;
  if (const char *found = problem_of_pixels(tables)) return found;
  // What exponentials and logarithms add up to then stays below 2^31.
  if (!all_within(tables.exp2_table, kExp2Size, 1, 1961)) return "the table of exponentials is out of range";
  for (int name = 0; name < kViews; name++) {
    const View &view = tables.views[name];
    if (is_optional(name) && view.regimes == 0) continue;
    if (is_wide(name) != (view.wide_codes != nullptr)) return "a view's codes are of another type";
    if ((name == kRhythmView) != (view.residual_weight != nullptr)) return "a view's residual weights are misplaced";
    if (const char *found = problem_of_view(view, kViewSizes[name])) return found;
  }
  if (!is_positive(tables.threshold)) return "the threshold is not usable";
  if (tables.vote_alarms < 1 || tables.vote_alarms > tables.vote_windows || tables.vote_windows > kMostVotes) {
    return "the vote is not usable";
  }
  return nullptr;
}

}  // namespace gyrovae
