// Events in, lines of the serial protocol out, and commands back: twin of gyrovae_tf/device/wire.py.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "gyrovae/score.h"

namespace gyrovae::wire {

constexpr int kVersion = 1;
constexpr int kLongest = 512;  // bytes of a line without its end
constexpr int kMostReasons = 3;

// CRC-16/IBM-3740 of some bytes.
uint16_t crc(const char *text, size_t bytes);

// One line, put together from its start. What does not fit is left out, and `end` then makes it a word of error.
class Line {
 public:
  Line &text(const char *words);
  Line &character(char one);
  Line &number(uint32_t value);
  Line &integer(int32_t value);
  // `digits` decimals (0 to 9) of a number from 0 on, rounded to the nearest (half to even); at most 9999999.999...,
  // which is also what no number is.
  Line &decimal(double value, int digits);
  // Adds `*`, the CRC and LF. Nothing may be added then.
  Line &end();

  const char *data() const { return text_; }
  size_t size() const { return size_; }

 private:
  char text_[kLongest + 1];
  size_t size_ = 0;
  bool full_ = false;
};

struct Sample {
  uint32_t number;  // of the sensor's samples since boot
  uint32_t t_us;    // when it was taken, since boot
  int16_t counts[kAxes];
};

enum class Mode : uint8_t { kStream, kDetect };
enum class Source : uint8_t { kNone, kCompiled, kPartition };

struct Banner {
  const char *firmware, *sensor, *units;  // printable ASCII without quotes and backslashes
  double rate_hz, lsb;
  int16_t least, most;  // counts
  Mode mode;
  uint32_t boot, next, t_us;
  Source model;
  const uint8_t *spec_digest;  // 32 bytes, or null where there is no detector
  int32_t window, hop;
  int32_t vote_alarms, vote_windows;  // 0 where there is no detector
  float threshold;
  uint32_t site_windows;
};

struct Verdict {
  uint32_t window, number, t_us;
  float score, threshold;
  bool alarm, event;
  const score::Reason *reasons;
  int32_t reasons_count;
  uint32_t frontend_us, inference_us, score_us;
};

enum class Level : char { kInformation = 'I', kWarning = 'W', kError = 'E' };

// Each makes a whole line of an empty one.
void sample(Line &line, const Sample &sample);
void banner(Line &line, const Banner &banner);
void verdict(Line &line, const Verdict &verdict);
// A word to the reader is begun by this, goes on with text and numbers, and has to be ended.
Line &status(Line &line, Level level);

enum class Word : uint8_t { kStream, kDetect, kInfo, kCalibrate, kForget, kUnknown };

struct Command {
  Word word;
  int32_t minutes;  // of kCalibrate: 1 to 1440
};

// Bytes in, commands out. Never keeps more than a short line.
class Commands {
 public:
  // One byte in; whether it ends a line that is not empty, whose command is then in `command`.
  bool add(char byte, Command &command);

 private:
  char text_[24];
  size_t size_ = 0;  // more than fits: the line is too long to be a command
};

}  // namespace gyrovae::wire
