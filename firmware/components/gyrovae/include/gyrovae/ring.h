// Samples in, windows of N every hop out: twin of `cut` in gyrovae_tf/learn/dataset.py.
#pragma once

#include <stdint.h>

#include "gyrovae/tables.h"

namespace gyrovae {

// The latest samples, for windows of up to `most`. Not for two tasks at once: guard it, or let one task own it.
template <int most>
class Ring {
 public:
  // Windows of `window` samples (1 to `most`), `hop` (at least 1) from one to the next. Forgets what came before;
  // false, and nothing changes, when a number is out of range.
  bool start(int window, int hop) {
    if (window < 1 || window > most || hop < 1) return false;
    window_ = window;
    hop_ = hop;
    gap();
    return true;
  }

  // Samples are missing here: no window spans this place. The next one begins with the next sample.
  void gap() {
    next_ = 0;
    missing_ = window_;
  }

  // One sample [3] in; whether a window ends with it, which `copy` gives until the next sample comes.
  bool push(const int16_t *sample) {
    for (int axis = 0; axis < kAxes; axis++) samples_[next_][axis] = sample[axis];
    next_ = next_ + 1 == window_ ? 0 : next_ + 1;
    if (--missing_) return false;
    missing_ = hop_;
    return true;
  }

  // The latest window, oldest sample first, to out[window][3].
  void copy(int16_t *out) const {
    for (int i = 0, from = next_; i < window_; i++, from = from + 1 == window_ ? 0 : from + 1) {
      for (int axis = 0; axis < kAxes; axis++) *out++ = samples_[from][axis];
    }
  }

 private:
  int16_t samples_[most][kAxes] = {};
  int32_t window_ = most;
  int32_t hop_ = most;
  int32_t next_ = 0;
  int32_t missing_ = most;
};

}  // namespace gyrovae
