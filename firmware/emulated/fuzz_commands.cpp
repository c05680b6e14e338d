// Any bytes in, as they may come over the serial port: the commands that the firmware reads in them must be those that
// a plain program with strings reads. libFuzzer makes the bytes.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "gyrovae/wire.h"

using gyrovae::wire::Command;
using gyrovae::wire::Word;

namespace {

Command plain(std::string line) {
  if (line.size() > 24) return {Word::kUnknown, 0};
  while (!line.empty() && line.back() == ' ') line.pop_back();
  if (line == "stream") return {Word::kStream, 0};
  if (line == "detect") return {Word::kDetect, 0};
  if (line == "info") return {Word::kInfo, 0};
  if (line == "forget") return {Word::kForget, 0};
  if (line.compare(0, 10, "calibrate ") == 0) {
    const std::string digits = line.substr(10);
    if (!digits.empty() && digits.size() <= 4 && digits.find_first_not_of("0123456789") == std::string::npos) {
      const int minutes = std::atoi(digits.c_str());
      if (minutes >= 1 && minutes <= 1440) return {Word::kCalibrate, minutes};
    }
  }
  return {Word::kUnknown, 0};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  gyrovae::wire::Commands commands;
  std::string line;
  for (size_t i = 0; i < size; i++) {
    const char byte = static_cast<char>(data[i]);
    const bool ends = byte == '\n' || byte == '\r';
    Command found = {Word::kUnknown, -1};
    if (commands.add(byte, found) != (ends && !line.empty())) std::abort();
    if (!ends) {
      line += byte;
    } else if (!line.empty()) {
      const Command expected = plain(line);
      if (found.word != expected.word || found.minutes != expected.minutes) std::abort();
      line.clear();
    }
  }
  return 0;
}
