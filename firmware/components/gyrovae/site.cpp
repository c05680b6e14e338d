#include "gyrovae/site.h"

#include "gyrovae/real.h"

namespace gyrovae::site {

constexpr float kLeastScore = 1e-6f;

bool usable(const Site &site) {
  const bool numbers = site.mean - site.mean == 0.0f && site.spread >= 0.0f && site.spread < 100.0f;
  return numbers && site.windows >= kLeastWindows && site.threshold >= kLeastThreshold &&
         site.threshold <= kMostThreshold;
}

void Fit::add(float score) {
  const float value = log2(score > kLeastScore ? score : kLeastScore);
  count_++;
  // Welford (1962): mean and sum of squares about it, one value at a time.
  const float off = value - mean_;
  mean_ += off / static_cast<float>(count_);
  squares_ += off * (value - mean_);
}

const char *Fit::finish(float reach, Site &site) const {
  if (count_ < kLeastWindows) return "too few windows: at least 30 are needed, calibrate for more minutes";
  const float spread = square_root(squares_ / static_cast<float>(count_ - 1));
  const float exponent = mean_ + reach * (spread > kLeastSpread ? spread : kLeastSpread);
  // Compared before it is raised: exp2 takes no number beyond 127.
  if (!(exponent <= 4.0f)) return "normal motion here scores too high or too unsteadily: collect it and train again";
  const float threshold = exponent > -2.0f ? exp2(exponent) : kLeastThreshold;
  site = {mean_, spread, threshold < kMostThreshold ? threshold : kMostThreshold, count_};
  return nullptr;
}

}  // namespace gyrovae::site
