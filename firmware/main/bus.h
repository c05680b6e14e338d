// The I2C bus of the sensor, on ESP-IDF's driver.
#pragma once

#include "imu.h"

namespace gyrovae::bus {

// Sets the bus up, once. Null, or what is wrong.
const char *open();
// After an error: lets a sensor go that holds the line.
void recover();

extern const imu::Bus kBus;

}  // namespace gyrovae::bus
