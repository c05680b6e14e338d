#include "gyrovae/app.h"

#include "gyrovae/limits.h"

namespace gyrovae::app {

namespace {

constexpr int kStepsApart = 2;            // a golden output may differ by so many: kernels round differently
constexpr float kScoreTolerance = 0.01f;  // a golden score may differ by so much of it
constexpr uint32_t kWindowsAWord = 16;    // a calibration says how far it is every so many windows

bool near(double a, double b, double tolerance) {
  const double apart = a > b ? a - b : b - a;
  return apart <= tolerance * b;
}

float magnitude(float value) {
  return value < 0.0f ? -value : value;
}

}  // namespace

void Core::start(const Board &board, const Sensor &sensor, const char *firmware, uint32_t boot) {
  board_ = board;
  sensor_ = sensor;
  firmware_ = firmware;
  boot_ = boot;
}

void Core::install(const Detector &detector, const Model &model, wire::Source source, int32_t hop,
                   const site::Site &site) {
  detector_ = &detector;
  model_ = model;
  source_ = source;
  hop_ = hop > 0 ? hop : detector.tables->window;
  site_ = site::usable(site) ? site : site::Site{};
  vote_ = score::Vote(detector.tables->vote_alarms, detector.tables->vote_windows, stride());
}

bool Core::misfit() {
  if (!detector_) {
    say(wire::Level::kError, "there is no detector: flash one (gyrovae-tf flash-image), or compile one in");
    return true;
  }
  const Tables &tables = *detector_->tables;
  wire::Line line;
  wire::status(line, wire::Level::kError);
  if (!near(sensor_.rate_hz, tables.rate_hz, kRateTolerance)) {
    line.text("the detector was made for another sample rate than the sensor's: ").decimal(tables.rate_hz, 3);
    line.text(" Hz, and it gives ").decimal(sensor_.rate_hz, 3).text(" Hz");
  } else if (!near(sensor_.lsb, tables.lsb, kLsbTolerance)) {
    line.text("the detector was made for another range or type of sensor: a count of ").decimal(tables.lsb, 9);
    line.text(", and it gives one of ").decimal(sensor_.lsb, 9);
  } else if (stride() > kMostPhases) {
    const int32_t least = (tables.window + kMostPhases - 1) / kMostPhases;
    line.text("windows share too many samples for the vote: set GYROVAE_HOP to ").integer(least);
    line.text(" at least, or to 0 for a whole window; it is ").integer(hop_);
  } else {
    return false;
  }
  send(line.end());
  return true;
}

void Core::begin(wire::Mode mode) {
  if (mode == wire::Mode::kDetect && misfit()) mode = wire::Mode::kStream;
  mode_ = mode;
  begun_++;
  restart_ = true;
  give_up();
  vote_.reset();
  answer();
}

bool Core::take(const wire::Sample &sample) {
  if (sample.number != next_) restart_ = true;
  next_ = sample.number + 1;
  if (mode_ == wire::Mode::kDetect) return true;
  wire::Line line;
  wire::sample(line, sample);
  send(line);
  return false;
}

bool Core::restarted() {
  const bool restart = restart_;
  restart_ = false;
  return restart;
}

// The score of a window whose model has run.
static void judge(const Detector &detector, const Model &model, const Core::Workplace &place) {
  score::expected_sums(model.outputs[1], model.field_scale, model.field_zero_point, place.expected);
  score::score(*place.profile, place.expected, *detector.tables, *place.score);
}

int32_t Core::stride() const { return score::stride_of(detector_->tables->window, hop_); }

uint32_t Core::pause() const {
  const int32_t window = detector_->tables->window;
  const double windows = kPauseWindows * static_cast<double>(hop_ > window ? hop_ : window);
  const double seconds = kPauseSeconds * sensor_.rate_hz;
  return static_cast<uint32_t>(seconds > windows ? seconds : windows);
}

void Core::detect(const wire::Sample &last, const Workplace &place, uint32_t frontend_us) {
  const uint32_t start = now_us();
  if (const char *problem = model_.run()) {
    say(wire::Level::kError, problem);
    return;
  }
  const uint32_t ran = now_us();
  judge(*detector_, model_, place);
  score::Reason reasons[wire::kMostReasons];
  const int count = score::reasons(place.score->deviation, *detector_->tables, reasons, wire::kMostReasons);
  const float score = place.score->score;
  const bool alarm = !(score < site_.threshold);
  if (last.number - judged_ > pause()) vote_.reset();
  judged_ = last.number;
  const bool event = vote_.add(alarm);
  wire::Line line;
  wire::verdict(line, {windows_, last.number, last.t_us, score, site_.threshold, alarm, event, reasons, count,
                       frontend_us, ran - start, now_us() - ran});
  send(line);
  // Windows that share samples are one observation, to a threshold as to the vote.
  if (fit_windows_ && windows_ % static_cast<uint32_t>(stride()) == 0) fit(score);
  windows_++;
}

const char *Core::prove(const Detector &detector, const Model &model, int32_t index, const Workplace &place) {
  const Golden &golden = detector.golden;
  if (crc32(model.input, 2 * kImageBytes) != golden.image_crc32[index]) {
    return "self-test: the front end gives other images than on the PC";
  }
  if (const char *problem = model.run()) return problem;
  judge(detector, model, place);
  const int8_t *expected = golden.outputs + index * 2 * kImageBytes;
  for (const int8_t *output : model.outputs) {
    for (int i = 0; i < kImageBytes; i++, expected++) {
      const int apart = output[i] - *expected;
      if (apart > kStepsApart || apart < -kStepsApart) return "self-test: the model gives other outputs than on the PC";
    }
  }
  const float found = place.score->score, told = golden.scores[index];
  if (!(magnitude(found - told) <= kScoreTolerance * magnitude(told))) {
    return "self-test: the score is another than on the PC";
  }
  return nullptr;
}

void Core::fit(float score) {
  fit_.add(score);
  if (fit_.count() < fit_windows_) {
    if (fit_.count() % kWindowsAWord == 0) {
      wire::Line line;
      wire::status(line, wire::Level::kInformation).text("calibration on site: ").number(fit_.count());
      send(line.text(" of ").number(fit_windows_).text(" windows").end());
    }
    return;
  }
  fit_windows_ = 0;
  if (const char *problem = fit_.finish(detector_->reach, site_)) {
    say(wire::Level::kError, problem);
  } else if (!board_.keep(detector_->id, site_)) {
    say(wire::Level::kError, "the threshold of this site cannot be kept over a boot");
  }
  vote_.reset();
  answer();
}

void Core::give_up() {
  if (!fit_windows_) return;
  fit_windows_ = 0;
  say(wire::Level::kWarning, "the calibration on site was ended before it was done, and sets no threshold");
}

void Core::receive(char byte) {
  wire::Command command;
  if (commands_.add(byte, command)) obey(command);
}

uint32_t Core::windows_in(uint32_t minutes) const {
  return static_cast<uint32_t>(60.0 * minutes * sensor_.rate_hz / (hop_ * static_cast<double>(stride())));
}

void Core::calibrate(uint32_t minutes) {
  // What is refused changes nothing, not even a calibration that is running.
  if (misfit()) return answer();
  if (windows_in(minutes) < site::kLeastWindows) {
    while (windows_in(minutes) < site::kLeastWindows) minutes++;
    wire::Line line;
    wire::status(line, wire::Level::kError).text("too few windows: at least ").number(site::kLeastWindows);
    send(line.text(" are needed, calibrate for minutes: ").number(minutes).end());
    return answer();
  }
  begin(wire::Mode::kDetect);
  fit_windows_ = windows_in(minutes);
  fit_.start();
  say(wire::Level::kInformation, "calibration on site: keep the machine running as it normally does; windows",
      static_cast<int32_t>(fit_windows_));
}

void Core::obey(const wire::Command &command) {
  // No banner: a host would take it for that of a sensor. Nor is anything done; who means it asks again.
  if (!(sensor_.rate_hz > 0.0)) {
    return say(wire::Level::kWarning, "the sensor is not open yet, and no command is followed before");
  }
  switch (command.word) {
    case wire::Word::kStream:
      return begin(wire::Mode::kStream);
    case wire::Word::kDetect:
      return begin(wire::Mode::kDetect);
    case wire::Word::kInfo:
      return answer();
    case wire::Word::kCalibrate:
      return calibrate(static_cast<uint32_t>(command.minutes));
    case wire::Word::kForget:
      site_ = {};
      give_up();
      vote_.reset();  // its alarms are of another threshold
      if (detector_ && !board_.keep(detector_->id, site_)) {
        say(wire::Level::kError, "the threshold of this site is still kept");
      }
      return answer();
    case wire::Word::kUnknown:
      return say(wire::Level::kError, "unknown command: stream, detect, info, calibrate MINUTES (1 to 1440), forget");
  }
}

void Core::say(wire::Level level, const char *text, int32_t number) {
  wire::Line line;
  wire::status(line, level).text(text);
  if (number >= 0) line.character(' ').integer(number);
  send(line.end());
}

void Core::answer() {
  const Tables *const tables = detector_ ? detector_->tables : nullptr;
  wire::Line line;
  wire::banner(line, {firmware_, sensor_.name, sensor_.units, sensor_.rate_hz, sensor_.lsb, sensor_.least, sensor_.most,
                      mode_, boot_, next_, now_us(), source_, tables ? tables->spec_digest : nullptr,
                      tables ? tables->window : 0, hop_, tables ? tables->vote_alarms : 0,
                      tables ? tables->vote_windows : 0, site_.threshold, site_.windows});
  send(line);
}

}  // namespace gyrovae::app
