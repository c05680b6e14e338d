#include <cstdio>
#include <cstdlib>

#include "channel.h"

namespace channel {

static std::FILE *opened(const char *name, const char *mode) {
  std::FILE *const file = std::fopen(name, mode);
  if (!file) {
    std::perror(name);
    std::exit(3);
  }
  return file;
}

void read(void *to, size_t bytes) {
  static std::FILE *const file = opened("windows.bin", "rb");
  if (std::fread(to, 1, bytes, file) != bytes) finish(4);
}

void write(const void *from, size_t bytes) {
  static std::FILE *const file = opened("results.bin", "wb");
  if (std::fwrite(from, 1, bytes, file) != bytes) finish(5);
}

void finish(int status) {
  std::exit(status);
}

uint64_t instructions() {
  return 0;
}

uint32_t stack_used() {
  return 0;
}

}  // namespace channel
