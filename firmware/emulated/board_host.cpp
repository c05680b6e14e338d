#include "board.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace board {

void start() {}

int read() {
  pollfd waiting = {STDIN_FILENO, POLLIN, 0};
  if (poll(&waiting, 1, 0) <= 0) return -1;
  unsigned char byte;
  if (::read(STDIN_FILENO, &byte, 1) != 1) std::exit(0);
  return byte;
}

void write(const char *line, size_t bytes) {
  while (bytes) {
    const ssize_t done = ::write(STDOUT_FILENO, line, bytes);
    if (done <= 0) std::exit(0);
    line += done;
    bytes -= static_cast<size_t>(done);
  }
}

uint32_t now_us() {
  using namespace std::chrono;
  return static_cast<uint32_t>(duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count());
}

bool load(void *record, size_t bytes) {
  std::FILE *const file = std::fopen("site.bin", "rb");
  if (!file) return false;
  const bool whole = std::fread(record, 1, bytes, file) == bytes;
  std::fclose(file);
  return whole;
}

bool store(const void *record, size_t bytes) {
  std::FILE *const file = std::fopen("site.bin", "wb");
  if (!file) return false;
  const bool whole = std::fwrite(record, 1, bytes, file) == bytes;
  return std::fclose(file) == 0 && whole;
}

}  // namespace board
