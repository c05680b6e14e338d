#include "link.h"

#include <stdio.h>

#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "sdkconfig.h"

#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG
#include "driver/usb_serial_jtag.h"
#include "driver/usb_serial_jtag_vfs.h"
#elif CONFIG_ESP_CONSOLE_UART
#include "driver/uart.h"
#include "driver/uart_vfs.h"
#include "esp_timer.h"
#else
#error "the console has to be the USB-Serial-JTAG port or a UART: the protocol goes over it"
#endif

namespace gyrovae::link {

namespace {

constexpr int kSendBytes = 16384, kReceiveBytes = 512;
constexpr TickType_t kPatience = pdMS_TO_TICKS(50);

int dropped = 0;

#if CONFIG_ESP_CONSOLE_USB_SERIAL_JTAG

const char *open_port() {
  usb_serial_jtag_driver_config_t config = {};
  config.tx_buffer_size = kSendBytes;
  config.rx_buffer_size = kReceiveBytes;
  if (usb_serial_jtag_driver_install(&config) != ESP_OK) return "the USB port cannot be set up";
  usb_serial_jtag_vfs_use_driver();
  return nullptr;
}

// Takes all or nothing.
bool send(const char *line, size_t bytes, TickType_t patience) {
  if (!usb_serial_jtag_is_connected()) patience = 0;
  return usb_serial_jtag_write_bytes(line, bytes, patience) == static_cast<int>(bytes);
}

int receive(char *bytes, size_t most) {
  return usb_serial_jtag_read_bytes(bytes, static_cast<uint32_t>(most), 0);
}

#else

constexpr uart_port_t kPort = static_cast<uart_port_t>(CONFIG_ESP_CONSOLE_UART_NUM);
constexpr size_t kOverhead = 64;  // of an entry in the driver's ring
// Bytes of lines that may wait by our own account. With them the driver keeps up to 31 more a line, and the shortest
// line has 15: then three quarters of its ring are taken. The rest is for other text, which nobody counts.
constexpr size_t kMostWaiting = kSendBytes / 4;

int64_t idle_us = 0;  // when all that was written will have been sent

const char *open_port() {
  // Pins, speed and format are the console's already.
  if (uart_driver_install(kPort, kReceiveBytes, kSendBytes, 0, nullptr, 0) != ESP_OK) {
    return "the UART cannot be set up";
  }
  uart_vfs_dev_use_driver(kPort);
  return nullptr;
}

// Ten bits a byte.
int64_t sending_us(size_t bytes) {
  return (static_cast<int64_t>(bytes) * 10'000'000 + CONFIG_ESP_CONSOLE_UART_BAUDRATE - 1) /
         CONFIG_ESP_CONSOLE_UART_BAUDRATE;
}

// Before github.com/espressif/esp-idf/issues/15859 was mended, the driver says that all of its buffer is free, whatever
// waits there: so what waits is reckoned by the time, too.
bool has_room(size_t bytes, int64_t now) {
  size_t room = 0;
  if (uart_get_tx_buffer_free_size(kPort, &room) != ESP_OK || room < bytes + kOverhead) return false;
  return idle_us - now <= sending_us(kMostWaiting - bytes);
}

// uart_write_bytes would wait for room: looked at before.
bool send(const char *line, size_t bytes, TickType_t patience) {
  const TickType_t start = xTaskGetTickCount();
  for (;;) {
    const int64_t now = esp_timer_get_time();
    if (has_room(bytes, now)) {
      idle_us = (idle_us > now ? idle_us : now) + sending_us(bytes);
      return uart_write_bytes(kPort, line, bytes) == static_cast<int>(bytes);
    }
    if (xTaskGetTickCount() - start >= patience) return false;
    vTaskDelay(1);
  }
}

int receive(char *bytes, size_t most) {
  return uart_read_bytes(kPort, bytes, static_cast<uint32_t>(most), 0);
}

#endif

}  // namespace

const char *open() {
  // ESP-IDF's own words go out by whole lines. The model's kernels, when they fail, print to standard error, which is
  // not buffered before ESP-IDF 6; they run in the task that writes here.
  static char text[256];
  const bool buffered = setvbuf(stdout, text, _IOLBF, sizeof text) == 0;
  if (const char *const problem = open_port()) return problem;
  return buffered ? nullptr : "standard output cannot be buffered: its words may stand amid a line of samples";
}

void write(const char *line, size_t bytes) {
  const bool sample = line[0] >= '0' && line[0] <= '9';  // there will be others
  if (!send(line, bytes, sample ? 0 : kPatience)) dropped++;
}

size_t read(char *bytes, size_t most) {
  const int count = receive(bytes, most);
  return count > 0 ? static_cast<size_t>(count) : 0;
}

int take_dropped() {
  const int count = dropped;
  dropped = 0;
  return count;
}

}  // namespace gyrovae::link
