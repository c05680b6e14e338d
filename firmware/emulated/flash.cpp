// An image of a detector in, what the firmware makes of it out: `equal` when it holds what the header nn_model.h does,
// else the name of the first thing that differs, or what `flash::open` says is wrong with it.
#include "gyrovae/flash.h"

#include "channel.h"
#include "nn_model.h"

GYROVAE_DETECTOR(nn_model);

namespace {

constexpr size_t kMost = 1 << 20;
alignas(16) uint8_t memory[kMost];

[[noreturn]] void say(const char *text) {
  channel::write(text, __builtin_strlen(text));
  channel::finish(0);
}

template <class T>
void compare(const char *name, const T *found, const T *expected, size_t count) {
  if ((found == nullptr) != (expected == nullptr)) say(name);
  if (expected && __builtin_memcmp(found, expected, count * sizeof(T)) != 0) say(name);
}

template <class T>
void compare(const char *name, T found, T expected) {
  compare(name, &found, &expected, 1);
}

void compare_front_end(const gyrovae::Tables &found, const gyrovae::Tables &expected) {
  using namespace gyrovae;
  compare("digest", found.spec_digest, expected.spec_digest, kDigestBytes);
  compare("version", found.spec_version, expected.spec_version);
  compare("window", found.window, expected.window);
  compare("rate", found.rate_hz, expected.rate_hz);
  compare("lsb", found.lsb, expected.lsb);
  compare("band_hz", found.band_hz, expected.band_hz, kBands);
  compare("band_level", found.band_level, expected.band_level, kBands);
  compare("band_taps_count", found.band_taps_count, expected.band_taps_count, kBands);
  compare("band_taps_offset", found.band_taps_offset, expected.band_taps_offset, kBands);
  compare("wavelet_taps_count", found.wavelet_taps_count, expected.wavelet_taps_count);
  compare("wavelet_taps", found.wavelet_taps, expected.wavelet_taps, expected.wavelet_taps_count);
  compare("half_band", found.half_band, expected.half_band, kHalfBandTaps);
  compare("log2_table", found.log2_table, expected.log2_table, kLog2Size);
  compare("power_floor", found.power_floor, expected.power_floor, kBands);
  compare("power_mean", found.power_mean, expected.power_mean, kAxes * kBands);
  compare("power_gain", found.power_gain, expected.power_gain, kAxes * kBands);
  compare("field_edges", found.field_edges, expected.field_edges, kAxes * (kLevels - 1));
  compare("field_shift", found.field_shift, expected.field_shift);
  compare("field_mean", found.field_mean, expected.field_mean, kAxes);
  compare("field_gain", found.field_gain, expected.field_gain, kAxes);
}

void compare_score(const gyrovae::Tables &found, const gyrovae::Tables &expected) {
  using namespace gyrovae;
  compare("exp2_table", found.exp2_table, expected.exp2_table, kExp2Size);
  for (int name = 0; name < kViews; name++) {
    const View &one = found.views[name], &other = expected.views[name];
    const size_t size = static_cast<size_t>(kViewSizes[name]), regimes = static_cast<size_t>(other.regimes);
    compare("regimes", one.regimes, other.regimes);
    compare("codes", one.codes, other.codes, regimes * size);
    compare("wide codes", one.wide_codes, other.wide_codes, regimes * size);
    compare("weight", one.weight, other.weight, size);
    compare("scatter", one.scatter, other.scatter, regimes);
    compare("mixing", one.mixing, other.mixing, size * (size + 1) / 2);
    compare("residual_weight", one.residual_weight, other.residual_weight, size);
    compare("center", one.center, other.center);
    compare("power", one.power, other.power);
  }
  compare("threshold", found.threshold, expected.threshold);
  compare("vote_alarms", found.vote_alarms, expected.vote_alarms);
  compare("vote_windows", found.vote_windows, expected.vote_windows);
}

void compare_rest(const gyrovae::Detector &found, const gyrovae::Detector &expected) {
  compare("model_bytes", found.model_bytes, expected.model_bytes);
  compare("model", found.model, expected.model, expected.model_bytes);
  compare("arena_bytes", found.arena_bytes, expected.arena_bytes);
  compare("reach", found.reach, expected.reach);
  const gyrovae::Golden &one = found.golden, &other = expected.golden;
  const size_t count = static_cast<size_t>(other.count);
  const size_t numbers = static_cast<size_t>(expected.tables->window) * gyrovae::kAxes;
  compare("golden_count", one.count, other.count);
  compare("golden_inputs", one.inputs, other.inputs, count * numbers);
  compare("golden_image_crc32", one.image_crc32, other.image_crc32, count);
  compare("golden_outputs", one.outputs, other.outputs, count * 2 * gyrovae::kImageBytes);
  compare("golden_scores", one.scores, other.scores, count);
  compare("golden_alarms", one.alarms, other.alarms, count);
  compare("id", found.id, expected.id);
}

}  // namespace

int main() {
  uint32_t bytes;
  channel::read(&bytes, sizeof bytes);
  if (bytes > kMost) channel::finish(6);
  // At the end of the memory, so that whoever watches sees what is read behind it.
  uint8_t *const image = memory + (kMost - bytes) / gyrovae::flash::kAlign * gyrovae::flash::kAlign;
  if (bytes) channel::read(image, bytes);
  gyrovae::Tables tables;
  gyrovae::Detector detector;
  if (const char *problem = gyrovae::flash::open(image, bytes, nn_model_window, detector, tables)) say(problem);
  compare_front_end(tables, nn_model_tables);
  compare_score(tables, nn_model_tables);
  compare_rest(detector, nn_model_detector);
  say("equal");
}
