// Bytes in from "windows.bin", bytes out to "results.bin", on a PC (channel_host.cpp) or on an emulated
// microcontroller (channel_semihosting.cpp). Any failure ends the program with a status other than 0.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace channel {

void read(void *to, size_t bytes);
void write(const void *from, size_t bytes);
// Ends the program.
[[noreturn]] void finish(int status);

// Instructions executed so far, where they can be counted (an emulator that is told to, by -icount shift=0), and by
// how many a figure may be off; 0 on a PC.
uint64_t instructions();

// Bytes of the stack that were ever used, where that is known.
uint32_t stack_used();

}  // namespace channel
