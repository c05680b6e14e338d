// What the LSM6DS3 and the LSM6DSO have in common: their control registers and the accelerometer's codes.
#pragma once

#include "imu.h"

namespace gyrovae::imu::lsm6 {

constexpr uint8_t kIdentity = 0x0f, kControl1 = 0x10, kControl3 = 0x12, kFifoStatus = 0x3a;

// Resets it, and sets range and rate; the rate's code, which the FIFO takes, too, to `code`.
const char *start(const Bus &bus, uint8_t address, const char *name, const Settings &settings, app::Sensor &sensor,
                  uint8_t &code);

}  // namespace gyrovae::imu::lsm6
