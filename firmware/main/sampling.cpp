#include "sampling.h"

#include <atomic>

#include "bus.h"
#include "clock.h"
#include "driver/gpio.h"
#include "esp_attr.h"
#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"
#include "freertos/queue.h"
#include "freertos/task.h"
#include "imu.h"
#include "sdkconfig.h"

namespace gyrovae::sampling {

namespace {

constexpr uint32_t kStackBytes = 4096;
constexpr UBaseType_t kPriority = configMAX_PRIORITIES - 3;  // before all but the system's own
constexpr BaseType_t kCore = 0;
constexpr UBaseType_t kSamples = 512;  // what waits while the model runs: more than a second
constexpr UBaseType_t kNotices = 8;
constexpr uint32_t kFifoMs = 10, kRetryMs = 500;
constexpr TickType_t kLineWait = pdMS_TO_TICKS(50);  // longer than a sample takes
constexpr int64_t kSecond = 1'000'000;
constexpr int kMostErrors = 5;         // in a row, then the sensor is opened anew
constexpr int64_t kSilence = kSecond;  // without a sample, the same
// Samples in a row without an edge on the data-ready line, then it is said, and the sensor is asked instead.
constexpr int kMostQuiet = 20;

const imu::Driver *const kDrivers[] = {
#if CONFIG_GYROVAE_SENSOR_QMA7981
    &imu::kQma7981,
#elif CONFIG_GYROVAE_SENSOR_LSM6DS3
    &imu::kLsm6ds3,
#elif CONFIG_GYROVAE_SENSOR_LSM6DSO
    &imu::kLsm6dso,
#else
    &imu::kQma7981,
    &imu::kLsm6ds3,
    &imu::kLsm6dso,
#endif
};
constexpr imu::Settings kSettings = {CONFIG_GYROVAE_RATE_HZ, CONFIG_GYROVAE_RANGE_G, CONFIG_GYROVAE_READY_GPIO >= 0};

QueueHandle_t samples = nullptr, notices = nullptr, sensors = nullptr;
StackType_t stack[kStackBytes];
StaticTask_t memory;
TaskHandle_t task = nullptr;
std::atomic<bool> going{false};

// Something that is said at most once a second, with how often it happened or with a number of its own.
class Seldom {
 public:
  void happened(wire::Level level, const char *text, uint32_t times = 1) {
    count_ += static_cast<int32_t>(times);
    level_ = level, text_ = text, fact_ = 0;
  }
  // `fact`: 0 where there is none.
  void found(wire::Level level, const char *text, int32_t fact) {
    happened(level, text);
    fact_ = fact;
  }
  void tell(int64_t now) {
    if (count_ == 0 || now - told_ < kSecond) return;
    const Notice notice = {level_, text_, fact_ ? fact_ : count_};
    if (xQueueSend(notices, &notice, 0) != pdTRUE) return;  // again later
    told_ = now, count_ = 0;
  }

