#include "imu.h"

namespace gyrovae::imu {

namespace {

constexpr int64_t kMeasuring = 2'000'000, kSilence = 1'000'000;  // us
constexpr double kMostOff = 0.1;                                 // of the nominal rate
constexpr double kMostApart = 1.25;                              // ratio of wanted and nearest rate
constexpr uint8_t kFirstAddress = 0x08, kLastAddress = 0x77;     // I2C keeps the others for itself

}  // namespace

const char *find(const Bus &bus, const Driver *const *drivers, int count, Device &device) {
  device = {};
  for (int i = 0; i < count; i++) {
    for (const uint8_t address : drivers[i]->addresses) {
      uint8_t identity = 0;
      if (bus.read(address, drivers[i]->identity_at, &identity, 1)) continue;
      if (drivers[i]->known(identity)) {
        device = {drivers[i], address};
        return nullptr;
      }
      device.address = address;
    }
  }
  for (uint8_t address = kFirstAddress; !device.address && address <= kLastAddress; address++) {
    if (bus.answers(address)) device.address = address;
  }
  if (!device.address) {
    return "no sensor answers on I2C: look at its power, at SDA and SCL, and at the pins in menuconfig";
  }
  return "a device answers on I2C, but it is none of the sensors that this firmware was built for; its address:";
}

const char *open(const Bus &bus, const Device &device, const Settings &settings, app::Sensor &sensor) {
  uint8_t identity = 0;
  if (const char *problem = bus.read(device.address, device.driver->identity_at, &identity, 1)) return problem;
  if (!device.driver->known(identity)) return "another device than the sensor answers at its address on I2C";
  return device.driver->open(bus, device.address, settings, sensor);
}

const char *measure(const Bus &bus, const Device &device, app::Sensor &sensor) {
  Batch batch;
  int64_t now = bus.now_us(), heard = now, first = 0;
  const int64_t begin = now + kSettling;
  int32_t samples = 0;
  for (;;) {
    if (const char *problem = device.driver->read(bus, device.address, batch)) return problem;
    now = bus.now_us();
    // A FIFO that was begun anew says so with an empty batch.
    if (batch.lost && first != 0) return "samples were lost while the sensor's rate was measured";
    if (batch.count) {
      heard = now;
      if (first == 0) {
        // What was waiting is not counted, only what comes from here on.
        if (now >= begin && !batch.left) first = now;
      } else {
        samples += batch.count;
        if (!batch.left && now - first >= kMeasuring) break;
      }
    }
    if (now - heard > kSilence) return "the sensor gives no samples";
    if (!batch.left) bus.wait_ms(1);
  }
  const double rate_hz = 1e6 * samples / static_cast<double>(now - first), ratio = rate_hz / sensor.rate_hz;
  if (!(ratio > 1.0 - kMostOff && ratio < 1.0 + kMostOff)) return "the sensor's rate is not the one that was set";
  sensor.rate_hz = rate_hz;
  return nullptr;
}

const char *set(const Bus &bus, uint8_t address, uint8_t place, uint8_t value, uint8_t mask) {
  if (const char *problem = bus.write(address, place, value)) return problem;
  uint8_t found = 0;
  if (const char *problem = bus.read(address, place, &found, 1)) return problem;
  return ((found ^ value) & mask) ? "the sensor does not keep what is written into it" : nullptr;
}

const Rate *nearest(const Rate *rates, int count, double wanted_hz) {
  const Rate *best = nullptr;
  double least = kMostApart;
  for (int i = 0; i < count; i++) {
    const double hz = rates[i].hz, ratio = hz > wanted_hz ? hz / wanted_hz : wanted_hz / hz;
    if (ratio <= least) least = ratio, best = &rates[i];
  }
  return best;
}

}  // namespace gyrovae::imu
