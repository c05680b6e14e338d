// All memory of the component in one place, for windows of up to `most` samples: a static object, no heap.
#pragma once

#include "gyrovae/frontend.h"
#include "gyrovae/ring.h"
#include "gyrovae/score.h"

namespace gyrovae {

// Beside it there are the model's arena, with the images (`images` writes them into the model's input), and the stack.
template <int most>
struct Memory {
  Ring<most> ring;
  alignas(4) int16_t window[most * kAxes];
  frontend::Scratch<most> frontend;
  profile::Profile profile;
  float expected[kAxes * kCells];  // the field's time sums as the model reconstructs them
  score::Score score;
};

static_assert(sizeof(Memory<256>) <= 16 * 1024, "the component has 16 KiB");

}  // namespace gyrovae
