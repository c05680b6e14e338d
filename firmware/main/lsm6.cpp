// Registers by the datasheets of the LSM6DS3TR-C (DocID030071), chapters 10.13 and 10.15, and of the LSM6DSO (DS12140),
// chapters 9.12 and 9.14: CTRL1_XL and CTRL3_C are the same in both.
#include "lsm6.h"

namespace gyrovae::imu::lsm6 {

namespace {

constexpr uint8_t kReset = 0x01, kIncrement = 0x04, kWhole = 0x40;  // SW_RESET, IF_INC, BDU
constexpr int kResetTries = 10;
constexpr Rate kRates[] = {{12.5, 1}, {26, 2}, {52, 3}, {104, 4}, {208, 5}, {416, 6}, {833, 7}};

}  // namespace

const char *start(const Bus &bus, uint8_t address, const char *name, const Settings &settings, app::Sensor &sensor,
                  uint8_t &code) {
  // FS_XL and the typical sensitivity in milli-g a count (chapter "Mechanical characteristics", LA_So).
  const int range = settings.range_g;
  const uint8_t scale = range == 2 ? 0 : range == 4 ? 2 : range == 8 ? 3 : 1;
  const double milli_g = range == 2 ? 0.061 : range == 4 ? 0.122 : range == 8 ? 0.244 : 0.488;
  const Rate *const rate = nearest(kRates, static_cast<int>(sizeof kRates / sizeof *kRates), settings.rate_hz);
  if (!rate) return "the LSM6 has no such rate: take 12.5, 26, 52, 104, 208, 416 or 833 Hz";
  if (const char *problem = bus.write(address, kControl3, kReset)) return problem;
  uint8_t control = kReset;
  for (int i = 0; i < kResetTries && (control & kReset); i++) {
    bus.wait_ms(5);
    if (const char *problem = bus.read(address, kControl3, &control, 1)) return problem;
  }
  if (control & kReset) return "the sensor does not come out of its reset";
  if (const char *problem = set(bus, address, kControl3, kIncrement | kWhole, 0xff)) return problem;
  const uint8_t control1 = static_cast<uint8_t>(rate->code << 4 | scale << 2);
  if (const char *problem = set(bus, address, kControl1, control1, 0xff)) return problem;
  code = rate->code;
  sensor = {name, "m/s^2", rate->hz, milli_g * 1e-3 * kGravity, -32768, 32767};
  return nullptr;
}

}  // namespace gyrovae::imu::lsm6
