// One boot of firmware/main without its sensor and kernels: app_main.cpp, detectors.cpp and storage.cpp as they are, on
// a pretended flash, NVS, memory that outlives a crash, serial port and sensor, which are files of the folder it runs
// in: flash.bin is the partition, nvs.bin and rtc.bin are kept, commands.txt is what the host says, script.bin holds
// windows and what the model makes of them (tests/emulated_device.py). Arguments are key=value; what the device says
// goes to standard output, and what it does about ESP-IDF's words and when it begins to look for a sensor to steps.txt.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "detectors.h"
#include "esp_log.h"
#include "esp_partition.h"
#include "esp_random.h"
#include "esp_system.h"
#include "esp_task_wdt.h"
#include "esp_timer.h"
#include "gyrovae_tflm/interpreter.h"
#include "link.h"
#include "nvs_flash.h"
#include "sampling.h"

using namespace gyrovae;

extern "C" {
void app_main();
extern char __start_rtc_noinit[], __stop_rtc_noinit[];  // the linker's names of the section's ends
}

namespace {

std::map<std::string, std::string> arguments;
std::vector<int> play;  // windows, over and over
bool going = false;
uint32_t given = 0;
size_t listened = 0, early = 0, later = 0;
int dropped = 0;  // lines, while the port is full: until so many samples were given (`full`)

std::string file(const char *name) {
  std::ifstream stream(name, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(stream), {});
}

void keep_file(const char *name, const void *bytes, size_t count) {
  std::ofstream(name, std::ios::binary).write(static_cast<const char *>(bytes), static_cast<std::streamsize>(count));
}

void end(int code) {
  keep_file("rtc.bin", __start_rtc_noinit, static_cast<size_t>(__stop_rtc_noinit - __start_rtc_noinit));
  std::fflush(stdout);
  std::_Exit(code);
}

const std::string &commands() {
  static const std::string said = file("commands.txt");
  return said;
}

// A command that the host says behind so many windows.
std::string later_command() {
  const uint32_t after =
      static_cast<uint32_t>(std::atoi(arguments["later_after"].c_str()) * std::atoi(arguments["window"].c_str()));
  return arguments["later"].empty() || given < after ? "" : arguments["later"] + "\n";
}

void step(const std::string &text) {
  std::ofstream("steps.txt", std::ios::app) << text << '\n';
}

const std::string &script() {
  static const std::string bytes = file("script.bin");
  return bytes;
}

struct Head {
  int32_t samples, outputs;
  float scale;
  int32_t zero_point;
};

Head head() {
  Head found;
  std::memcpy(&found, script().data(), sizeof found);
  return found;
}

alignas(16) int8_t input[2 * kImageBytes];
int8_t outputs[2][kImageBytes];
bool crashes = false;

const char *run() {
  if (crashes) end(3);
  const uint32_t sum = crc32(input, sizeof input);
  const size_t samples = static_cast<size_t>(head().samples) * 2 * kAxes;
  const char *one = script().data() + sizeof(Head) + (samples + 3) / 4 * 4;
  for (int i = 0; i < head().outputs; i++, one += 4 + sizeof outputs) {
    uint32_t of;
    std::memcpy(&of, one, 4);
    if (of != sum) continue;
    std::memcpy(outputs, one + 4, sizeof outputs);
    return nullptr;
  }
  return "the window is none of the script";
}

}  // namespace

namespace gyrovae::tflm {

const char *open(const Detector &detector, app::Model &model) {
  const char *const source = &detector == detectors::compiled() ? "compiled" : "partition";
  crashes = arguments["crash"].find(source) != std::string::npos;
  if (arguments["refuse"].find(source) != std::string::npos) return "the model is damaged";
  model = {input, {outputs[0], outputs[1]}, head().scale, head().zero_point, run};
  return nullptr;
}

size_t arena_used_bytes() {
  return 13584;
}

}  // namespace gyrovae::tflm

namespace gyrovae::link {

const char *open() {
  return nullptr;
}

void write(const char *line, size_t bytes) {
  if (going && given < static_cast<uint32_t>(std::atoi(arguments["full"].c_str()))) {
    dropped++;
    return;
  }
  std::fwrite(line, 1, bytes, stdout);
}

size_t read(char *bytes, size_t most) {
  size_t count = 0;
  // Before there is a sensor, one command.
  const std::string said = arguments["early"].empty() ? "" : arguments["early"] + "\n";
  while (!going && count < most && early < said.size()) bytes[count++] = said[early++];
  while (going && count < most && listened < commands().size()) bytes[count++] = commands()[listened++];
  const std::string then = later_command();
  while (going && count < most && later < then.size()) bytes[count++] = then[later++];
  return count;
}

int take_dropped() {
  return std::exchange(dropped, 0);
}

}  // namespace gyrovae::link

