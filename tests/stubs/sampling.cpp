// firmware/main/sampling.cpp as it is, on the bus of chip.h and a pretended FreeRTOS, in which time passes only while
// the task waits; the app takes what there is meanwhile. What it gets goes to standard output, a line each.
#include "sampling.h"

#include <vector>

#include "bus.h"
#include "chip.h"
#include "driver/gpio.h"
#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "freertos/queue.h"
#include "freertos/task.h"

struct QueueDefinition {
  size_t most, bytes;
  std::deque<std::vector<uint8_t>> items;
};

namespace {

constexpr double kHumUs = 20000.0;
bool pulled = false;  // the data-ready GPIO, by a resistor

// The rest of the program, while the task waits.
void rest() {
  if (clock_us > 1e6 * number("hold_after", 1e9)) {
    arguments.erase("hold_after");
    pass(1000.0 * number("hold_ms", 0));
  }
  if (clock_us > 1e6 * number("identity_after", 1e9)) {
    registers[chip == "QMA7981" ? 0x00 : 0x0f] = static_cast<uint8_t>(number("identity_then", 0));
  }
  app::Sensor sensor;
  if (sampling::opened(sensor, 0)) {
    std::printf("sensor %s %.3f\n", sensor.name, sensor.rate_hz);
    sampling::go();
  }
  wire::Sample sample;
  while (sampling::next(sample, 0)) {
    std::printf("taken %u %d %d %d\n", sample.number, sample.counts[0], sample.counts[1], sample.counts[2]);
  }
  sampling::Notice notice;
  while (sampling::next(notice)) {
    std::printf("notice %c %d %s\n", static_cast<char>(notice.level), notice.number, notice.text);
  }
  if (clock_us < 1e6 * number("seconds", 0)) return;
  std::printf("transfers %d\n", transfers);
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace

namespace gyrovae::bus {

const imu::Bus kBus = kFake;

const char *open() {
  return nullptr;
}

void recover() {}

}  // namespace gyrovae::bus

extern "C" {

int64_t esp_timer_get_time() {
  return now_us();
}
esp_err_t esp_task_wdt_add(TaskHandle_t) {
  return ESP_OK;
}
esp_err_t esp_task_wdt_reset() {
  return ESP_OK;
}
esp_err_t gpio_config(const gpio_config_t *config) {
  pulled = config->pull_down_en == GPIO_PULLDOWN_ENABLE;
  return ESP_OK;
}
esp_err_t gpio_install_isr_service(int) {
  return ESP_OK;
}
esp_err_t gpio_isr_handler_add(gpio_num_t, gpio_isr_t, void *) {
  return ESP_OK;
}
void stub_yield(BaseType_t) {}

QueueHandle_t xQueueGenericCreate(const UBaseType_t most, const UBaseType_t bytes, const uint8_t) {
  return new QueueDefinition{most, bytes, {}};
}
BaseType_t xQueueGenericSend(QueueHandle_t queue, const void *const item, TickType_t, const BaseType_t) {
  if (queue->items.size() == queue->most) return pdFALSE;
  const uint8_t *const bytes = static_cast<const uint8_t *>(item);
  queue->items.emplace_back(bytes, bytes + queue->bytes);
  return pdTRUE;
}
BaseType_t xQueueReceive(QueueHandle_t queue, void *const item, TickType_t) {
  if (queue->items.empty()) return pdFALSE;
  std::memcpy(item, queue->items.front().data(), queue->bytes);
  queue->items.pop_front();
  return pdTRUE;
}

TaskHandle_t xTaskCreateStaticPinnedToCore(TaskFunction_t function, const char *const, const uint32_t, void *const,
                                           UBaseType_t, StackType_t *const, StaticTask_t *const, const BaseType_t) {
  function(nullptr);
  return nullptr;
}
TaskHandle_t xTaskGetCurrentTaskHandle() {
  return nullptr;
}
void vTaskDelay(const TickType_t ticks) {
  pass(1000.0 * ticks);
  rest();
}
// The data-ready line, while it is connected: not between two times, if they are given. Then the GPIO floats, and mains
// hum makes edges, unless it is pulled.
uint32_t ulTaskGenericNotifyTake(UBaseType_t, BaseType_t, TickType_t ticks) {
  const bool line = clock_us < 1e6 * number("edges_until", 1e9) || clock_us > 1e6 * number("edges_from", 1e9);
  const double end = clock_us + 1000.0 * ticks, hum = kHumUs * (1.0 + std::floor(clock_us / kHumUs));
  if (!line && !pulled && hum < end) {
    pass(hum - clock_us);
    rest();
    return 1;
  }
  if (line && !fresh && next_us < end) {
    pass(next_us - clock_us + 1.0);
  } else if (!line || !fresh) {
    pass(end - clock_us);
  }
  const bool edge = line && fresh;
  rest();
  return edge;
}
void vTaskGenericNotifyGiveFromISR(TaskHandle_t, UBaseType_t, BaseType_t *) {}
}

int main(int count, char **words) {
  power(count, words);
  if (const char *problem = sampling::start()) std::printf("problem %s\n", problem);
}
