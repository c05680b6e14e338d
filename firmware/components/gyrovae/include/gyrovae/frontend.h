// A window of counts in, the model's input out: twin of gyrovae_tf/signal/frontend.py.
#pragma once

#include <stdint.h>

#include "gyrovae/mtf.h"
#include "gyrovae/scalogram.h"
#include "gyrovae/tables.h"

namespace gyrovae::frontend {

// Memory of the front end, for windows of up to `most` samples; nothing in it has to outlive a call.
template <int most>
struct Scratch {
  static_assert(most >= kWindowMin && most <= kWindowMax && most % kCells == 0, "no length of a window");
  int16_t signal[most + 2 * scalogram::kMargin];
  union {
    scalogram::Scratch scalogram;
    mtf::Scratch mtf;
  };
};

namespace detail {
void images(const int16_t *window, const Tables &tables, int16_t *signal, scalogram::Scratch &scalogram,
            mtf::Scratch &mtf, int8_t *out);
}

// int16 counts window[tables.window][3] in, int8 images out[2][32][32][3] out: scalogram [band][cell][axis], field
// [i][j][axis]; `out` may be the model's input tensor. The tables are such as `problem(tables, most)` has accepted.
template <int most>
void images(const int16_t *window, const Tables &tables, Scratch<most> &scratch, int8_t *out) {
  detail::images(window, tables, scratch.signal, scratch.scalogram, scratch.mtf, out);
}

}  // namespace gyrovae::frontend
