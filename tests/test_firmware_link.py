"""The serial port of the ESP32's firmware as a UART: a line is sent or dropped, and nobody waits for long."""

from __future__ import annotations

from pathlib import Path

import portable_firmware as firmware
import pytest
from esp_firmware import INCLUDE, MAIN, STUBS, UART, USB, sdkconfig

PATIENCE_MS, TICK_MS = 50, 1
SAMPLE_BYTES, WORD_BYTES = 33, 46  # of stubs/link.cpp
BAUD = 115200


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = sdkconfig(tmp_path_factory.mktemp("link"), "", UART)
    sources = (STUBS / "link.cpp", MAIN / "link.cpp")
    return firmware.sanitized(folder / "link", *sources, include=(folder, *INCLUDE))


def written(link: Path, **settings: float) -> dict[str, float]:
    said = firmware.checked([link, *(f"{name}={value}" for name, value in settings.items())], link.parent)
    return {name: float(value) for name, value in (line.split() for line in said.splitlines())}


@pytest.mark.parametrize("mended", [0, 1], ids=["all is free", "what is free"])
def test_what_the_line_carries_is_sent(link: Path, mended: int) -> None:
    found = written(link, mended=mended, every_us=1e6 / 208, seconds=60)
    assert found["samples"] == pytest.approx(60 * 208, abs=1)
    assert found["dropped"] == found["dropped_words"] == found["late_ms"] == 0


@pytest.mark.parametrize("mended", [0, 1], ids=["all is free", "what is free"])
def test_what_it_does_not_carry_is_dropped_and_nobody_waits(link: Path, mended: int) -> None:
    """Whatever the driver says of its buffer. Words are waited for, as long as that does not hold up the samples."""
    found = written(link, mended=mended, every_us=1e6 / 833, seconds=60)
    assert found["late_ms"] <= PATIENCE_MS + TICK_MS
    assert found["dropped_words"] == 0
    carried = 60 * BAUD / 10 / (SAMPLE_BYTES + WORD_BYTES / 100)
    assert found["samples"] - found["dropped"] == pytest.approx(carried, rel=0.03)


# --- by hand: a driver that does what a test says

BY_HAND = """\
#include <cstdio>
#include <cstring>
#include <string>
#include "link.h"
#include "driver/uart.h"
#include "driver/uart_vfs.h"
#include "driver/usb_serial_jtag.h"
#include "driver/usb_serial_jtag_vfs.h"
#include "esp_timer.h"
#include "freertos/task.h"
using namespace gyrovae;

static long clock_ms = 10'000, room_after = 0, ring = 0, asked = 0;
static size_t room = 0, sent = 0;
static bool connected = true;

extern "C" {
esp_err_t uart_driver_install(uart_port_t, int, int bytes, int, QueueHandle_t *, int) { return ring = bytes, ESP_OK; }
void uart_vfs_dev_use_driver(int) {}
esp_err_t uart_get_tx_buffer_free_size(uart_port_t, size_t *size) {
  *size = room_after && clock_ms >= room_after ? 16384 : room;
  return ESP_OK;
}
int uart_write_bytes(uart_port_t, const void *, size_t size) { return sent++, static_cast<int>(size); }
int uart_read_bytes(uart_port_t, void *, uint32_t, TickType_t) { return -1; }
int64_t esp_timer_get_time() { return 1000 * clock_ms; }
TickType_t xTaskGetTickCount() { return static_cast<TickType_t>(clock_ms); }
void vTaskDelay(const TickType_t ticks) { clock_ms += ticks; }
esp_err_t usb_serial_jtag_driver_install(usb_serial_jtag_driver_config_t *config) {
  return ring = config->tx_buffer_size, ESP_OK;
}
void usb_serial_jtag_vfs_use_driver() {}
int usb_serial_jtag_read_bytes(void *, uint32_t, TickType_t) { return -1; }
bool usb_serial_jtag_is_connected() { return connected; }
// A driver that is full gives nothing away, however long it is waited for.
int usb_serial_jtag_write_bytes(const void *, size_t size, TickType_t ticks) {
  asked = ticks;
  return size <= room ? static_cast<int>(size) : 0;
}
}

// How long it took and whether it was dropped, of a line of so many bytes.
static void write(const char *text, size_t bytes = 20) {
  const long start = clock_ms;
  const std::string line = text + std::string(bytes - std::strlen(text), '.');
  link::write(line.data(), line.size());
  std::printf("%s:%ld:%d ", text, USB ? asked : clock_ms - start, link::take_dropped());
}

int main() {
  if (const char *problem = link::open()) return std::puts(problem);
  char byte;
  std::printf("ring:%ld read:%zu\\n", ring, link::read(&byte, 1));
  for (const char *text : {"0", "9", "#", "V", "{"}) write(text);
  connected = false;
  write("#");
  connected = true;
  std::puts("");
  room = 83, write("1");
  room = 84, write("1");
  room = 0, room_after = clock_ms + 7, write("#");
  std::puts("");
  room = 16384, room_after = 0, sent = 0;
  clock_ms += 10'000;
  for (int i = 0; i < 200; i++) {
    const std::string line(100, '1');
    link::write(line.data(), line.size());
  }
  const int dropped = link::take_dropped();
  std::printf("sent:%zu dropped:%d then:%d\\n", sent, dropped, link::take_dropped());
}
"""


