#include "bus.h"

#include "driver/i2c_master.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

namespace gyrovae::bus {

namespace {

constexpr int kTimeoutMs = 50;   // the longest read takes 21 at 100 kHz
constexpr int kProbeMs = 5;      // a byte takes 0.1, and 112 addresses are asked
constexpr int kMostDevices = 4;  // addresses that the sensors may have

struct Connection {
  uint8_t address;
  i2c_master_dev_handle_t handle;
};

i2c_master_bus_handle_t wires = nullptr;
Connection connections[kMostDevices];
int connected = 0;

// ESP-IDF wants a handle for each address; they are made when they are needed, and stay.
i2c_master_dev_handle_t device(uint8_t address) {
  for (int i = 0; i < connected; i++) {
    if (connections[i].address == address) return connections[i].handle;
  }
  if (connected == kMostDevices) return nullptr;
  i2c_device_config_t config = {};
  config.dev_addr_length = I2C_ADDR_BIT_LEN_7;
  config.device_address = address;
  config.scl_speed_hz = CONFIG_GYROVAE_I2C_HZ;
  i2c_master_dev_handle_t handle = nullptr;
  if (i2c_master_bus_add_device(wires, &config, &handle) != ESP_OK) return nullptr;
  connections[connected++] = {address, handle};
  return handle;
}

const char *words(esp_err_t error) {
  switch (error) {
    case ESP_OK:
      return nullptr;
    case ESP_ERR_TIMEOUT:
      return "I2C: time-out";
    default:
      return "I2C: the sensor does not answer";
  }
}

const char *read(uint8_t address, uint8_t first, uint8_t *bytes, size_t count) {
  i2c_master_dev_handle_t handle = device(address);
  if (!handle) return "I2C: there is no room for the device";
  return words(i2c_master_transmit_receive(handle, &first, 1, bytes, count, kTimeoutMs));
}

const char *write(uint8_t address, uint8_t place, uint8_t value) {
  i2c_master_dev_handle_t handle = device(address);
  if (!handle) return "I2C: there is no room for the device";
  const uint8_t bytes[] = {place, value};
  return words(i2c_master_transmit(handle, bytes, sizeof bytes, kTimeoutMs));
}

bool answers(uint8_t address) {
  return i2c_master_probe(wires, address, kProbeMs) == ESP_OK;
}

void wait_ms(uint32_t time) {
  const TickType_t ticks = pdMS_TO_TICKS(time);
  vTaskDelay(ticks > 0 ? ticks : 1);
}

}  // namespace

const imu::Bus kBus = {read, write, answers, wait_ms, esp_timer_get_time};

const char *open() {
  i2c_master_bus_config_t config = {};
  config.i2c_port = -1;  // whichever is free
  config.sda_io_num = static_cast<gpio_num_t>(CONFIG_GYROVAE_SDA_GPIO);
  config.scl_io_num = static_cast<gpio_num_t>(CONFIG_GYROVAE_SCL_GPIO);
  config.clk_source = I2C_CLK_SRC_DEFAULT;
  config.glitch_ignore_cnt = 7;
  config.flags.enable_internal_pullup = true;
  return i2c_new_master_bus(&config, &wires) == ESP_OK ? nullptr : "I2C cannot be set up with these pins";
}

void recover() {
  // An error here shows in the next transfer.
  if (wires) (void)i2c_master_bus_reset(wires);
}

}  // namespace gyrovae::bus
