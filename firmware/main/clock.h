// When batches of samples were read in, a number and a time for each sample out.
#pragma once

#include <stdint.h>

namespace gyrovae::imu {

// Samples come at a steady rate, and are read some time later: together from a FIFO, one by one without it. Their times
// are those of the rate, held to the times of reading; without FIFO the rate is held to them, too.
class Clock {
 public:
  // A sensor of such a rate. Without FIFO a sample is lost when the next one comes before it was read, which only the
  // time tells.
  void start(double rate_hz, bool has_fifo);
  // `count` samples (at least 1) were read, which with `left` more, still to be read, were all that there were at
  // `at_us`; `lost`: some before them were lost, as many as the time says. How many were lost before them.
  uint32_t batch(int64_t at_us, int count, int left, bool lost);
  // Of sample `i` of the latest batch.
  uint32_t number(int i) const { return first_ + static_cast<uint32_t>(i); }
  uint32_t t_us(int i) const;

 private:
  double period_us_ = 0.0;
  double before_us_ = 0.0;  // the time of the sample before the latest batch
  double last_us_ = 0.0;    // of the latest sample
  bool has_fifo_ = false, begun_ = false;
  uint32_t first_ = 0, next_ = 0;
};

}  // namespace gyrovae::imu
