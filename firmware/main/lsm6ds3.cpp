// ST LSM6DS3, LSM6DS3TR-C and LSM6DSL: accelerometer by its FIFO of words. Registers by the LSM6DS3TR-C's datasheet
// (DocID030071), chapters 10.5 to 10.9 (FIFO_CTRL) and 10.39 to 10.44 (FIFO_STATUS, FIFO_DATA_OUT).
#include "lsm6.h"

namespace gyrovae::imu {

namespace {

constexpr uint8_t kFifoControl3 = 0x08, kFifoControl5 = 0x0a, kFifoData = 0x3e;
constexpr uint8_t kAccelerometerOnly = 0x01;  // DEC_FIFO_XL: every sample; nothing else is stored
constexpr uint8_t kContinuous = 0x06, kBypass = 0x00;
constexpr uint8_t kOverrun = 0x40, kEmpty = 0x10;

bool known(uint8_t identity) {
  return identity == 0x69 || identity == 0x6a;  // LSM6DS3; LSM6DS3TR-C and LSM6DSL
}

const char *restart(const Bus &bus, uint8_t address, uint8_t control) {
  if (const char *problem = bus.write(address, kFifoControl5, kBypass)) return problem;  // empties it
  return set(bus, address, kFifoControl5, control, 0x7f);
}

const char *open(const Bus &bus, uint8_t address, const Settings &settings, app::Sensor &sensor) {
  uint8_t code = 0;
  if (const char *problem = lsm6::start(bus, address, "LSM6DS3", settings, sensor, code)) return problem;
  if (const char *problem = set(bus, address, kFifoControl3, kAccelerometerOnly, 0x3f)) return problem;
  return restart(bus, address, static_cast<uint8_t>(code << 3 | kContinuous));
}

const char *read(const Bus &bus, uint8_t address, Batch &batch) {
  batch.count = batch.left = 0;
  batch.lost = false;
  uint8_t status[4];
  if (const char *problem = bus.read(address, lsm6::kFifoStatus, status, sizeof status)) return problem;
  batch.at_us = bus.now_us();
  const int words = status[0] | (status[1] & 0x0f) << 8, pattern = status[2] | (status[3] & 0x03) << 8;
  if ((status[1] & kOverrun) || pattern % kAxes) {
    // Full, or not at the beginning of a sample: begin anew.
    uint8_t control = 0;
    if (const char *problem = bus.read(address, kFifoControl5, &control, 1)) return problem;
    batch.lost = true;
    return restart(bus, address, control);
  }
  if (status[1] & kEmpty) return nullptr;
  const int samples = words / kAxes, count = samples < kMostBatch ? samples : kMostBatch;
  if (count == 0) return nullptr;
  // The address goes from the word's high byte back to its low byte (AN5130, chapter 9.6).
  uint8_t bytes[kMostBatch * 2 * kAxes];
  const size_t size = static_cast<size_t>(count) * 2 * kAxes;
  if (const char *problem = bus.read(address, kFifoData, bytes, size)) {
    batch.lost = true;  // as far as it was read, it is gone
    return problem;
  }
  for (int i = 0; i < count * kAxes; i++) batch.counts[i / kAxes][i % kAxes] = little_endian(bytes + 2 * i);
  batch.count = count;
  batch.left = samples - count;
  return nullptr;
}

}  // namespace

const Driver kLsm6ds3 = {"LSM6DS3", {0x6a, 0x6b}, lsm6::kIdentity, known, true, open, read};

}  // namespace gyrovae::imu
