// What device.cpp needs of the machine that it runs on: board_host.cpp is a PC, board_mps2.cpp an emulated Cortex-M4F.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace board {

void start();
// A byte from the host, or -1 where there is none yet. Ends the program when the host is gone for good.
int read();
void write(const char *line, size_t bytes);
uint32_t now_us();
// A small record that outlives the program: a file "site.bin". Whether it worked.
bool load(void *record, size_t bytes);
bool store(const void *record, size_t bytes);

}  // namespace board
