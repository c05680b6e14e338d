// A pretended sensor on an I2C bus, whose registers, FIFO and clock behave as its datasheet says, and beside it another
// device that keeps what is written into it. Arguments are key=value.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <string>

#include "imu.h"

using namespace gyrovae;

namespace {

std::map<std::string, std::string> arguments;

double number(const char *key, double otherwise) {
  const auto found = arguments.find(key);
  return found == arguments.end() ? otherwise : std::atof(found->second.c_str());
}

struct Taken {
  int32_t index;
  double time_us;
  bool settled;  // not within `settle_ms` of the chip's being set up
};

// Time passes by waiting and by transfers: nine bits a byte at 400 kHz.
double clock_us = 0.0;
int transfers = 0;
uint8_t registers[256], others[256];
int32_t index_ = 0;      // of the next sample
double next_us = 0.0;    // when it is there
double set_us = 0.0;     // when the rate was written
std::deque<Taken> fifo;  // or the only sample that a chip without it has
bool fresh = false, overrun = false;
int words_read = 0;  // of the sample at the FIFO's front
std::string chip;
size_t depth() {
  return chip == "QMA7981" ? 1 : chip == "LSM6DS3" ? 682 : 512;
}

double nominal_hz() {
  if (chip == "QMA7981") {
    if (!(registers[0x11] & 0x80)) return 0.0;
    const double clocks[] = {500e3, 333e3, 200e3, 100e3, 50e3, 25e3, 12.5e3, 5e3};
    const double dividers[] = {7695, 3855, 1935, 975, 0, 15375, 30735, 61455};
    return clocks[registers[0x11] & 7] / dividers[registers[0x10] & 7];
  }
  const double rates[] = {0, 12.5, 26, 52, 104, 208, 416, 833, 1666};
  return rates[registers[0x10] >> 4 & 7];
}

bool storing() {
  if (chip == "QMA7981") return true;
  if (chip == "LSM6DS3")
    return (registers[0x0a] & 7) == 6 && (registers[0x08] & 7) == 1 && registers[0x0a] >> 3 == registers[0x10] >> 4;
  return (registers[0x0a] & 7) == 6 && (registers[0x09] & 15) == registers[0x10] >> 4;
}

void pass(double us) {
  clock_us += us;
  // It gets warm from the fifth second on, a minute long, and its rate changes by `warm` of itself.
  const double warm = std::fmin(std::fmax(clock_us / 1e6 - 5.0, 0.0) / 60.0, 1.0);
  const double hz = nominal_hz() * (1.0 + number("off", 0.0)) * (1.0 + warm * number("warm", 0.0));
  if (hz <= 0.0 || number("silent", 0)) {
    next_us = clock_us;
    return;
  }
  while (next_us <= clock_us) {
    if (storing()) {
      if (fifo.size() == depth()) fifo.pop_front(), overrun = true;
      fifo.push_back({index_, next_us, next_us - set_us >= 1000.0 * number("settle_ms", 0)});
      fresh = true;
    }
    index_++;
    next_us += 1e6 / hz;
  }
}

// One that has not settled is not still on axis z.
int counts(const Taken &taken, int axis) {
  const int most = chip == "QMA7981" ? 8192 : 32768;
  const int index = taken.index % most;
  return axis == 0 ? index : axis == 1 ? -index - 1 : taken.settled ? 1000 : 5000;
}

uint8_t fifo_byte(int place) {  // of a sample: axes' bytes, low first
  const int value = fifo.empty() ? 0 : counts(fifo.front(), place / 2);
  return static_cast<uint8_t>(value >> (place % 2 * 8));
}

void fill_status() {
  const int words = static_cast<int>(fifo.size()) * (chip == "LSM6DS3" ? 3 : 1);
  registers[0x3a] = static_cast<uint8_t>(words);
  if (chip == "LSM6DS3") {
    const int left = words - words_read;
    registers[0x3a] = static_cast<uint8_t>(left);
    registers[0x3b] = static_cast<uint8_t>((left >> 8 & 7) | (overrun ? 0x40 : 0) | (left == 0 ? 0x10 : 0));
    registers[0x3c] = static_cast<uint8_t>(words_read);
    registers[0x3d] = 0;
  } else {
    registers[0x3b] = static_cast<uint8_t>((words >> 8 & 3) | (overrun ? 0x40 : 0));
  }
}

const char *failed(size_t bytes) {
  pass(22.5 * static_cast<double>(bytes + 2));
  if (clock_us > 1e6 * number("overrun_after", 1e9)) {
    arguments.erase("overrun_after");
    pass(1000.0 * number("overrun_ms", 0));
    overrun = true;
  }
  return ++transfers == static_cast<int>(number("fail", 0)) ? "I2C: test" : nullptr;
}

// Whether this read of a register is one of those that fail, from the fourth second on and every so many: the chip does
// not acknowledge its address, and nothing is read.
bool refused(uint8_t first) {
  static double next = 4e6;
  if (!arguments.count("refuse_at") || first != static_cast<uint8_t>(number("refuse_at", 0)) || clock_us < next) {
    return false;
  }
  next += 1e6 * number("refuse_every", 1e9);
  return true;
}

bool here(uint8_t address) {
  const double away_us = clock_us - 1e6 * number("away_after", 1e9);
  if (away_us >= 0.0 && away_us < 1000.0 * number("away_ms", 0)) return false;
  return address == static_cast<uint8_t>(number("address", 0));
}

bool other_here(uint8_t address) {
  return address && address == static_cast<uint8_t>(number("other", 0));
}

bool answers(uint8_t address) {
  return here(address) || other_here(address);
}

const char *read(uint8_t address, uint8_t first, uint8_t *bytes, size_t count) {
  if (const char *problem = failed(count)) return problem;
  if (other_here(address)) {
    std::memcpy(bytes, others + first, count);
    return nullptr;
  }
  if (!here(address)) return "I2C: nobody";
  if (refused(first)) return "I2C: refused";
  if (chip == "QMA7981" && first == 1 && count == 6) {
    for (int i = 0; i < 6; i++) {
      const int value = fifo.empty() ? 0 : counts(fifo.front(), i / 2) * 4;  // 14 bits on the left
      bytes[i] = static_cast<uint8_t>(value >> (i % 2 * 8));
      if (i % 2 == 0) bytes[i] = static_cast<uint8_t>((bytes[i] & ~3) | (fresh ? 1 : 0));
    }
    fresh = false;
    return nullptr;
  }
  if (chip == "LSM6DS3" && first == 0x3e) {
    for (size_t i = 0; i < count; i += 2) {
      bytes[i] = fifo_byte(2 * words_read), bytes[i + 1] = fifo_byte(2 * words_read + 1);
      if (++words_read == 3) {
        words_read = 0;
        if (!fifo.empty()) fifo.pop_front();
      }
    }
    return nullptr;
  }
  if (chip == "LSM6DSO" && first == 0x78) {
    for (size_t i = 0; i < count; i++) {
      bytes[i] = i % 7 == 0 ? static_cast<uint8_t>(fifo.empty() ? 0 : 0x02 << 3 | 0x04)
                            : fifo_byte(static_cast<int>(i % 7) - 1);
      if (i % 7 == 6 && !fifo.empty()) fifo.pop_front();
    }
    return nullptr;
  }
  fill_status();
  for (size_t i = 0; i < count; i++) bytes[i] = registers[first + i];
  return nullptr;
}

const char *write(uint8_t address, uint8_t place, uint8_t value) {
  if (const char *problem = failed(1)) return problem;
  if (other_here(address)) {
    others[place] = place == 0x12 ? value & 0xfe : value;  // as an LSM6 that comes out of its reset
    return nullptr;
  }
  if (!here(address)) return "I2C: nobody";
  if (place == static_cast<uint8_t>(number("sticky", 0))) return nullptr;  // a register that keeps what it has
  if (chip != "QMA7981" && place == 0x12 && (value & 1)) {
    std::memset(registers + 1, 0, 14);
    std::memset(registers + 16, 0, 0x20);
    registers[0x12] = 0x04;  // the reset is over at once, its bit is clear again
    return nullptr;
  }
  if (place == 0x0a && (value & 7) == 0 && chip != "QMA7981") fifo.clear(), overrun = false, words_read = 0;
  if (place == (chip == "QMA7981" ? 0x11 : 0x10)) set_us = clock_us;
  registers[place] = value;
  return nullptr;
}

void wait_ms(uint32_t ms) {
  pass(1000.0 * ms);
}

int64_t now_us() {
  return static_cast<int64_t>(clock_us);
}

const imu::Bus kFake = {read, write, answers, wait_ms, now_us};

// What is on the bus, by the arguments.
void power(int count, char **words) {
  for (int i = 1; i < count; i++) {
    const std::string word = words[i];
    arguments[word.substr(0, word.find('='))] = word.substr(word.find('=') + 1);
  }
  chip = arguments["chip"];
  registers[chip == "QMA7981" ? 0x00 : 0x0f] = static_cast<uint8_t>(number("identity", 0));
  // The other one is an LSM6DS3 whose FIFO always has a sample.
  others[0x0f] = 0x6a, others[0x3a] = kAxes;
  std::memset(others + 0x3e, 7, 2 * kAxes);
}

}  // namespace
