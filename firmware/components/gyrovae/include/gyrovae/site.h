// Scores of normal windows on site in, a threshold for the place where the device is now out.
//
// Another mounting, floor or machine of the same kind moves the scores of normal motion. Their log2 is close enough to
// a bell for a threshold: it is put as many standard deviations above their mean as the detector's own lies above that
// of the normal windows it was made with (`reach`).
#pragma once

#include <stdint.h>

namespace gyrovae::site {

constexpr uint32_t kLeastWindows = 30;
constexpr float kLeastSpread = 0.05f;  // octaves; less is a calibration that saw one thing only
constexpr float kLeastThreshold = 0.25f, kMostThreshold = 16.0f;

// A threshold with what it rests on. As it stands there is none but the detector's.
struct Site {
  float mean = 0.0f;    // of log2 of normal scores
  float spread = 0.0f;  // their standard deviation
  float threshold = 1.0f;
  uint32_t windows = 0;
};

// Whether it is one that `Fit` can have made: what was kept over a boot may be damaged.
bool usable(const Site &site);

class Fit {
 public:
  void start() { count_ = 0, mean_ = 0.0f, squares_ = 0.0f; }
  // A score of a normal window, in units of the detector's own threshold.
  void add(float score);
  uint32_t count() const { return count_; }
  // The threshold to `site`; or null is not returned but what is wrong, in words.
  const char *finish(float reach, Site &site) const;

 private:
  uint32_t count_ = 0;
  float mean_ = 0.0f, squares_ = 0.0f;
};

}  // namespace gyrovae::site
