// QEMU's board mps2-an386: a Cortex-M4F with the peripherals of Arm's CMSDK (Arm DDI 0479).
#include "board.h"
#include "semihosting.h"

namespace board {

namespace {

volatile uint32_t &memory(uint32_t address) {
  return *reinterpret_cast<volatile uint32_t *>(address);
}

constexpr uint32_t kTimer = 0x40000000, kUart = 0x40004000;
constexpr uint32_t kControl = 0x0, kValue = 0x4, kReload = 0x8;                  // of the timer
constexpr uint32_t kData = 0x0, kState = 0x4, kUartControl = 0x8, kDivider = 0x10;  // of the UART
constexpr uint32_t kTransmitFull = 1, kReceiveFull = 2;
constexpr uint32_t kTicksAMicrosecond = 25;

}  // namespace

void start() {
  memory(kTimer + kReload) = 0xffffffffu;
  memory(kTimer + kValue) = 0xffffffffu;
  memory(kTimer + kControl) = 1;
  memory(kUart + kDivider) = 16;  // the least; the host does not care
  memory(kUart + kUartControl) = 3;
}

int read() {
  return memory(kUart + kState) & kReceiveFull ? static_cast<int>(memory(kUart + kData) & 0xff) : -1;
}

void write(const char *line, size_t bytes) {
  for (; bytes--; line++) {
    while (memory(kUart + kState) & kTransmitFull) {
    }
    memory(kUart + kData) = static_cast<uint8_t>(*line);
  }
}

uint32_t now_us() {
  // It counts down 32 bits, round in 172 s: whoever asks more often than that sees every turn.
  static uint32_t last = 0xffffffffu, rest = 0, microseconds = 0;
  const uint32_t value = memory(kTimer + kValue);
  const uint32_t ticks = last - value + rest;
  last = value;
  microseconds += ticks / kTicksAMicrosecond;
  rest = ticks % kTicksAMicrosecond;
  return microseconds;
}

bool load(void *record, size_t bytes) {
  return semihosting::read_file("site.bin", record, bytes);
}

bool store(const void *record, size_t bytes) {
  return semihosting::write_file("site.bin", record, bytes);
}

}  // namespace board

extern "C" [[noreturn]] void channel_fault() {
  semihosting::finish(99);
}
