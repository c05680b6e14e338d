// The Python twin is gyrovae_tf/signal/score.py.
#include "gyrovae/score.h"

#include "gyrovae/real.h"

namespace gyrovae::score {

constexpr int kMost = kBands * kAxes;  // numbers of the largest view
constexpr float kLog2OfLargest = 19.9315686f;
constexpr float kBandUnit = 1.0f / 16, kGroupUnit = 1.0f / (kGroup * kCells), kFieldUnit = 1.0f / kCells;

// One number of a profile in the units of its codes: exact, since the units are powers of two.
static float seen_of(ViewName name, const profile::Profile &seen, int place) {
  switch (name) {
    case kBandsView:
      return static_cast<float>(seen.bands[place]) * kBandUnit;
    case kGroupsView:
      return static_cast<float>(seen.groups[place]) * kGroupUnit;
    case kQuartersView:
      return static_cast<float>(seen.quarters[place]);
    case kRhythmView:
      return static_cast<float>(seen.rhythm[place]) * kFieldUnit;
    case kLevelView:
      return static_cast<float>(seen.level[place]);
    case kTiltView:
      break;
  }
  return static_cast<float>(seen.tilt[place]);
}

static float code_of(const View &view, int place) {
  return static_cast<float>(view.codes ? view.codes[place] : view.wide_codes[place]);
}

void expected_sums(const int8_t *output, float scale, int32_t zero_point, float *sums) {
  int16_t raw[kAxes * kCells];
  profile::time_sums(output, raw);
  for (int i = 0; i < kAxes * kCells; i++) {
    sums[i] = static_cast<float>(raw[i] - kCells * zero_point) * (scale * kPixel);
  }
}

int32_t nearest(ViewName name, const View &view, const profile::Profile &seen, float *distance) {
  const int size = kViewSizes[name];
  float own[kMost], deviation[kMost];
  for (int i = 0; i < size; i++) own[i] = seen_of(name, seen, i);
  int32_t regime = 0;
  float least = 0.0f;
  for (int32_t index = 0; index < view.regimes; index++) {
    float sum = 0.0f;
    for (int i = 0; i < size; i++) {
      deviation[i] = (own[i] - code_of(view, index * size + i)) * view.weight[i];
      if (!view.mixing) sum += deviation[i] * deviation[i];
    }
    if (const float *row = view.mixing) {
      for (int i = 0; i < size; i++) {
        float mixed = 0.0f;
        for (int k = 0; k <= i; k++) mixed += *row++ * deviation[k];
        sum += mixed * mixed;
      }
    }
    const float found = square_root(sum / static_cast<float>(size)) / view.scatter[index];
    if (index == 0 || found < least) regime = index, least = found;
  }
  *distance = least;
  return regime;
}

float distances(const View &view, float found, float rest) {
  return view.residual_weight ? square_root(found * square_root(found * rest)) : found;
}

float ratios(const View &view, float distance) {
  const float relative = distance / view.center;
  if (relative < 1e-37f) return 0.0f;
  const float exponent = view.power * log2(relative);
  if (exponent < -126.0f) return 0.0f;
  return exponent < kLog2OfLargest ? exp2(exponent) : kLargestRatio;
}

// Root mean square of the weighted residuals of the field's profile from its reconstruction.
static float rest_of(const View &view, const profile::Profile &seen, const float *expected) {
  float sum = 0.0f;
  for (int i = 0; i < kViewSizes[kRhythmView]; i++) {
    const float residual = (static_cast<float>(seen.rhythm[i]) - expected[i]) * kFieldUnit * view.residual_weight[i];
    sum += residual * residual;
  }
  return square_root(sum / static_cast<float>(kViewSizes[kRhythmView]));
}

void score(const profile::Profile &seen, const float *expected, const Tables &tables, Score &result) {
  float total = 0.0f;
  int counted = 0;
  for (int name = 0; name < kViews; name++) {
    const View &view = tables.views[name];
    result.shares[name] = 0.0f;
    if (!view.regimes) continue;
    float found;
    const int32_t regime = nearest(static_cast<ViewName>(name), view, seen, &found);
    if (name == kBandsView) result.regime = regime;
    const float rest = view.residual_weight ? rest_of(view, seen, expected) : 0.0f;
    result.shares[name] = ratios(view, distances(view, found, rest));
    total += result.shares[name];
    counted++;
  }
  result.score = total / static_cast<float>(counted) / tables.threshold;
  for (float &share : result.shares) share = total > 0.0f ? share / total : 0.0f;
  const View &bands = tables.views[kBandsView];
  for (int i = 0; i < kAxes * kBands; i++) {
    result.deviation[i] =
        (seen_of(kBandsView, seen, i) - code_of(bands, result.regime * kAxes * kBands + i)) * bands.weight[i];
  }
}

// Where the bands below and above meet: half way between their centres, and as far beyond the first and the last.
static float edge_below(const float *center, int band) {
  if (band == 0) return 2.0f * center[0] - edge_below(center, 1);
  if (band == kBands) return 2.0f * center[kBands - 1] - edge_below(center, kBands - 1);
  return (center[band - 1] + center[band]) * 0.5f;
}

int reasons(const float *deviation, const Tables &tables, Reason *found, int count) {
  float total = 0.0f, largest = 0.0f;
  for (int i = 0; i < kAxes * kBands; i++) {
    const float size = deviation[i] < 0.0f ? -deviation[i] : deviation[i];
    total += size * size;
    if (size > largest) largest = size;
  }
  if (!(total > 0.0f)) return 0;
  const float strong = largest < 1.0f ? largest : 1.0f;
  const auto sign = [strong](float value) { return value >= strong ? 1 : value <= -strong ? -1 : 0; };
  int kept = 0;
  for (int axis = 0; axis < kAxes; axis++) {
    const float *const own = deviation + axis * kBands;
    for (int low = 0, high; low < kBands; low = high) {
      const int direction = sign(own[low]);
      int peak = low;
      float part = 0.0f;
      for (high = low; high < kBands && sign(own[high]) == direction; high++) {
        part += own[high] * own[high];
        if (own[high] * own[high] > own[peak] * own[peak]) peak = high;
      }
      const float share = part / total;
      if (!direction || (kept == count && (count == 0 || share <= found[kept - 1].share))) continue;
      int place = kept < count ? kept++ : count - 1;
      for (; place > 0 && found[place - 1].share < share; place--) found[place] = found[place - 1];
      const float from = edge_below(tables.band_hz, low);
      found[place] = {static_cast<uint8_t>(axis),       direction > 0, tables.band_hz[peak], from > 0.0f ? from : 0.0f,
                      edge_below(tables.band_hz, high), share};
    }
  }
  return kept;
}

bool Vote::add(bool alarm) {
  uint64_t &history = history_[phase_];
  int32_t &count = count_[phase_];
  const bool leaves = (history >> (windows_ - 1)) & 1, held = count >= needed_;
  history = history << 1 | (alarm ? 1 : 0);
  count += (alarm ? 1 : 0) - (leaves ? 1 : 0);
  holding_ += (count >= needed_ ? 1 : 0) - (held ? 1 : 0);
  phase_ = phase_ + 1 == stride_ ? 0 : phase_ + 1;
  return holding_ > 0;
}

}  // namespace gyrovae::score
