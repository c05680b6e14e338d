// ST LSM6DSO: accelerometer by its FIFO of tagged samples. Registers by its datasheet (DS12140), chapters 9.5 and 9.6
// (FIFO_CTRL3, 4), 9.20 (CTRL9_XL), 9.37 (FIFO_STATUS1, 2) and 9.79 to 9.82 (FIFO_DATA_OUT).
#include "lsm6.h"

namespace gyrovae::imu {

namespace {

constexpr uint8_t kFifoControl3 = 0x09, kFifoControl4 = 0x0a, kControl9 = 0x18, kFifoData = 0x78;
constexpr uint8_t kNoI3c = 0xe2;  // the default with I3C_disable
constexpr uint8_t kContinuous = 0x06, kBypass = 0x00;
constexpr uint8_t kOverrun = 0x40;
constexpr int kWord = 1 + 2 * kAxes;      // a tag before each sample
constexpr uint8_t kAccelerometer = 0x02;  // TAG_SENSOR, bits 7:3

bool known(uint8_t identity) {
  return identity == 0x6c;
}

const char *restart(const Bus &bus, uint8_t address) {
  if (const char *problem = bus.write(address, kFifoControl4, kBypass)) return problem;  // empties it
  return set(bus, address, kFifoControl4, kContinuous, 0xff);
}

const char *open(const Bus &bus, uint8_t address, const Settings &settings, app::Sensor &sensor) {
  uint8_t code = 0;
  if (const char *problem = lsm6::start(bus, address, "LSM6DSO", settings, sensor, code)) return problem;
  if (const char *problem = set(bus, address, kControl9, kNoI3c, 0x02)) return problem;
  if (const char *problem = set(bus, address, kFifoControl3, code, 0xff)) return problem;  // BDR_XL, no gyroscope
  return restart(bus, address);
}

const char *read(const Bus &bus, uint8_t address, Batch &batch) {
  batch.count = batch.left = 0;
  batch.lost = false;
  uint8_t status[2];
  if (const char *problem = bus.read(address, lsm6::kFifoStatus, status, sizeof status)) return problem;
  batch.at_us = bus.now_us();
  if (status[1] & kOverrun) {
    batch.lost = true;
    return restart(bus, address);
  }
  const int words = status[0] | (status[1] & 0x03) << 8, count = words < kMostBatch ? words : kMostBatch;
  if (count == 0) return nullptr;
  // The address goes from the word's last byte back to its tag (AN5192, chapter 9.8).
  uint8_t bytes[kMostBatch * kWord];
  if (const char *problem = bus.read(address, kFifoData, bytes, static_cast<size_t>(count) * kWord)) {
    batch.lost = true;  // as far as it was read, it is gone
    return problem;
  }
  for (int i = 0; i < count; i++) {
    const uint8_t *const word = bytes + i * kWord;
    if (word[0] >> 3 != kAccelerometer) {
      batch.count = 0;
      batch.lost = true;
      return restart(bus, address);
    }
    for (int axis = 0; axis < kAxes; axis++) batch.counts[i][axis] = little_endian(word + 1 + 2 * axis);
  }
  batch.count = count;
  batch.left = words - count;
  return nullptr;
}

}  // namespace

const Driver kLsm6dso = {"LSM6DSO", {0x6a, 0x6b}, lsm6::kIdentity, known, true, open, read};

}  // namespace gyrovae::imu
