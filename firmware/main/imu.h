// An accelerometer on an I2C bus in, counts out. Nothing here knows ESP-IDF: tests run the drivers on a bus of theirs.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gyrovae/app.h"

namespace gyrovae::imu {

constexpr double kGravity = 9.80665;  // m/s^2
constexpr int kMostBatch = 32;
constexpr int64_t kSettling = 100'000;  // us; what a sensor gives so soon after it was set up is no motion yet

// Registers of the devices on a bus. Each returns null, or what went wrong in words.
struct Bus {
  const char *(*read)(uint8_t address, uint8_t first, uint8_t *bytes, size_t count);
  const char *(*write)(uint8_t address, uint8_t place, uint8_t value);
  bool (*answers)(uint8_t address);  // whether anything is there
  void (*wait_ms)(uint32_t time);
  int64_t (*now_us)();
};

struct Settings {
  double rate_hz;   // wanted; the sensor's nearest is taken
  int range_g;      // 2, 4, 8 or 16
  bool ready_line;  // whether a line from the sensor's INT1 says that a sample is there
};

// Samples that were read at once, oldest first.
struct Batch {
  int16_t counts[kMostBatch][kAxes];
  int count;
  int left;       // so many more wait to be read
  int64_t at_us;  // when these and what is left were all that there was
  bool lost;      // some before these were lost; or, where reading has failed, perhaps these
};

// A type of sensor: constant, without state.
struct Driver {
  const char *name;
  uint8_t addresses[2];
  uint8_t identity_at;              // the register that says what it is
  bool (*known)(uint8_t identity);  // whether it is one of this type
  bool has_fifo;
  // Resets it and sets rate and range, which it reads back; what it is set to, with the nominal rate, to `sensor`.
  const char *(*open)(const Bus &bus, uint8_t address, const Settings &settings, app::Sensor &sensor);
  // What it has measured since the last time; none is no error.
  const char *(*read)(const Bus &bus, uint8_t address, Batch &batch);
};

extern const Driver kQma7981, kLsm6ds3, kLsm6dso;

struct Device {
  const Driver *driver;
  uint8_t address;
};

// The first of some types that answers. Null, or what is wrong; then the driver is null, and the address that of
// something else that answers, or 0.
const char *find(const Bus &bus, const Driver *const *drivers, int count, Device &device);

// Sets up a device that was found, if it is still the same. Null, or what is wrong.
const char *open(const Bus &bus, const Device &device, const Settings &settings, app::Sensor &sensor);

// How fast an open sensor really is by our clock, to sensor.rate_hz: its own clock is off by some per cent, and by more
// something is wrong. Takes two seconds.
const char *measure(const Bus &bus, const Device &device, app::Sensor &sensor);

// For the drivers.

// Writes a register and reads it back; the bits of `mask` have to be what was written.
const char *set(const Bus &bus, uint8_t address, uint8_t place, uint8_t value, uint8_t mask);

struct Rate {
  double hz;
  uint8_t code;
};

// The rate nearest to a wanted one by ratio; null if that is more than a quarter away.
const Rate *nearest(const Rate *rates, int count, double wanted_hz);

inline int16_t little_endian(const uint8_t *bytes) {
  return static_cast<int16_t>(static_cast<uint16_t>(bytes[0] | bytes[1] << 8));
}

}  // namespace gyrovae::imu
