// Any bytes in, as they may stand in the flash: the firmware refuses them as a detector's image, or can run what they
// say on any window without reading or writing anywhere else. libFuzzer makes the bytes, nearly always with the right
// length and CRC: these protect from accidents, not from a wrong program.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "gyrovae/flash.h"
#include "gyrovae/memory.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

namespace {

constexpr int kWindow = 128;  // what "this firmware has room for"
constexpr size_t kLengthAt = 12, kCrcAt = 16, kBodyAt = 20;

// A buffer of exactly the image's size, so that the sanitiser sees what is read behind it.
struct Copy {
  uint8_t *bytes;
  Copy(const uint8_t *data, size_t size) : bytes(static_cast<uint8_t *>(std::aligned_alloc(16, size))) {
    std::memcpy(bytes, data, size);
  }
  ~Copy() { std::free(bytes); }
};

int8_t images[2 * gyrovae::kImageBytes];
gyrovae::Memory<kWindow> memory;
volatile uint8_t seen;
long accepted, ran;
const int told = std::atexit([] { std::printf("accepted %ld images, ran %ld of them\n", accepted, ran); });

void look(const void *bytes, size_t size) {
  for (size_t i = 0; i < size; i += 16) seen = static_cast<const uint8_t *>(bytes)[i];
  if (size) seen = static_cast<const uint8_t *>(bytes)[size - 1];
}

void run(const gyrovae::Detector &detector, const uint8_t *data, size_t size) {
  accepted++;
  const gyrovae::Tables &tables = *detector.tables;
  look(detector.model, detector.model_bytes);
  const gyrovae::Golden &golden = detector.golden;
  const size_t count = static_cast<size_t>(golden.count), numbers = static_cast<size_t>(tables.window) * gyrovae::kAxes;
  look(golden.inputs, count * numbers * sizeof(int16_t));
  look(golden.outputs, count * 2 * gyrovae::kImageBytes);
  look(golden.scores, count * sizeof(float));
  look(golden.image_crc32, count * sizeof(uint32_t));
  look(golden.alarms, count);
  // The whole way takes a thousand times as long: now and then.
  if (detector.id % 16 != 0) return;
  ran++;
  for (size_t i = 0; i < numbers; i++) {
    memory.window[i] = static_cast<int16_t>(data[2 * i % size] << 8 | data[(2 * i + 1) % size]);
  }
  gyrovae::frontend::images(memory.window, tables, memory.frontend, images);
  gyrovae::profile::profiles(memory.window, images, tables, memory.profile);
  gyrovae::score::expected_sums(images, 0.03125f, -3, memory.expected);
  gyrovae::score::score(memory.profile, memory.expected, tables, memory.score);
  gyrovae::score::Reason reasons[3];
  gyrovae::score::reasons(memory.score.deviation, tables, reasons, 3);
  gyrovae::score::Vote vote(tables.vote_alarms, tables.vote_windows);
  vote.add(memory.score.alarm());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size -= size % 16;  // the flash is read from a multiple of 16 on, and to one
  if (size == 0) return 0;
  const Copy copy(data, size);
  gyrovae::Tables tables;
  gyrovae::Detector detector;
  if (!gyrovae::flash::open(copy.bytes, size, kWindow, detector, tables)) run(detector, data, size);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned int seed) {
  if (size >= 64 + 260 && seed % 4) {
    // Sizes and counts stand in the first bytes behind the head.
    LLVMFuzzerMutate(data + 64, 260, 260);
  } else {
    size = LLVMFuzzerMutate(data, size, most);
  }
  size -= size % 16;
  if (size > kBodyAt && seed % 16) {
    const uint32_t length = static_cast<uint32_t>(size);
    std::memcpy(data, "GYROVAE", 8);
    std::memcpy(data + 8, &gyrovae::flash::kVersion, 4);
    std::memcpy(data + kLengthAt, &length, sizeof length);
    const uint32_t crc = gyrovae::crc32(data + kBodyAt, size - kBodyAt);
    std::memcpy(data + kCrcAt, &crc, sizeof crc);
  }
  return size;
}
