// The serial port of the protocol: the console's, which is the chip's USB or a UART (sdkconfig).
#pragma once

#include <stddef.h>

namespace gyrovae::link {

// Puts the port's driver under the console, too, so that other text waits its turn. Null, or what is wrong.
const char *open();
// A whole line into the port's buffer: all of it, or none where there is no room (after a short wait unless it is a
// sample). One task calls it.
void write(const char *line, size_t bytes);
// What the host sent, without waiting: how many bytes.
size_t read(char *bytes, size_t most);
// Lines that `write` dropped since the last call.
int take_dropped();

}  // namespace gyrovae::link
