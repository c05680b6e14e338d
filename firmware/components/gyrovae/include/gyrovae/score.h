// Profiles and the reconstruction in, scores with reasons out: twin of gyrovae_tf/signal/score.py, in float32.
#pragma once

#include <stdint.h>

#include "gyrovae/profile.h"
#include "gyrovae/tables.h"

namespace gyrovae::score {

constexpr float kLargestRatio = 1e6f;  // no view adds more than this

// The score of a window and what it is made of.
struct Score {
  float score;                      // 1.0 is the alarm, higher is more abnormal
  float shares[kViews];             // each view's part of the score, 0 to 1
  int32_t regime;                   // nearest to the profile of power: a row of the bands' codes
  float deviation[kAxes * kBands];  // standardised deviation of power from that regime; above 0 is louder

  // A score that is no number is an alarm, too: it comes of damaged tables.
  bool alarm() const { return !(score < 1.0f); }
};

// A stretch of neighbouring bands of one axis that makes a window abnormal.
struct Reason {
  uint8_t axis;     // 0: x
  bool louder;      // or else quieter
  float center_hz;  // of the band that deviates most
  float low_hz;     // where the stretch begins
  float high_hz;    // where it ends
  float share;      // its part of what the power contributes, 0 to 1
};

// An int8 output of the model [32][32][3], its scale and zero point in, its time sums [3][32] in pixels out.
void expected_sums(const int8_t *output, float scale, int32_t zero_point, float *sums);

// A view's name, its tables and a profile in; the nearest regime (the first of equals) and its distance out.
int32_t nearest(ViewName name, const View &view, const profile::Profile &seen, float *distance);

// A view and the distance from its nearest regime in, with what the reconstruction lacks (`rest`) where that counts,
// its distance out.
float distances(const View &view, float found, float rest);

// A view and a distance in, what it adds to the score out: 1 for the middle one of normal windows.
float ratios(const View &view, float distance);

// A window's profiles and the field's expected sums (`expected_sums` of the model's second output) in, its score out.
void score(const profile::Profile &seen, const float *expected, const Tables &tables, Score &result);

// A window's deviations [3][32] in, up to `count` stretches of bands that contribute most out, largest first. Returns
// how many. A stretch is one of neighbouring bands of an axis, all louder or all quieter by a standard deviation or
// more (where none is, the largest deviation alone); contributions are squares; shares are those of all bands.
int reasons(const float *deviation, const Tables &tables, Reason *found, int count);

// From which window on, counted from one of `window` samples, windows `hop` apart share no sample with it.
constexpr int32_t stride_of(int32_t window, int32_t hop) {
  return hop < window ? (window + hop - 1) / hop : 1;
}

// Alarms of consecutive windows in, one by one, whether `alarms` of the latest `windows` were alarms out.
//
// Only windows that share no sample are votes of their own, or one knock would be an event. So of windows that do share
// some each `stride`th is of one phase, each phase votes alone, and it is enough that one of them holds.
class Vote {
 public:
  Vote(int32_t alarms, int32_t windows, int32_t stride = 1) : needed_(alarms), windows_(windows), stride_(stride) {}
  bool add(bool alarm);
  void reset() { *this = Vote(needed_, windows_, stride_); }

 private:
  uint64_t history_[kMostPhases] = {};  // of each phase; its latest is bit 0
  int32_t count_[kMostPhases] = {};     // alarms among its latest windows
  int32_t phase_ = 0;                   // of the next window
  int32_t holding_ = 0;                 // phases with enough alarms
  int32_t needed_;
  int32_t windows_;  // at most kMostVotes
  int32_t stride_;   // at most kMostPhases
};

}  // namespace gyrovae::score
