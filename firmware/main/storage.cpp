#include "storage.h"

#include "nvs.h"
#include "nvs_flash.h"

namespace gyrovae::storage {

namespace {

constexpr char kSpace[] = "gyrovae", kKey[] = "site";
constexpr uint32_t kVersion = 1;

// NVS has a CRC over each of its entries.
struct Kept {
  uint32_t version;
  uint32_t detector_id;
  site::Site site;
};

}  // namespace

const char *open() {
  esp_err_t error = nvs_flash_init();
  if (error == ESP_ERR_NVS_NO_FREE_PAGES || error == ESP_ERR_NVS_NEW_VERSION_FOUND) {
    error = nvs_flash_erase();
    if (error == ESP_OK) error = nvs_flash_init();
  }
  return error == ESP_OK ? nullptr : "NVS cannot be used: a threshold of this site will not be kept over a boot";
}

site::Site kept(uint32_t detector_id) {
  nvs_handle_t space;
  if (nvs_open(kSpace, NVS_READONLY, &space) != ESP_OK) return {};
  Kept found = {};
  size_t size = sizeof found;
  const esp_err_t error = nvs_get_blob(space, kKey, &found, &size);
  nvs_close(space);
  const bool ours = error == ESP_OK && size == sizeof found && found.version == kVersion;
  if (!ours || found.detector_id != detector_id || !site::usable(found.site)) return {};
  return found.site;
}

bool keep(uint32_t detector_id, const site::Site &site) {
  nvs_handle_t space;
  if (nvs_open(kSpace, NVS_READWRITE, &space) != ESP_OK) return false;
  esp_err_t error;
  if (site.windows > 0) {
    const Kept record = {kVersion, detector_id, site};
    error = nvs_set_blob(space, kKey, &record, sizeof record);
  } else {
    error = nvs_erase_key(space, kKey);
    if (error == ESP_ERR_NVS_NOT_FOUND) error = ESP_OK;
  }
  if (error == ESP_OK) error = nvs_commit(space);
  nvs_close(space);
  return error == ESP_OK;
}

}  // namespace gyrovae::storage
