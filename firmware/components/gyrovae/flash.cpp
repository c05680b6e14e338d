// The Python twin is gyrovae_tf/flash.py.
#include "gyrovae/flash.h"

namespace gyrovae {

uint32_t crc32(const void *bytes, size_t count) {
  const uint8_t *byte = static_cast<const uint8_t *>(bytes);
  uint32_t sum = ~0u;
  for (const uint8_t *const end = byte + count; byte != end; byte++) {
    sum ^= *byte;
    for (int i = 0; i < 8; i++) sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0u);
  }
  return ~sum;
}

namespace flash {

namespace {

constexpr uint8_t kMagic[8] = {'G', 'Y', 'R', 'O', 'V', 'A', 'E', 0};
constexpr size_t kLengthAt = 12, kCrcAt = 16, kDigestAt = 20;
constexpr uint32_t kMostBytes = 16u << 20;
constexpr int32_t kMostGolden = 32;

// Tables one after the other, each from the next multiple of 16 bytes on.
struct Reader {
  const uint8_t *image;
  size_t bytes;
  size_t next;
  bool short_of;  // something lies beyond the end

  template <class T>
  const T *take(int32_t count) {
    const size_t start = next, size = static_cast<size_t>(count) * sizeof(T);
    if (short_of || count < 0 || size > bytes - start) {
      short_of = true;
      return nullptr;
    }
    next = start + (size + kAlign - 1) / kAlign * kAlign;
    if (next > bytes) next = bytes;  // the last table need not be filled up
    return reinterpret_cast<const T *>(image + start);
  }
};

// Whole numbers of an image, in its order.
struct Numbers {
  int32_t spec_version, window, field_shift, vote_alarms, vote_windows, wavelet_taps, model_bytes, arena_bytes, golden;
  int32_t regimes[kViews], has_mixing[kViews];
};

// Floats of an image, in its order.
struct Floats {
  float threshold, reach, center[kViews], power[kViews];
};

uint32_t word(const uint8_t *image, size_t at) {
  uint32_t value;
  __builtin_memcpy(&value, image + at, sizeof value);
  return value;
}

void read_front_end(Reader &reader, Tables &tables) {
  tables.band_hz = reader.take<float>(kBands);
  tables.band_level = reader.take<uint8_t>(kBands);
  tables.band_taps_count = reader.take<uint16_t>(kBands);
  tables.band_taps_offset = reader.take<uint16_t>(kBands);
  tables.wavelet_taps = reader.take<int16_t>(static_cast<int32_t>(tables.wavelet_taps_count));
  tables.half_band = reader.take<int16_t>(kHalfBandTaps);
  tables.log2_table = reader.take<uint8_t>(kLog2Size);
  tables.power_floor = reader.take<int16_t>(kBands);
  tables.power_mean = reader.take<int16_t>(kAxes * kBands);
  tables.power_gain = reader.take<int32_t>(kAxes * kBands);
  tables.field_edges = reader.take<int32_t>(kAxes * (kLevels - 1));
  tables.field_mean = reader.take<int32_t>(kAxes);
  tables.field_gain = reader.take<int32_t>(kAxes);
  tables.exp2_table = reader.take<uint16_t>(kExp2Size);
}

void read_view(Reader &reader, int name, const Numbers &numbers, const Floats &floats, View &view) {
  const int32_t regimes = numbers.regimes[name], size = kViewSizes[name];
  view = {};
  if (regimes == 0) return;
  view.regimes = regimes;
  if (is_wide(name)) {
    view.wide_codes = reader.take<int16_t>(regimes * size);
  } else {
    view.codes = reader.take<int8_t>(regimes * size);
  }
  view.weight = reader.take<float>(size);
  view.scatter = reader.take<float>(regimes);
  if (numbers.has_mixing[name]) view.mixing = reader.take<float>(size * (size + 1) / 2);
  if (name == kRhythmView) view.residual_weight = reader.take<float>(size);
  view.center = floats.center[name];
  view.power = floats.power[name];
}

void read_golden(Reader &reader, int32_t count, int32_t window, Golden &golden) {
  golden = {};
  if (count == 0) return;
  golden.count = count;
  golden.inputs = reader.take<int16_t>(count * window * kAxes);
  golden.image_crc32 = reader.take<uint32_t>(count);
  golden.outputs = reader.take<int8_t>(count * 2 * kImageBytes);
  golden.scores = reader.take<float>(count);
  golden.alarms = reader.take<uint8_t>(count);
}

}  // namespace

const char *open(const uint8_t *image, size_t bytes, int most, Detector &detector, Tables &tables) {
  if (bytes < kHeadBytes || __builtin_memcmp(image, kMagic, sizeof kMagic) != 0) return "there is no detector's image";
  if (word(image, sizeof kMagic) != kVersion) return "the image is of another version";
  const uint32_t length = word(image, kLengthAt);
  if (length < kHeadBytes || length > kMostBytes || length > bytes) return "the image is not whole";
  if (word(image, kCrcAt) != crc32(image + kDigestAt, length - kDigestAt)) return "the image is damaged (CRC-32)";

  Reader reader = {image, length, kHeadBytes, false};
  const Numbers *const numbers = reader.take<Numbers>(1);
  const double *const doubles = reader.take<double>(2);
  const Floats *const floats = reader.take<Floats>(1);
  if (reader.short_of) return "the image is too short";
  // Before anything is multiplied by them; `problem` looks at the rest.
  if (numbers->window < kWindowMin || numbers->window > most) return "the window is longer than this firmware has room for";
  if (numbers->wavelet_taps < 1 || numbers->wavelet_taps > 1 << 16) return "the image's wavelets are not usable";
  if (numbers->model_bytes < 16 || numbers->arena_bytes < 0) return "the image's model is not usable";
  if (numbers->golden < 0 || numbers->golden > kMostGolden) return "the image's golden windows are not usable";
  for (const int32_t regimes : numbers->regimes) {
    if (regimes < 0 || regimes > kMostRegimes) return "a view has a wrong number of regimes";
  }
  if (!(floats->reach > 0.0f && floats->reach < 100.0f)) return "the image's reach is not usable";

  tables = {};
  tables.spec_digest = image + kDigestAt;
  tables.spec_version = numbers->spec_version;
  tables.window = numbers->window;
  tables.rate_hz = doubles[0];
  tables.lsb = doubles[1];
  tables.wavelet_taps_count = static_cast<uint32_t>(numbers->wavelet_taps);
  tables.field_shift = numbers->field_shift;
  tables.threshold = floats->threshold;
  tables.vote_alarms = numbers->vote_alarms;
  tables.vote_windows = numbers->vote_windows;
  read_front_end(reader, tables);
  for (int name = 0; name < kViews; name++) read_view(reader, name, *numbers, *floats, tables.views[name]);

  detector = {};
  detector.tables = &tables;
  detector.model = reader.take<uint8_t>(numbers->model_bytes);
  detector.model_bytes = static_cast<uint32_t>(numbers->model_bytes);
  detector.arena_bytes = static_cast<uint32_t>(numbers->arena_bytes);
  detector.id = crc32(image, length);
  detector.reach = floats->reach;
  read_golden(reader, numbers->golden, numbers->window, detector.golden);
  if (reader.short_of) return "the image is too short";
  return problem(tables, most);
}

}  // namespace flash
}  // namespace gyrovae
