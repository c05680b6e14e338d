// QST QMA7981: 14 bits, no FIFO. Registers by its datasheet (13-52-12, rev. D), chapter "Register map"; the clock's
// dividers, which that leaves out, by QST's own driver code.
#include "imu.h"

namespace gyrovae::imu {

namespace {

constexpr uint8_t kIdentity = 0x00, kData = 0x01, kRange = 0x0f, kBandwidth = 0x10, kPower = 0x11;
constexpr uint8_t kInterruptEnable1 = 0x17, kInterruptMap1 = 0x1a, kReset = 0x36, kEngine = 0x5f;
constexpr uint8_t kNewData = 0x01;  // bit 0 of an axis's low byte
constexpr uint8_t kActive = 0x80, kBandwidthBits = 0xe0, kDataReady = 0x10;
constexpr double kCountsAG = 8192.0;  // 14 bits with a sign: +-8192 counts are the range

// Master clock (register 0x11, bits 3:0) over divider (0x10, bits 4:0): code = clock << 4 | divider.
constexpr Rate kRates[] = {
    {200e3 / 7695, 0x20}, {333e3 / 7695, 0x10}, {200e3 / 3855, 0x21}, {500e3 / 7695, 0x00},
    {333e3 / 3855, 0x11}, {200e3 / 1935, 0x22}, {500e3 / 3855, 0x01}, {333e3 / 1935, 0x12},
    {200e3 / 975, 0x23},  {500e3 / 1935, 0x02}, {333e3 / 975, 0x13},  {500e3 / 975, 0x03},
};

bool known(uint8_t identity) {
  return identity >= 0xe0 && identity <= 0xe7;
}

const char *open(const Bus &bus, uint8_t address, const Settings &settings, app::Sensor &sensor) {
  const uint8_t range = settings.range_g == 2   ? 0x01
                        : settings.range_g == 4 ? 0x02
                        : settings.range_g == 8 ? 0x04
                                                : 0x08;
  const Rate *const rate = nearest(kRates, static_cast<int>(sizeof kRates / sizeof *kRates), settings.rate_hz);
  if (!rate) return "the QMA7981 has no such rate: take 26 to 513 Hz";
  if (const char *problem = bus.write(address, kReset, 0xb6)) return problem;
  bus.wait_ms(10);
  if (const char *problem = bus.write(address, kReset, 0x00)) return problem;
  bus.wait_ms(10);
  const uint8_t bandwidth = kBandwidthBits | (rate->code & 0x0f), power = kActive | rate->code >> 4;
  if (const char *problem = set(bus, address, kPower, power, 0x8f)) return problem;
  if (const char *problem = set(bus, address, kRange, range, 0x0f)) return problem;
  if (const char *problem = set(bus, address, kBandwidth, bandwidth, 0x1f)) return problem;
  if (settings.ready_line) {  // INT1 is high while there is a new sample: push-pull, active high by default
    if (const char *problem = set(bus, address, kInterruptEnable1, kDataReady, kDataReady)) return problem;
    if (const char *problem = set(bus, address, kInterruptMap1, kDataReady, kDataReady)) return problem;
  }
  // Restarts the converter, as QST's code does after every change.
  if (const char *problem = bus.write(address, kEngine, 0x80)) return problem;
  if (const char *problem = bus.write(address, kEngine, 0x00)) return problem;
  bus.wait_ms(20);
  sensor = {"QMA7981", "m/s^2", rate->hz, settings.range_g * kGravity / kCountsAG, -8192, 8191};
  return nullptr;
}

const char *read(const Bus &bus, uint8_t address, Batch &batch) {
  batch.count = batch.left = 0;
  batch.lost = false;
  uint8_t bytes[2 * kAxes];  // reading an axis's low byte holds its high byte: one sample, not two halves
  if (const char *problem = bus.read(address, kData, bytes, sizeof bytes)) return problem;
  batch.at_us = bus.now_us();
  if (!(bytes[0] & kNewData)) return nullptr;
  for (int axis = 0; axis < kAxes; axis++) batch.counts[0][axis] = little_endian(bytes + 2 * axis) >> 2;
  batch.count = 1;
  return nullptr;
}

}  // namespace

const Driver kQma7981 = {"QMA7981", {0x12, 0x13}, kIdentity, known, false, open, read};

}  // namespace gyrovae::imu
