#include "detectors.h"

#include "esp_partition.h"
#include "gyrovae/flash.h"
#include "sdkconfig.h"

// Made by `gyrovae-tf emit-header RUN/ -o firmware/main/nn_model.h --golden`; without it, there is none.
#if __has_include("nn_model.h")
#include "nn_model.h"
GYROVAE_DETECTOR(nn_model);
#define GYROVAE_COMPILED (&nn_model_detector)
#else
#define GYROVAE_COMPILED nullptr
#endif

namespace gyrovae::detectors {

namespace {

constexpr esp_partition_subtype_t kSubtype = static_cast<esp_partition_subtype_t>(0x40);  // see partitions.csv

Detector detector;
Tables tables;

}  // namespace

const Detector *in_partition(const char **problem) {
  const esp_partition_t *const partition = esp_partition_find_first(ESP_PARTITION_TYPE_DATA, kSubtype, "detector");
  if (!partition) {
    *problem = "the flash has no partition `detector`";
    return nullptr;
  }
  const void *image = nullptr;
  esp_partition_mmap_handle_t handle;
  if (esp_partition_mmap(partition, 0, partition->size, ESP_PARTITION_MMAP_DATA, &image, &handle) != ESP_OK) {
    *problem = "the partition `detector` cannot be read";
    return nullptr;
  }
  *problem = flash::open(static_cast<const uint8_t *>(image), partition->size, CONFIG_GYROVAE_LONGEST_WINDOW, detector,
                         tables);
  if (!*problem) return &detector;
  esp_partition_munmap(handle);
  return nullptr;
}

const Detector *compiled() {
  return GYROVAE_COMPILED;
}

}  // namespace gyrovae::detectors
