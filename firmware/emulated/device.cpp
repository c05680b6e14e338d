// The whole device but for sensor and kernels: the app of the component behind a serial port, with a script in their
// place. tests/test_device.py talks to it.
//
// The script (script.bin, made by that test) holds samples, given one by one over and over, from the first one on
// whenever a mode begins; and outputs of the model, which TensorFlow Lite Micro or a test has recorded, to be found by
// the CRC-32 of the model's input. So the model can only run on windows of the script and on golden ones, and says so
// where it cannot. Samples come as fast as they are taken; their times are those of the rate.
#include "board.h"
#include "gyrovae/app.h"
#include "nn_model.h"

GYROVAE_DETECTOR(nn_model);

// The script's bytes, as they are.
asm(".section .rodata\n .balign 16\n .globl script_bytes\nscript_bytes:\n .incbin \"script.bin\"\n .balign 4\n .text\n");
extern "C" const uint8_t script_bytes[];

namespace {

using gyrovae::kImageBytes;

struct Head {
  int32_t samples, outputs;
  float scale;  // of the model's second output
  int32_t zero_point;
};

struct Output {
  uint32_t crc32;
  int8_t images[2][kImageBytes];
};

struct Kept {
  uint32_t id;
  gyrovae::site::Site site;
};

const Head &head = *reinterpret_cast<const Head *>(script_bytes);
const auto *const samples = reinterpret_cast<const int16_t(*)[gyrovae::kAxes]>(script_bytes + sizeof(Head));

const Output *outputs() {
  const size_t bytes = sizeof(Head) + static_cast<size_t>(head.samples) * sizeof *samples;
  return reinterpret_cast<const Output *>(script_bytes + (bytes + 3) / 4 * 4);
}

alignas(16) int8_t input[2 * kImageBytes];
int8_t output[2][kImageBytes];

const char *run() {
  const uint32_t crc = gyrovae::crc32(input, sizeof input);
  for (const Output *one = outputs(); one != outputs() + head.outputs; one++) {
    if (one->crc32 != crc) continue;
    __builtin_memcpy(output, one->images, sizeof output);
    return nullptr;
  }
  return "the window is none of the script";
}

bool keep(uint32_t id, const gyrovae::site::Site &site) {
  const Kept kept = {id, site};
  return board::store(&kept, sizeof kept);
}

gyrovae::app::App<nn_model_window> app;

}  // namespace

int main() {
  board::start();
  const gyrovae::app::Sensor sensor = {"script", "m/s^2", nn_model_rate_hz, nn_model_lsb, -32768, 32767};
  Kept kept = {};
  const bool known = board::load(&kept, sizeof kept) && kept.id == nn_model_detector_id;
  app.start({board::write, board::now_us, keep}, sensor, "0.0.0-emulated", board::now_us());
  const gyrovae::app::Model model = {input, {output[0], output[1]}, head.scale, head.zero_point, run};
  const char *const problem = app.install(nn_model_detector, model, gyrovae::wire::Source::kCompiled, 0,
                                          known ? kept.site : gyrovae::site::Site{});
  if (problem) app.say(gyrovae::wire::Level::kError, problem);
  app.begin(gyrovae::wire::Mode::kDetect);
  uint32_t begun = app.begun();
  int32_t place = 0;
  for (uint32_t number = 0;;) {
    for (int byte = board::read(); byte >= 0; byte = board::read()) app.receive(static_cast<char>(byte));
    if (begun != app.begun()) begun = app.begun(), place = 0;
    const int16_t *const counts = samples[place];
    const auto t_us = static_cast<uint32_t>(1e6 * number / nn_model_rate_hz);
    app.sample({number, t_us, {counts[0], counts[1], counts[2]}});
    number++;
    place = place + 1 == head.samples ? 0 : place + 1;
  }
}
