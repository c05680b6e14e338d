// firmware/main/link.cpp as it is, on the driver of a UART whose ring of bytes empties as fast as the line sends.
// Samples are written, one every `every_us`, and a word behind each hundredth. Arguments are key=value; `mended`: the
// driver says how much of its ring is free, and not all of it whatever waits
// (github.com/espressif/esp-idf/issues/15859). What came of it goes to standard output.
#include "link.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string>

#include "driver/uart.h"
#include "driver/uart_vfs.h"
#include "esp_timer.h"
#include "freertos/task.h"

using namespace gyrovae;

namespace {

constexpr double kByteUs = 1e7 / CONFIG_ESP_CONSOLE_UART_BAUDRATE;

std::map<std::string, std::string> arguments;

double number(const char *key) {
  return std::atof(arguments[key].c_str());
}

struct Entry {
  size_t held;     // of the ring
  double sent_us;  // when its last byte goes out
};

double clock_us = 0.0;
size_t ring_bytes = 0, lines = 0;
std::deque<Entry> ring;

size_t free_bytes() {
  while (!ring.empty() && ring.front().sent_us <= clock_us) ring.pop_front();
  size_t held = 0;
  for (const Entry &entry : ring) held += entry.held;
  return ring_bytes - held;
}

}  // namespace

extern "C" {

esp_err_t uart_driver_install(uart_port_t, int, int tx_buffer_size, int, QueueHandle_t *, int) {
  ring_bytes = static_cast<size_t>(tx_buffer_size);
  return ESP_OK;
}
void uart_vfs_dev_use_driver(int) {}
esp_err_t uart_get_tx_buffer_free_size(uart_port_t, size_t *size) {
  *size = number("mended") ? free_bytes() : ring_bytes;
  return ESP_OK;
}
// Waits for room as long as it takes. An entry has a head of 8 bytes and fills up to 4; a line is one of 12 bytes that
// says how many follow, and one of those.
int uart_write_bytes(uart_port_t, const void *, size_t size) {
  const size_t held = 8 + 12 + 8 + (size + 3) / 4 * 4;
  while (free_bytes() < held) clock_us = ring.front().sent_us;
  const double begins = ring.empty() ? clock_us : std::max(clock_us, ring.back().sent_us);
  ring.push_back({held, begins + kByteUs * static_cast<double>(size)});
  lines++;
  return static_cast<int>(size);
}
int uart_read_bytes(uart_port_t, void *, uint32_t, TickType_t) {
  return 0;
}

int64_t esp_timer_get_time() {
  return static_cast<int64_t>(clock_us);
}
TickType_t xTaskGetTickCount() {
  return static_cast<TickType_t>(clock_us / 1000.0);
}
void vTaskDelay(const TickType_t ticks) {
  clock_us += 1000.0 * ticks;
}
}

int main(int count, char **words) {
  for (int i = 1; i < count; i++) {
    const std::string word = words[i];
    arguments[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  const char sample[] = "41040 205207113 -12 33 4096*C955\n",
             word[] = "#I calibration on site: 16 of 60 windows*43FB\n";
  if (const char *problem = link::open()) std::printf("problem %s\n", problem);
  double late = 0.0;
  int samples = 0, dropped = 0, dropped_words = 0;
  for (double due = 0.0; due < 1e6 * number("seconds"); due += number("every_us")) {
    clock_us = std::max(clock_us, due);
    link::write(sample, std::strlen(sample));
    dropped += link::take_dropped();
    late = std::max(late, clock_us - due);
    if (++samples % 100 == 0) link::write(word, std::strlen(word));
    dropped_words += link::take_dropped();
  }
  std::printf("samples %d\ndropped %d\ndropped_words %d\nlines %zu\nlate_ms %.1f\n", samples, dropped, dropped_words,
              lines, late / 1000.0);
}
