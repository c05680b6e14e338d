// Windows and the model's outputs in (as for parity.cpp), what they cost out: benchmarks/firmware.py prints it.
//
// Out: for each window uint32 instructions of the front end, of the profiles, of the score; then uint32 bytes of
// Memory, and of the stack that were used.
#include "channel.h"
#include "gyrovae/memory.h"
#include "nn_model.h"

GYROVAE_TABLES(nn_model);

static gyrovae::Memory<nn_model_window> memory;
static int8_t images[2 * gyrovae::kImageBytes];
static int8_t output[gyrovae::kImageBytes];

int main() {
  if (gyrovae::problem(nn_model_tables, nn_model_window)) channel::finish(6);
  int32_t count, zero_point;
  float scale;
  channel::read(&count, sizeof count);
  channel::read(&scale, sizeof scale);
  channel::read(&zero_point, sizeof zero_point);
  for (int32_t i = 0; i < count; i++) {
    channel::read(memory.window, sizeof memory.window);
    channel::read(output, sizeof output);
    const uint64_t start = channel::instructions();
    gyrovae::frontend::images(memory.window, nn_model_tables, memory.frontend, images);
    const uint64_t seen = channel::instructions();
    gyrovae::profile::profiles(memory.window, images, nn_model_tables, memory.profile);
    const uint64_t described = channel::instructions();
    gyrovae::score::expected_sums(output, scale, zero_point, memory.expected);
    gyrovae::score::score(memory.profile, memory.expected, nn_model_tables, memory.score);
    const uint64_t scored = channel::instructions();
    const uint32_t spent[] = {static_cast<uint32_t>(seen - start), static_cast<uint32_t>(described - seen),
                              static_cast<uint32_t>(scored - described)};
    channel::write(spent, sizeof spent);
  }
  const uint32_t bytes[] = {static_cast<uint32_t>(sizeof memory), channel::stack_used()};
  channel::write(bytes, sizeof bytes);
  channel::finish(0);
}
