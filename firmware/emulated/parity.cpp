// Windows and the model's outputs in, images and scores out: what tests/test_parity.py compares with Python's.
//
// In: int32 number of windows, float32 scale and int32 zero point of the model's second output; then for each window
// int16 [window][3] counts and int8 [32][32][3], the model's reconstruction of the field. Out: for each window int8
// images [2][32][32][3], then `Result`. With more memory the windows could come all at once: this fits into 16 KiB.
#include "channel.h"
#include "gyrovae/memory.h"
#include "nn_model.h"

GYROVAE_TABLES(nn_model);

namespace {

constexpr int kReasons = 3;

struct Result {
  int32_t alarm, event, regime, reasons;
  float score, shares[gyrovae::kViews], deviation[gyrovae::kAxes * gyrovae::kBands];
  struct {
    int32_t axis, louder;
    float center_hz, low_hz, high_hz, share;
  } reason[kReasons];
};

gyrovae::Memory<nn_model_window> memory;
int8_t images[2 * gyrovae::kImageBytes];
Result result;

void report(const gyrovae::score::Score &score, bool event) {
  result = {};
  result.alarm = score.alarm();
  result.event = event;
  result.regime = score.regime;
  result.score = score.score;
  for (int i = 0; i < gyrovae::kViews; i++) result.shares[i] = score.shares[i];
  for (int i = 0; i < gyrovae::kAxes * gyrovae::kBands; i++) result.deviation[i] = score.deviation[i];
  gyrovae::score::Reason found[kReasons];
  result.reasons = gyrovae::score::reasons(score.deviation, nn_model_tables, found, kReasons);
  for (int i = 0; i < result.reasons; i++) {
    result.reason[i] = {found[i].axis,   found[i].louder,  found[i].center_hz,
                        found[i].low_hz, found[i].high_hz, found[i].share};
  }
  channel::write(&result, sizeof result);
}

}  // namespace

int main() {
  if (gyrovae::problem(nn_model_tables, nn_model_window)) channel::finish(6);
  int32_t count, zero_point;
  float scale;
  channel::read(&count, sizeof count);
  channel::read(&scale, sizeof scale);
  channel::read(&zero_point, sizeof zero_point);
  gyrovae::score::Vote vote(nn_model_tables.vote_alarms, nn_model_tables.vote_windows);
  if (!memory.ring.start(nn_model_window, nn_model_window)) channel::finish(7);
  for (int32_t i = 0; i < count; i++) {
    channel::read(memory.window, sizeof memory.window);
    bool complete = false;
    for (int k = 0; k < nn_model_window; k++) complete = memory.ring.push(memory.window + k * gyrovae::kAxes);
    if (!complete) channel::finish(8);
    memory.ring.copy(memory.window);
    gyrovae::frontend::images(memory.window, nn_model_tables, memory.frontend, images);
    channel::write(images, sizeof images);
    gyrovae::profile::profiles(memory.window, images, nn_model_tables, memory.profile);
    channel::read(images, gyrovae::kImageBytes);
    gyrovae::score::expected_sums(images, scale, zero_point, memory.expected);
    gyrovae::score::score(memory.profile, memory.expected, nn_model_tables, memory.score);
    report(memory.score, vote.add(memory.score.alarm()));
  }
  channel::finish(0);
}
