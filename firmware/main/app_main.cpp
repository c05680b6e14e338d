// The device on an ESP32-S3: the sampling task on core 0, and everything else in one task on core 1, which alone writes
// to the serial port.
#include <string.h>

#include "detectors.h"
#include "esp_attr.h"
#include "esp_log.h"
#include "esp_random.h"
#include "esp_system.h"
#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "firmware_version.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"
#include "gyrovae/app.h"
#include "gyrovae_tflm/interpreter.h"
#include "link.h"
#include "sampling.h"
#include "sdkconfig.h"
#include "storage.h"

namespace {

using gyrovae::wire::Level;

constexpr uint32_t kStackBytes = 16384;
constexpr UBaseType_t kPriority = 5;
constexpr BaseType_t kCore = 1;
constexpr uint32_t kWaitMs = 20;
constexpr int64_t kSecond = 1'000'000;
constexpr uint32_t kTrialMark = 0x47590000, kTrialBits = 0xffff;  // what stands in `trials` is ours
constexpr gyrovae::app::Sensor kNoSensor = {"none", "m/s^2", 0.0, 1.0, -1, 1};

gyrovae::app::App<CONFIG_GYROVAE_LONGEST_WINDOW> app;
gyrovae::app::Model model;
RTC_NOINIT_ATTR uint32_t trials;  // sources of detectors that are being tried: outlives a crash, not a loss of power
StackType_t stack[kStackBytes];
StaticTask_t memory;

uint32_t now_us() {
  return static_cast<uint32_t>(esp_timer_get_time());
}

constexpr gyrovae::app::Board kBoard = {gyrovae::link::write, now_us, gyrovae::storage::keep};

void tell_notices() {
  gyrovae::sampling::Notice notice;
  while (gyrovae::sampling::next(notice)) app.say(notice.level, notice.text, notice.number);
}

const char *(*invoke)() = nullptr;

// The model's run; many of them are the self-test.
const char *watched_run() {
  esp_task_wdt_reset();
  return invoke();
}

// After a boot; only a crash leaves trials behind.
void forget_trials() {
  const esp_reset_reason_t reason = esp_reset_reason();
  const bool crash =
      reason == ESP_RST_PANIC || reason == ESP_RST_INT_WDT || reason == ESP_RST_TASK_WDT || reason == ESP_RST_WDT;
  if (!crash || (trials & ~kTrialBits) != kTrialMark) trials = kTrialMark;
}

// Null, or why the detector is not used.
const char *prove(const gyrovae::Detector &detector, gyrovae::wire::Source source) {
  if (const char *problem = gyrovae::tflm::open(detector, model)) return problem;
  invoke = model.run;
  model.run = watched_run;
  // Without golden windows nothing else runs it while it is on trial. What comes out does not count: no motion has such
  // images.
  memset(model.input, 0, 2 * gyrovae::kImageBytes);
  (void)model.run();
  if (const char *problem =
          app.install(detector, model, source, CONFIG_GYROVAE_HOP, gyrovae::storage::kept(detector.id))) {
    return problem;
  }
  return nullptr;
}

// The same, with what there is to be said. A model that the kernels cannot cope with ends in a crash, and would again:
// what was being tried then is not tried until the power was off.
const char *install(const gyrovae::Detector &detector, gyrovae::wire::Source source) {
  const uint32_t trial = 1u << static_cast<int>(source);
  if (trials & trial) return "the device crashed when it was tried: switch it off and on to try again";
  trials |= trial;
  const char *const problem = prove(detector, source);
  trials &= ~trial;
  if (problem) return problem;
  app.say(Level::kInformation, "golden windows passed:", detector.golden.count);
  app.say(Level::kInformation, "arena bytes used:", static_cast<int32_t>(gyrovae::tflm::arena_used_bytes()));
  return nullptr;
}

// The partition's detector, else the compiled one, else none.
void install() {
  const char *problem = nullptr;
  if (const gyrovae::Detector *detector = gyrovae::detectors::in_partition(&problem)) {
    problem = install(*detector, gyrovae::wire::Source::kPartition);
    if (!problem) return;
  }
  app.say(Level::kWarning, "the detector in the partition is not used, because:");
  app.say(Level::kWarning, problem);
  const gyrovae::Detector *const detector = gyrovae::detectors::compiled();
  if (!detector) return app.say(Level::kWarning, "no detector is compiled in: the device only streams");
  problem = install(*detector, gyrovae::wire::Source::kCompiled);
  if (!problem) return;
  app.say(Level::kWarning, "the compiled-in detector is not used, because:");
  app.say(Level::kWarning, problem);
}

void listen() {
  char bytes[64];
  const size_t count = gyrovae::link::read(bytes, sizeof bytes);
  for (size_t i = 0; i < count; i++) app.receive(bytes[i]);
}

void run(void *) {
  const bool watched = esp_task_wdt_add(nullptr) == ESP_OK;
  const uint32_t boot = esp_random();
  const char *const problem = gyrovae::link::open();
  app.start(kBoard, kNoSensor, GYROVAE_FIRMWARE_VERSION, boot);
  if (problem) app.say(Level::kError, problem);
  if (!watched) app.say(Level::kWarning, "the watchdog does not watch the app");
  if (const char *wrong = gyrovae::storage::open()) app.say(Level::kError, wrong);
  // The driver of I2C has words of its own for each transfer that fails, and a search is made of those: ours say enough.
  esp_log_level_set("i2c.master", ESP_LOG_NONE);
  if (const char *wrong = gyrovae::sampling::start()) app.say(Level::kError, wrong);
  gyrovae::app::Sensor sensor = kNoSensor;
  while (!gyrovae::sampling::opened(sensor, 100)) {
    tell_notices();
    listen();
    esp_task_wdt_reset();
  }
  app.start(kBoard, sensor, GYROVAE_FIRMWARE_VERSION, boot);
  forget_trials();
  install();
  // From here on what goes wrong is said in the protocol's words.
  esp_log_level_set("*", ESP_LOG_NONE);
#if CONFIG_GYROVAE_DETECT_AT_BOOT
  app.begin(app.has_detector() ? gyrovae::wire::Mode::kDetect : gyrovae::wire::Mode::kStream);
#else
  app.begin(gyrovae::wire::Mode::kStream);
#endif
  gyrovae::sampling::go();
  int64_t dropped = 0;  // lines, until a word of them got through
  for (int64_t told = 0;;) {
    gyrovae::wire::Sample sample;
    if (gyrovae::sampling::next(sample, kWaitMs)) app.sample(sample);
    tell_notices();
    listen();
    esp_task_wdt_reset();
    const int64_t now = esp_timer_get_time();
    if (now - told >= kSecond) {
      told = now;
      dropped += gyrovae::link::take_dropped();
      if (dropped) {
        app.say(Level::kWarning, "lines dropped, the port is too slow or nobody reads:",
                static_cast<int32_t>(dropped < INT32_MAX ? dropped : INT32_MAX));
        if (!gyrovae::link::take_dropped()) dropped = 0;  // else that word was dropped, too: the next one tells of all
      }
    }
  }
}

}  // namespace

extern "C" void app_main() {
  // The tasks are static and last as long as the device runs; this one ends here.
  xTaskCreateStaticPinnedToCore(run, "app", kStackBytes, nullptr, kPriority, stack, &memory, kCore);
}
