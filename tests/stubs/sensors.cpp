// firmware/main's drivers on the bus of chip.h. What they find and read goes to standard output, a word and numbers a
// line.
#include "chip.h"
#include "clock.h"

namespace {

int stop(const char *problem) {
  std::printf("problem %s\n", problem);
  return 0;
}

}  // namespace

int main(int count, char **words) {
  power(count, words);
  const imu::Driver *const drivers[] = {&imu::kQma7981, &imu::kLsm6ds3, &imu::kLsm6dso};
  imu::Device device;
  if (const char *problem = imu::find(kFake, drivers, 3, device)) {
    std::printf("at %d\n", device.address);
    return stop(problem);
  }
  std::printf("found %s %d\n", device.driver->name, device.address);
  const imu::Settings settings = {number("rate", 200), static_cast<int>(number("range", 4)), number("line", 0) != 0};
  app::Sensor sensor = {};
  if (arguments.count("fail_open"))
    arguments["fail"] = std::to_string(transfers + static_cast<int>(number("fail_open", 0)));
  if (const char *problem = imu::open(kFake, device, settings, sensor)) return stop(problem);
  std::printf("nominal %.6f\nlsb %.9f\ncounts %d %d\n", sensor.rate_hz, sensor.lsb, sensor.least, sensor.most);
  if (const char *problem = imu::measure(kFake, device, sensor)) return stop(problem);
  std::printf("measured %.6f\nreal %.6f\n", sensor.rate_hz, nominal_hz() * (1.0 + number("off", 0.0)));
  const double end = clock_us + 1e6 * number("seconds", 0), period = 1e6 / sensor.rate_hz;
  double pause = clock_us + 1e6 * number("pause_after", 1e9);
  imu::Clock clock;
  clock.start(sensor.rate_hz, device.driver->has_fifo);
  const double first_us = next_us;
  const int32_t first = index_;
  bool gap = false;
  imu::Batch batch;
  if (number("skew", 0)) words_read = 1;  // someone read a word
  while (clock_us < end) {
    if (const char *problem = device.driver->read(kFake, device.address, batch)) return stop(problem);
    if (batch.lost) std::printf("lost\n");
    gap = gap || batch.lost;
    if (batch.count) {
      if (const uint32_t missing = clock.batch(batch.at_us, batch.count, batch.left, gap)) {
        std::printf("missing %u\n", missing);
      }
      gap = false;
    }
    for (int i = 0; i < batch.count; i++) {
      // Which sample it is, and how much later than the truth its time is, in
      // periods.
      const int32_t wrapped = batch.counts[i][0], most = chip == "QMA7981" ? 8192 : 32768;
      int32_t which = index_ - index_ % most + wrapped;
      if (which > index_) which -= most;
      const double truth = first_us + (which - first) * 1e6 / (nominal_hz() * (1.0 + number("off", 0.0)));
      std::printf("sample %u %u %d %d %d %d %.3f\n", clock.number(i), clock.t_us(i), which, batch.counts[i][0],
                  batch.counts[i][1], batch.counts[i][2], (clock.t_us(i) - truth) / period);
    }
    if (clock_us > pause) pause = 1e18, wait_ms(static_cast<uint32_t>(number("pause_ms", 0)));
    if (!batch.left) wait_ms(device.driver->has_fifo ? 10 : 1);
  }
  for (const int place : {0x08, 0x09, 0x0a, 0x0f, 0x10, 0x11, 0x12, 0x17, 0x18, 0x1a}) {
    std::printf("register %d %d\n", place, registers[place]);
  }
  return 0;
}
