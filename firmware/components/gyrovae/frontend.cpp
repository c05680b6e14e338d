// The Python twin is gyrovae_tf/signal/frontend.py.
#include "gyrovae/frontend.h"

#include "gyrovae/profile.h"

namespace gyrovae::frontend {

void detail::images(const int16_t *window, const Tables &tables, int16_t *signal, scalogram::Scratch &scalogram,
                    mtf::Scratch &mtf, int8_t *out) {
  int32_t mean[kAxes];
  profile::means(window, tables.window, mean);
  for (int axis = 0; axis < kAxes; axis++) {
    scalogram::log_power(window + axis, mean[axis], axis, tables, signal, scalogram, out);
    mtf::field(window + axis, mean[axis], axis, tables, mtf, out + kImageBytes);
  }
}

}  // namespace gyrovae::frontend