 private:
  wire::Level level_ = wire::Level::kWarning;
  const char *text_ = "";
  int32_t count_ = 0, fact_ = 0;
  int64_t told_ = -kSecond;
};

Seldom errors, overflows, losses;

void tell() {
  const int64_t now = esp_timer_get_time();
  errors.tell(now);
  overflows.tell(now);
  losses.tell(now);
}

void IRAM_ATTR ready(void *) {
  BaseType_t woken = pdFALSE;
  vTaskNotifyGiveFromISR(task, &woken);
  portYIELD_FROM_ISR(woken);
}

const char *listen() {
  if (CONFIG_GYROVAE_READY_GPIO < 0) return nullptr;
  gpio_config_t config = {};
  config.pin_bit_mask = 1ULL << (CONFIG_GYROVAE_READY_GPIO & 63);
  config.mode = GPIO_MODE_INPUT;
  // Where no wire is, the input would float, and mains hum would pass for edges: 50 or 100 a second instead of 205.
  config.pull_down_en = GPIO_PULLDOWN_ENABLE;
  config.intr_type = GPIO_INTR_POSEDGE;
  const gpio_num_t pin = static_cast<gpio_num_t>(CONFIG_GYROVAE_READY_GPIO);
  const bool works = gpio_config(&config) == ESP_OK && gpio_install_isr_service(0) == ESP_OK &&
                     gpio_isr_handler_add(pin, ready, nullptr) == ESP_OK;
  return works ? nullptr : "the data-ready line cannot be used";
}

// Tries until a sensor is open, and says why it is not. One that was open before is not looked for again: another
// sensor on the bus has other counts.
void open(imu::Device &device, app::Sensor &sensor, bool before) {
  for (;;) {
    esp_task_wdt_reset();
    const char *problem = nullptr;
    if (!before) problem = imu::find(bus::kBus, kDrivers, sizeof kDrivers / sizeof *kDrivers, device);
    const int32_t other = problem ? device.address : 0;
    app::Sensor found = {};
    esp_task_wdt_reset();
    if (!problem) problem = imu::open(bus::kBus, device, kSettings, found);
    if (!problem && !before) problem = imu::measure(bus::kBus, device, found);
    if (!problem) {
      if (!before) sensor = found;
      return;
    }
    errors.found(wire::Level::kError, problem, other);
    tell();
    bus::recover();
    vTaskDelay(pdMS_TO_TICKS(kRetryMs));
  }
}

void pass(const imu::Batch &batch, const imu::Clock &clock) {
  if (!going) return;
  for (int i = 0; i < batch.count; i++) {
    wire::Sample sample = {clock.number(i), clock.t_us(i), {}};
    for (int axis = 0; axis < kAxes; axis++) sample.counts[axis] = batch.counts[i][axis];
    if (xQueueSend(samples, &sample, 0) != pdTRUE) {
      overflows.happened(wire::Level::kWarning, "samples dropped, the model does not keep up:");
    }
  }
}

// Whether it was not in vain: false where the data-ready line did not say that there is a sample. `quiet`: it has not
// for long.
bool wait(const imu::Device &device, bool quiet) {
  if (device.driver->has_fifo) {
    vTaskDelay(pdMS_TO_TICKS(kFifoMs));
  } else if (kSettings.ready_line) {
    return ulTaskNotifyTake(pdTRUE, quiet ? 1 : kLineWait) != 0;
  } else {
    vTaskDelay(1);
  }
  return true;
}

// Whether it could be said.
bool say_quiet() {
  const Notice notice = {wire::Level::kWarning, "samples come, but no edge on the data-ready GPIO",
                         CONFIG_GYROVAE_READY_GPIO};
  return xQueueSend(notices, &notice, 0) == pdTRUE;
}

void run(void *) {
  task = xTaskGetCurrentTaskHandle();
  if (esp_task_wdt_add(nullptr) != ESP_OK)
    errors.happened(wire::Level::kWarning, "the watchdog does not watch sampling");
  for (const char *problem = bus::open(); problem; vTaskDelay(pdMS_TO_TICKS(kRetryMs))) {
    esp_task_wdt_reset();
    errors.happened(wire::Level::kError, problem);
    tell();
  }
  if (const char *problem = listen()) errors.happened(wire::Level::kWarning, problem);
  imu::Device device = {};
  app::Sensor sensor = {};
  open(device, sensor, false);
  xQueueSend(sensors, &sensor, 0);  // there is room: it is the only one
  imu::Clock clock;
  clock.start(sensor.rate_hz, device.driver->has_fifo);
  imu::Batch batch;
  bool failed = false, lost = false;  // since the samples before
  bool edge = true, quiet_said = false, settling = false;
  int failures = 0, quiet = 0;
  int64_t heard = esp_timer_get_time(), settled = 0;
  for (;;) {
    esp_task_wdt_reset();
    const char *problem = device.driver->read(bus::kBus, device.address, batch);
    const int64_t now = esp_timer_get_time();
    if (problem) {
      errors.happened(wire::Level::kError, problem);
      failures++;
      // What a FIFO holds outlives an error, unless that came while it was read out.
      failed = failed || batch.lost || !device.driver->has_fifo;
    } else {
      failures = 0;
      if (batch.lost && !lost) lost = true, heard = now;  // there were some, if not for long
      if (batch.count && settling) {
        heard = now;
        settling = now < settled || batch.left;  // what waited until then is of before, too
      } else if (batch.count) {
        const uint32_t missing = clock.batch(batch.at_us, batch.count, batch.left, failed || lost);
        // What an error has cost, the error says.
        if (missing && !failed) {
          losses.happened(wire::Level::kWarning, "samples lost, the sensor was read too late:", missing);
        }
        failed = lost = false;
        heard = now;
        pass(batch, clock);
        quiet = edge ? 0 : quiet < kMostQuiet ? quiet + 1 : kMostQuiet;
        if (quiet == kMostQuiet && !quiet_said) quiet_said = say_quiet();
      }
    }
    if (!problem && now - heard > kSilence) {
      errors.happened(wire::Level::kError, "the sensor gives no samples");
      failures = kMostErrors;
    }
    tell();
    if (failures >= kMostErrors) {
      bus::recover();
      open(device, sensor, true);
      failures = 0;
      failed = settling = true;
      heard = esp_timer_get_time();
      settled = heard + imu::kSettling;
    }
    if (problem || !batch.left) edge = wait(device, quiet == kMostQuiet);
  }
}

}  // namespace

const char *start() {
  samples = xQueueCreate(kSamples, sizeof(wire::Sample));
  notices = xQueueCreate(kNotices, sizeof(Notice));
  sensors = xQueueCreate(1, sizeof(app::Sensor));
  if (!samples || !notices || !sensors) return "there is no memory for the queues of samples";
  const bool started =
      xTaskCreateStaticPinnedToCore(run, "sampling", kStackBytes, nullptr, kPriority, stack, &memory, kCore);
  return started ? nullptr : "the sampling task cannot be started";
}

bool opened(app::Sensor &sensor, uint32_t wait_ms) {
  return xQueueReceive(sensors, &sensor, pdMS_TO_TICKS(wait_ms)) == pdTRUE;
}

void go() {
  going = true;
}

bool next(wire::Sample &sample, uint32_t wait_ms) {
  return xQueueReceive(samples, &sample, pdMS_TO_TICKS(wait_ms)) == pdTRUE;
}

bool next(Notice &notice) {
  return xQueueReceive(notices, &notice, 0) == pdTRUE;
}

}  // namespace gyrovae::sampling