namespace gyrovae::sampling {

const char *start() {
  step("sampling");
  return nullptr;
}

bool opened(app::Sensor &sensor, uint32_t) {
  static int asked = 0;
  if (asked++ < std::atoi(arguments["late"].c_str())) return false;
  sensor = {"script", "m/s^2", std::atof(arguments["rate_hz"].c_str()), std::atof(arguments["lsb"].c_str()),
            -32768,   32767};
  return true;
}

void go() {
  going = true;
}

bool next(wire::Sample &sample, uint32_t) {
  // First the host, then the windows, all of them whole.
  if (listened < commands().size() || later < later_command().size()) return false;
  const int window = std::atoi(arguments["window"].c_str());
  if (given == static_cast<uint32_t>(std::atoi(arguments["windows"].c_str()) * window)) end(0);
  const int place = static_cast<int>(given) % (window * static_cast<int>(play.size()));
  const int from = play[static_cast<size_t>(place / window)] * window + place % window;
  // From this window on the numbers are others: some samples are missing in front of it (7, or `missing`).
  const bool after = arguments.count("gap") && static_cast<int>(given) / window >= std::atoi(arguments["gap"].c_str());
  const int missing = arguments.count("missing") ? std::atoi(arguments["missing"].c_str()) : 7;
  const uint32_t number = given + static_cast<uint32_t>(after ? missing : 0);
  sample = {number, 5000 * number, {}};
  std::memcpy(sample.counts, script().data() + sizeof(Head) + sizeof sample.counts * static_cast<size_t>(from),
              sizeof sample.counts);
  given++;
  return true;
}

bool next(Notice &) {
  return false;
}

}  // namespace gyrovae::sampling

extern "C" {

TaskHandle_t xTaskCreateStaticPinnedToCore(TaskFunction_t function, const char *const, const uint32_t, void *const,
                                           UBaseType_t, StackType_t *const, StaticTask_t *const, const BaseType_t) {
  function(nullptr);
  return nullptr;
}

esp_err_t esp_task_wdt_add(TaskHandle_t) {
  return ESP_OK;
}
esp_err_t esp_task_wdt_reset() {
  return ESP_OK;
}
void esp_log_level_set(const char *tag, esp_log_level_t level) {
  step(std::string(tag) + " " + std::to_string(level));
}
uint32_t esp_random() {
  return 77;
}
int64_t esp_timer_get_time() {
  static int64_t now = 0;
  return now += arguments.count("tick_us") ? std::atoi(arguments["tick_us"].c_str()) : 10;
}
esp_reset_reason_t esp_reset_reason() {
  const std::map<std::string, esp_reset_reason_t> reasons = {
      {"panic", ESP_RST_PANIC}, {"int_wdt", ESP_RST_INT_WDT}, {"task_wdt", ESP_RST_TASK_WDT}, {"wdt", ESP_RST_WDT}};
  const auto found = reasons.find(arguments["reset"]);
  return found == reasons.end() ? ESP_RST_POWERON : found->second;
}

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                                const char *label) {
  static esp_partition_t partition = {};
  partition.size = static_cast<uint32_t>(file("flash.bin").size());
  const bool ours = type == ESP_PARTITION_TYPE_DATA && subtype == 0x40 && std::string(label) == "detector";
  return ours && partition.size ? &partition : nullptr;
}

esp_err_t esp_partition_mmap(const esp_partition_t *, size_t offset, size_t size, esp_partition_mmap_memory_t,
                             const void **out_ptr, esp_partition_mmap_handle_t *) {
  static uint8_t *memory = static_cast<uint8_t *>(std::aligned_alloc(1 << 16, (size + 0xffff) >> 16 << 16));
  std::memcpy(memory, file("flash.bin").data() + offset, size);
  *out_ptr = memory;
  return ESP_OK;
}

void esp_partition_munmap(esp_partition_mmap_handle_t) {}

// NVS with room for one blob, whose file is missing where there is none.
esp_err_t nvs_flash_init() {
  return ESP_OK;
}
esp_err_t nvs_flash_erase() {
  return ESP_OK;
}
esp_err_t nvs_open(const char *, nvs_open_mode_t mode, nvs_handle_t *) {
  return mode == NVS_READWRITE || file("nvs.bin").size() ? ESP_OK : ESP_ERR_NVS_NOT_FOUND;
}
esp_err_t nvs_get_blob(nvs_handle_t, const char *, void *out_value, size_t *length) {
  const std::string kept = file("nvs.bin");
  if (kept.size() > *length) return ESP_FAIL;
  *length = kept.size();
  std::memcpy(out_value, kept.data(), kept.size());
  return ESP_OK;
}
esp_err_t nvs_set_blob(nvs_handle_t, const char *, const void *value, size_t length) {
  if (arguments["nvs"] == "full") return ESP_FAIL;
  keep_file("nvs.bin", value, length);
  return ESP_OK;
}
esp_err_t nvs_erase_key(nvs_handle_t, const char *) {
  return std::remove("nvs.bin") == 0 ? ESP_OK : ESP_ERR_NVS_NOT_FOUND;
}
esp_err_t nvs_commit(nvs_handle_t) {
  return ESP_OK;
}
void nvs_close(nvs_handle_t) {}
}

int main(int count, char **words) {
  for (int i = 1; i < count; i++) {
    const std::string word = words[i];
    arguments[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  for (size_t at = 0; at < arguments["play"].size(); at = arguments["play"].find(',', at) + 1) {
    play.push_back(std::atoi(arguments["play"].c_str() + at));
    if (arguments["play"].find(',', at) == std::string::npos) break;
  }
  const std::string rtc = file("rtc.bin");
  std::memcpy(__start_rtc_noinit, rtc.data(), rtc.size());
  app_main();
}
