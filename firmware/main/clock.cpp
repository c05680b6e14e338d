#include "clock.h"

namespace gyrovae::imu {

namespace {

constexpr double kPull = 1.0 / 32;   // of what the times of reading are behind, each batch
constexpr double kTune = 1.0 / 128;  // of that, the period: a sensor that gets warm changes its rate
constexpr double kLate = 0.2;        // of a period: so much earlier than a whole one later, a sample is lost

}  // namespace

void Clock::start(double rate_hz, bool has_fifo) {
  *this = {};
  period_us_ = 1e6 / rate_hz;
  has_fifo_ = has_fifo;
}

uint32_t Clock::batch(int64_t at_us, int count, int left, bool lost) {
  const double now = static_cast<double>(at_us), took = count * period_us_;
  first_ = next_;
  if (!begun_) {
    begun_ = true;
    last_us_ = now - took;
  }
  double behind = now - (last_us_ + took);
  uint32_t missing = 0;
  if (lost || !has_fifo_) {
    const double periods = behind / period_us_ - left + kLate;  // what is left is not lost
    missing = periods > 0.0 ? static_cast<uint32_t>(periods) : 0;
    if (lost && missing == 0) missing = 1;
    first_ += missing;
    last_us_ += missing * period_us_;
    behind -= missing * period_us_;
  }
  // No sample is of the future; none comes before the one before it. Where some are left, the time says nothing about
  // when the last of these was taken.
  const double pull = behind < 0.0 ? behind : left ? 0.0 : kPull * behind;
  const double step = pull > -0.5 * period_us_ ? pull : -0.5 * period_us_;
  // With a FIFO the times tell no loss, and are too rough for it.
  if (!has_fifo_ && !missing) period_us_ += kTune * step;
  before_us_ = last_us_ + step;
  last_us_ = before_us_ + count * period_us_;
  next_ = first_ + static_cast<uint32_t>(count);
  return missing;
}

uint32_t Clock::t_us(int i) const {
  const double time = before_us_ + (i + 1) * period_us_;
  return time > 0.0 ? static_cast<uint32_t>(static_cast<uint64_t>(time)) : 0;
}

}  // namespace gyrovae::imu