def by_hand(folder: Path, console: str, usb: bool, program: str = BY_HAND, flags: tuple[str, ...] = ()) -> list[str]:
    sdkconfig(folder, "", console)
    (folder / "main.cpp").write_text(program)
    sources, options = (folder / "main.cpp", MAIN / "link.cpp"), [f"-DUSB={usb:d}", *flags]
    built = firmware.sanitized(folder / "by_hand", *sources, include=(folder, *INCLUDE), flags=options)
    return [line.strip() for line in firmware.checked([built], folder).splitlines()]


def test_a_uart_by_hand(tmp_path: Path) -> None:
    """A line is told by its first byte, the milliseconds that it was waited for, and whether it was dropped."""
    assert by_hand(tmp_path, UART, usb=False) == [
        "ring:16384 read:0",
        "0:0:1 9:0:1 #:50:1 V:50:1 {:50:1 #:50:1",  # no room; samples are not waited for
        "1:0:1 1:0:0 #:7:0",  # 20 bytes and 64 of the driver's own; room after 7 ms
        # 4096 bytes may wait: 40 lines and no more, also after ten seconds of rest.
        "sent:40 dropped:160 then:0",
    ]


def test_usb_by_hand(tmp_path: Path) -> None:
    """The driver waits by itself: as long as it is asked to, and not at all for a host that is not there."""
    assert by_hand(tmp_path, USB, usb=True)[:3] == [
        "ring:16384 read:0",
        "0:0:1 9:0:1 #:50:1 V:50:1 {:50:1 #:0:1",
        "1:0:0 1:0:0 #:50:1",
    ]


NO_BUFFER = 'extern "C" int __wrap_setvbuf(std::FILE *, char *, int, size_t) { return -1; }\n\n'


def test_a_port_is_opened_where_words_cannot_be_buffered(tmp_path: Path) -> None:
    """A C library that refuses: that is said, over a port that works."""
    goes_on = BY_HAND.replace("return std::puts(problem)", "std::puts(problem)")
    program = goes_on.replace("static long clock_ms", NO_BUFFER + "static long clock_ms")
    found = by_hand(tmp_path, USB, usb=True, program=program, flags=("-Wl,--wrap=setvbuf",))
    assert found[0].startswith("standard output cannot be buffered")
    assert found[1:4] == by_hand(tmp_path / "buffered", USB, usb=True)[:3]
