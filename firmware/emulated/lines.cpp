// Numbers in, the protocol's lines out: what tests/test_wire_twin.py compares with Python's.
//
// In: int32 number of records, each an int32 of its kind (0 sample, 1 verdict, 2 banner, 3 word) and its numbers; out:
// one line for each. Or kind 4: bytes from a host, and out a text for each command in them.
#include "channel.h"
#include "gyrovae/wire.h"

namespace wire = gyrovae::wire;

namespace {

template <class T>
T take() {
  T value;
  channel::read(&value, sizeof value);
  return value;
}

template <int most>
struct Text {
  char bytes[most + 1];

  Text() {
    const auto size = take<int32_t>();
    if (size < 0 || size > most) channel::finish(6);
    if (size) channel::read(bytes, static_cast<size_t>(size));
    bytes[size] = 0;
  }
};

void sample(wire::Line &line) {
  wire::Sample one = {};
  one.number = take<uint32_t>();
  one.t_us = take<uint32_t>();
  for (int16_t &count : one.counts) count = take<int16_t>();
  wire::sample(line, one);
}

void verdict(wire::Line &line) {
  wire::Verdict one = {};
  one.window = take<uint32_t>();
  one.number = take<uint32_t>();
  one.t_us = take<uint32_t>();
  one.score = take<float>();
  one.threshold = take<float>();
  one.alarm = take<int32_t>();
  one.event = take<int32_t>();
  one.reasons_count = take<int32_t>();
  gyrovae::score::Reason reasons[wire::kMostReasons] = {};
  for (int32_t i = 0; i < one.reasons_count; i++) {
    reasons[i].axis = take<uint8_t>();
    reasons[i].louder = take<uint8_t>();
    reasons[i].low_hz = take<float>();
    reasons[i].high_hz = take<float>();
    reasons[i].share = take<float>();
  }
  one.reasons = reasons;
  one.frontend_us = take<uint32_t>();
  one.inference_us = take<uint32_t>();
  one.score_us = take<uint32_t>();
  wire::verdict(line, one);
}

void banner(wire::Line &line) {
  const Text<32> firmware, sensor, units;
  wire::Banner one = {};
  one.firmware = firmware.bytes, one.sensor = sensor.bytes, one.units = units.bytes;
  one.rate_hz = take<double>();
  one.lsb = take<double>();
  one.least = take<int16_t>();
  one.most = take<int16_t>();
  one.mode = take<int32_t>() ? wire::Mode::kDetect : wire::Mode::kStream;
  one.boot = take<uint32_t>();
  one.next = take<uint32_t>();
  one.t_us = take<uint32_t>();
  one.model = static_cast<wire::Source>(take<int32_t>());
  uint8_t digest[gyrovae::kDigestBytes];
  channel::read(digest, sizeof digest);
  one.spec_digest = one.model == wire::Source::kNone ? nullptr : digest;
  one.window = take<int32_t>();
  one.hop = take<int32_t>();
  one.vote_alarms = take<int32_t>();
  one.vote_windows = take<int32_t>();
  one.threshold = take<float>();
  one.site_windows = take<uint32_t>();
  wire::banner(line, one);
}

void word(wire::Line &line) {
  const auto level = static_cast<wire::Level>(take<char>());
  const Text<1000> text;
  wire::status(line, level).text(text.bytes).end();
}

void commands() {
  const Text<1000> bytes;
  static wire::Commands found;
  for (const char *byte = bytes.bytes; *byte; byte++) {
    wire::Command command;
    if (!found.add(*byte, command)) continue;
    wire::Line line;
    line.number(static_cast<uint32_t>(command.word)).character(' ').integer(command.minutes).end();
    channel::write(line.data(), line.size());
  }
}

}  // namespace

int main() {
  for (auto count = take<int32_t>(); count > 0; count--) {
    wire::Line line;
    switch (take<int32_t>()) {
      case 0:
        sample(line);
        break;
      case 1:
        verdict(line);
        break;
      case 2:
        banner(line);
        break;
      case 3:
        word(line);
        break;
      default:
        commands();
        continue;
    }
    channel::write(line.data(), line.size());
  }
  channel::finish(0);
}
