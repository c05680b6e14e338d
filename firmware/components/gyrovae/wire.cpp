// The Python twin is gyrovae_tf/device/wire.py.
#include "gyrovae/wire.h"

namespace gyrovae::wire {

namespace {

constexpr size_t kEnd = 5;  // "*" and the CRC
constexpr double kLargest = 9999999.999;
constexpr char kHex[] = "0123456789ABCDEF", kSmallHex[] = "0123456789abcdef";

bool equal(const char *text, size_t bytes, const char *word) {
  for (size_t i = 0; i < bytes; i++) {
    if (word[i] == 0 || text[i] != word[i]) return false;  // a text may hold 0, too
  }
  return word[bytes] == 0;
}

}  // namespace

uint16_t crc(const char *text, size_t bytes) {
  uint32_t sum = 0xffff;
  for (size_t i = 0; i < bytes; i++) {
    // A byte at a time, without a table: the shifts are what the polynomial 1021 comes to.
    uint32_t top = (sum >> 8 ^ static_cast<uint8_t>(text[i])) & 0xff;
    top ^= top >> 4;
    sum = (sum << 8 ^ top << 12 ^ top << 5 ^ top) & 0xffff;
  }
  return static_cast<uint16_t>(sum);
}

Line &Line::character(char one) {
  if (size_ < static_cast<size_t>(kLongest) - kEnd) {
    text_[size_++] = one;
  } else {
    full_ = true;
  }
  return *this;
}

Line &Line::text(const char *words) {
  while (*words) character(*words++);
  return *this;
}

Line &Line::number(uint32_t value) {
  char digits[10];
  int count = 0;
  do {
    digits[count++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value);
  while (count) character(digits[--count]);
  return *this;
}

Line &Line::integer(int32_t value) {
  if (value < 0) character('-');
  const uint32_t magnitude = static_cast<uint32_t>(value);
  return number(value < 0 ? 0u - magnitude : magnitude);
}

Line &Line::decimal(double value, int digits) {
  if (!(value <= kLargest)) value = kLargest;  // no number compares false
  uint64_t unit = 1;
  for (int i = 0; i < digits; i++) unit *= 10;
  const double scaled = value > 0 ? value * static_cast<double>(unit) : 0;
  uint64_t whole = static_cast<uint64_t>(scaled);
  const double rest = scaled - static_cast<double>(whole);
  if (rest > 0.5 || (rest == 0.5 && whole % 2)) whole++;
  number(static_cast<uint32_t>(whole / unit));
  if (digits) character('.');
  for (uint64_t part = whole % unit; unit > 1; part %= unit) {
    unit /= 10;
    character(static_cast<char>('0' + part / unit));
  }
  return *this;
}

Line &Line::end() {
  if (full_) {
    size_ = 0, full_ = false;
    text("#E a line was too long to be sent");
  }
  const uint16_t sum = crc(text_, size_);
  text_[size_++] = '*';
  for (int shift = 12; shift >= 0; shift -= 4) text_[size_++] = kHex[sum >> shift & 15];
  text_[size_++] = '\n';
  return *this;
}

void sample(Line &line, const Sample &sample) {
  line.number(sample.number).character(' ').number(sample.t_us);
  for (const int16_t count : sample.counts) line.character(' ').integer(count);
  line.end();
}

void banner(Line &line, const Banner &banner) {
  line.text("{\"gyrovae\":").integer(kVersion);
  line.text(",\"firmware\":\"").text(banner.firmware).text("\",\"sensor\":\"").text(banner.sensor);
  line.text("\",\"rate_hz\":").decimal(banner.rate_hz, 3).text(",\"lsb\":").decimal(banner.lsb, 9);
  line.text(",\"units\":\"").text(banner.units).text("\",\"counts\":[").integer(banner.least).character(',');
  line.integer(banner.most).text("],\"mode\":").text(banner.mode == Mode::kDetect ? "\"detect\"" : "\"stream\"");
  line.text(",\"boot\":").number(banner.boot).text(",\"next\":").number(banner.next);
  line.text(",\"t_us\":").number(banner.t_us).text(",\"model\":\"");
  const bool compiled = banner.model == Source::kCompiled;
  line.text(!banner.spec_digest ? "none" : compiled ? "compiled" : "partition").text("\",\"spec\":");
  if (banner.spec_digest) {
    line.character('"');
    for (int i = 0; i < kDigestBytes; i++) {
      line.character(kSmallHex[banner.spec_digest[i] >> 4]).character(kSmallHex[banner.spec_digest[i] & 15]);
    }
    line.character('"');
  } else {
    line.text("null");
  }
  line.text(",\"window\":").integer(banner.window).text(",\"hop\":").integer(banner.hop);
  line.text(",\"vote\":[").integer(banner.vote_alarms).character(',').integer(banner.vote_windows).character(']');
  line.text(",\"threshold\":").decimal(static_cast<double>(banner.threshold), 3);
  line.text(",\"site_windows\":").number(banner.site_windows).character('}').end();
}

void verdict(Line &line, const Verdict &verdict) {
  line.text("V ").number(verdict.window).character(' ').number(verdict.number).character(' ').number(verdict.t_us);
  line.character(' ').decimal(static_cast<double>(verdict.score), 3);
  line.character(' ').decimal(static_cast<double>(verdict.threshold), 3).character(' ');
  if (verdict.alarm) line.character('A');
  if (verdict.event) line.character('E');
  line.text(verdict.alarm || verdict.event ? " " : "- ");
  for (int32_t i = 0; i < verdict.reasons_count; i++) {
    const score::Reason &reason = verdict.reasons[i];
    if (i) line.character(',');
    line.character("xyz"[reason.axis]).character(reason.louder ? '+' : '-');
    line.decimal(100.0 * static_cast<double>(reason.share), 0).character('%');
    line.decimal(static_cast<double>(reason.low_hz), 2).character('-');
    line.decimal(static_cast<double>(reason.high_hz), 2);
  }
  if (verdict.reasons_count == 0) line.character('-');
  line.character(' ').number(verdict.frontend_us).character(' ').number(verdict.inference_us);
  line.character(' ').number(verdict.score_us).end();
}

Line &status(Line &line, Level level) {
  return line.character('#').character(static_cast<char>(level)).character(' ');
}

static Command parsed(const char *text, size_t bytes) {
  if (equal(text, bytes, "stream")) return {Word::kStream, 0};
  if (equal(text, bytes, "detect")) return {Word::kDetect, 0};
  if (equal(text, bytes, "info")) return {Word::kInfo, 0};
  if (equal(text, bytes, "forget")) return {Word::kForget, 0};
  constexpr size_t kWord = 10;  // "calibrate "
  if (bytes > kWord && bytes <= kWord + 4 && equal(text, kWord, "calibrate ")) {
    int32_t minutes = 0;
    for (size_t i = kWord; i < bytes; i++) {
      if (text[i] < '0' || text[i] > '9') return {Word::kUnknown, 0};
      minutes = 10 * minutes + (text[i] - '0');
    }
    if (minutes >= 1 && minutes <= 1440) return {Word::kCalibrate, minutes};
  }
  return {Word::kUnknown, 0};
}

bool Commands::add(char byte, Command &command) {
  if (byte != '\n' && byte != '\r') {
    if (size_ < sizeof text_) text_[size_] = byte;
    if (size_ <= sizeof text_) size_++;
    return false;
  }
  if (size_ == 0) return false;  // also LF after CR
  size_t bytes = size_;
  size_ = 0;
  if (bytes > sizeof text_) {
    command = {Word::kUnknown, 0};
    return true;
  }
  while (bytes && text_[bytes - 1] == ' ') bytes--;
  command = parsed(text_, bytes);
  return true;
}

}  // namespace gyrovae::wire
