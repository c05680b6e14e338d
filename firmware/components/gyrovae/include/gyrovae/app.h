// The device: samples and commands in, lines out. Everything but the sensor, the serial port, the model's kernels and
// the memory that outlives a boot; those are the board's, and the same code runs on an ESP32 and in an emulator.
#pragma once

#include <stdint.h>

#include "gyrovae/detector.h"
#include "gyrovae/memory.h"
#include "gyrovae/site.h"
#include "gyrovae/wire.h"

namespace gyrovae::app {

struct Sensor {
  const char *name, *units;  // printable ASCII without quotes and backslashes
  double rate_hz, lsb;  // a rate of 0: it is not open yet
  int16_t least, most;  // counts
};

// A model, ready to run. `run` may use the input's memory for something else.
struct Model {
  int8_t *input;             // [2][32][32][3]
  const int8_t *outputs[2];  // scalogram and field, each [32][32][3]
  float field_scale;
  int32_t field_zero_point;
  const char *(*run)();  // null, or what went wrong
};

// What the app asks of the board. Called by the task that calls the app.
struct Board {
  void (*write)(const char *line, size_t bytes);             // a whole line; may drop it, must not block for long
  uint32_t (*now_us)();                                      // since boot
  bool (*keep)(uint32_t detector_id, const site::Site &site);  // over a boot; whether it worked
};

class Core {
 public:
  // The board and what is on it, first of all; `boot` differs from one boot to the next.
  void start(const Board &board, const Sensor &sensor, const char *firmware, uint32_t boot);
  // A byte from the host. Answers a whole command at once.
  void receive(char byte);
  // A word to the reader, with `number` behind it unless it is negative.
  void say(wire::Level level, const char *text, int32_t number = -1);
  // Begins a mode, says why where it cannot, and answers with the banner.
  void begin(wire::Mode mode);
  wire::Mode mode() const { return mode_; }
  // How often a mode has begun.
  uint32_t begun() const { return begun_; }
  bool has_detector() const { return detector_ != nullptr; }

  // What a window is worked on with; `App` has it.
  struct Workplace {
    profile::Profile *profile;
    float *expected;
    score::Score *score;
  };

 protected:
  void install(const Detector &detector, const Model &model, wire::Source source, int32_t hop, const site::Site &site);
  // Whether a sample is to become part of a window; in mode stream it is sent.
  bool take(const wire::Sample &sample);
  // Whether windows begin anew with the sample that was taken.
  bool restarted();
  // A window's images are in the model's input and its profiles in their place.
  void detect(const wire::Sample &last, const Workplace &place, uint32_t frontend_us);
  // The same for a golden window; null, or in what it differs.
  const char *prove(const Detector &detector, const Model &model, int32_t index, const Workplace &place);
  const Detector *detector() const { return detector_; }
  const Model &model() const { return model_; }
  int32_t hop() const { return hop_; }
  uint32_t now_us() const { return board_.now_us(); }

 private:
  // Whether there is no detector, or one that does not fit the sensor or the hop; says so.
  bool misfit();
  // Every how manieth window shares no samples with the one before.
  int32_t stride() const;
  // More samples than that from one verdict to the next, and the vote begins anew.
  uint32_t pause() const;
  void obey(const wire::Command &command);
  uint32_t windows_in(uint32_t minutes) const;
  void calibrate(uint32_t minutes);
  void answer();
  void fit(float score);
  // Ends a calibration that is running, and says so: whoever has ordered it counts on its threshold.
  void give_up();
  void send(const wire::Line &line) { board_.write(line.data(), line.size()); }

  Board board_ = {};
  Sensor sensor_ = {};
  const char *firmware_ = "";
  const Detector *detector_ = nullptr;
  Model model_ = {};
  wire::Source source_ = wire::Source::kNone;
  int32_t hop_ = 0;
  site::Site site_ = {};
  site::Fit fit_;
  uint32_t fit_windows_ = 0;  // of the calibration that is running; 0: none is
  score::Vote vote_ = {1, 1};
  wire::Commands commands_;
  wire::Mode mode_ = wire::Mode::kStream;
  uint32_t boot_ = 0, next_ = 0, windows_ = 0, begun_ = 0;
  uint32_t judged_ = 0;  // number of the last sample that a verdict was on
  bool restart_ = true;
};

// An app for windows of up to `most` samples: a static object.
template <int most>
class App : public Core {
 public:
  // A detector and its model, ready to run, after `start`: proves itself by its golden windows, and is used only if it
  // can. `hop` samples from one window to the next (0: a whole window); `site` is what was kept for it, or as it
  // stands. Both records have to stay where they are. Null, or what is wrong in words.
  const char *install(const Detector &detector, const Model &model, wire::Source source, int32_t hop,
                      const site::Site &site) {
    if (const char *found = problem(*detector.tables, most)) return found;
    for (int32_t i = 0; i < detector.golden.count; i++) {
      const int16_t *const window = detector.golden.inputs + i * detector.tables->window * kAxes;
      see(window, *detector.tables, model);
      if (const char *found = prove(detector, model, i, place())) return found;
    }
    Core::install(detector, model, source, hop, site);
    return nullptr;
  }

  // A sample of the sensor, in order; numbers that are missing are a gap.
  void sample(const wire::Sample &sample) {
    if (!take(sample)) return;
    if (restarted()) memory_.ring.start(detector()->tables->window, hop());
    if (!memory_.ring.push(sample.counts)) return;
    const uint32_t start = now_us();
    memory_.ring.copy(memory_.window);
    see(memory_.window, *detector()->tables, model());
    detect(sample, place(), now_us() - start);
  }

 private:
  void see(const int16_t *window, const Tables &tables, const Model &model) {
    frontend::images(window, tables, memory_.frontend, model.input);
    profile::profiles(window, model.input, tables, memory_.profile);
  }

  Workplace place() { return {&memory_.profile, memory_.expected, &memory_.score}; }

  Memory<most> memory_;
};

}  // namespace gyrovae::app
