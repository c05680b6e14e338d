// Where a detector can come from: its own partition of the flash, or nn_model.h.
#pragma once

#include "gyrovae/detector.h"

namespace gyrovae::detectors {

// The detector in the partition `detector`; null, and what is wrong to `problem`. Maps it into memory, once.
const Detector *in_partition(const char **problem);
// The one that nn_model.h was compiled in with, or null where there was none.
const Detector *compiled();

}  // namespace gyrovae::detectors
