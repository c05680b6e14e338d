// The channel on an emulated core: files of the host.
#include "channel.h"
#include "semihosting.h"

extern "C" {
extern uint32_t stack_low[], stack_top[];
[[noreturn]] void channel_fault();
}

namespace channel {

static uintptr_t opened(const char *name, semihosting::Mode mode) {
  const uintptr_t handle = semihosting::open(name, mode);
  if (handle == semihosting::kNone) finish(3);
  return handle;
}

void read(void *to, size_t bytes) {
  static const uintptr_t file = opened("windows.bin", semihosting::kReadBinary);
  if (!semihosting::transfer(semihosting::kRead, file, to, bytes)) finish(4);
}

void write(const void *from, size_t bytes) {
  static const uintptr_t file = opened("results.bin", semihosting::kWriteBinary);
  if (!semihosting::transfer(semihosting::kWrite, file, from, bytes)) finish(5);
}

void finish(int status) {
  semihosting::finish(status);
}

uint64_t instructions() {
#ifdef __riscv
  uint32_t count;
  asm volatile("csrr %0, minstret" : "=r"(count));
  return count;
#else
  // SysTick counts down 24 bits of a 25 MHz clock (the board mps2-an386); with -icount shift=0 an instruction takes
  // one nanosecond, so that a tick is 40 of them. Twice in a row within its 0.6 s is enough to see every turn.
  static uint32_t last = 0xffffff;
  static uint64_t ticks = 0;
  const uint32_t now = *reinterpret_cast<volatile uint32_t *>(0xe000e018u);
  ticks += (last - now) & 0xffffffu;
  last = now;
  return ticks * 40;
#endif
}

uint32_t stack_used() {
  const uint32_t *low = stack_low;
  while (*low == 0xa5a5a5a5u) low++;
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(stack_top) - reinterpret_cast<uintptr_t>(low));
}

}  // namespace channel

void channel_fault() {
  channel::finish(99);
}
