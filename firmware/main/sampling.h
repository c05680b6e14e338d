// The task that reads the sensor, whatever else goes on: samples and words to the reader out, through queues.
#pragma once

#include <stdint.h>

#include "gyrovae/app.h"
#include "gyrovae/wire.h"

namespace gyrovae::sampling {

struct Notice {
  wire::Level level;
  const char *text;
  int32_t number;  // negative: none
};

// Starts the task. Null, or what is wrong.
const char *start();
// The sensor, once it is open and its rate was measured; waits so long at most.
bool opened(app::Sensor &sensor, uint32_t wait_ms);
// Samples go into their queue from here on; before, they only count.
void go();
// The next sample, waiting so long at most.
bool next(wire::Sample &sample, uint32_t wait_ms);
// The next word, without waiting.
bool next(Notice &notice);

}  // namespace gyrovae::sampling
