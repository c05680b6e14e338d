// What outlives a boot: the threshold of the site, in NVS.
#pragma once

#include <stdint.h>

#include "gyrovae/site.h"

namespace gyrovae::storage {

// Once, before the others. Null, or what is wrong.
const char *open();
// What was kept for a detector; as it stands where nothing was, or nothing that is usable.
site::Site kept(uint32_t detector_id);
// Keeps it, or forgets what was kept where there is nothing to keep; whether it worked. Takes some milliseconds, and
// some tens when NVS has to erase a sector; code in flash, and so the sampling of a sensor without FIFO, waits for it.
bool keep(uint32_t detector_id, const site::Site &site);

}  // namespace gyrovae::storage
