// A detector in, its model ready to run on TensorFlow Lite Micro out.
#pragma once

#include <stddef.h>

#include "gyrovae/app.h"
#include "gyrovae/detector.h"

namespace gyrovae::tflm {

// Makes `model` of the detector's bytes, which have to stay where they are. Returns null, or what is wrong in words;
// then `model` is of no use. There is room for one: what was opened before is closed.
// A model is opened only if its flatbuffer is whole, its operators are those of the contract (operators.h), and input
// and outputs have the contract's types, shapes and scale.
const char *open(const Detector &detector, app::Model &model);

// Of the model that is open; 0 when none is.
size_t arena_used_bytes();

}  // namespace gyrovae::tflm
