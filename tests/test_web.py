"""The monitor's page: who may read it, what it says, and how a browser shows it."""

from __future__ import annotations

import base64
import html
import http.client
import http.server
import json
import math
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from conftest import TINY_MACHINE, Tiny
from test_alarm import decision

from gyrovae_tf.device import web
from gyrovae_tf.device.monitor import Monitor
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.device.watched import Watched
from gyrovae_tf.device.web import Page
from gyrovae_tf.device.wire import Banner, Sample, StockFigures, StockSampled
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.runtime import Detector
from gyrovae_tf.signal import frontend
from gyrovae_tf.stockbundle import Band, StockBundle, StockCalibration
from gyrovae_tf.stockspec import StockSpec

TOKEN = "t0ken-of_sixteen"
NASTY = '/dev/tty<i>&"ACM0"'


class Clock:
    """A clock that stands where it is put."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def served(watched: Watched | None = None, **settings: Any) -> Iterator[Page]:
    page = Page(watched or Watched(Monitor(), NASTY), 0, **settings)
    try:
        yield page
    finally:
        page.close()


@pytest.fixture
def page() -> Iterator[Page]:
    with served() as made:
        yield made


def get(page: Page, path: str = "/state.json", *, host: str | None = None, **headers: str) -> http.client.HTTPResponse:
    """An answer whose content is in `.content`."""
    port = urlsplit(page.url).port
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest("GET", path, skip_host=True)
    if host != "":
        connection.putheader("Host", host or f"127.0.0.1:{port}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.content = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def told(page: Page, path: str = "/state.json", **headers: str) -> dict[str, Any]:
    answer = get(page, path, **headers)
    assert answer.status == 200
    found: dict[str, Any] = json.loads(answer.content)  # type: ignore[attr-defined]
    return found


# --- who may read it


def test_it_listens_on_this_computer_alone(page: Page) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", page.url)
    assert get(page, "/").status == 200


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.0.2.1", "::"])
def test_elsewhere_it_needs_a_token(bind: str) -> None:
    with pytest.raises(GyrovaeError, match=f"whoever reaches {bind} could read along"):
        Page(Watched(Monitor(), "p"), 0, bind=bind)


@pytest.mark.parametrize("token", ["short", "with blanks in the middle", "sixteen-letters-ä"])
def test_tokens_that_are_none(token: str) -> None:
    with pytest.raises(GyrovaeError, match="the token is not usable"):
        Page(Watched(Monitor(), "p"), 0, token=token)


def test_an_address_that_is_none() -> None:
    with pytest.raises(GyrovaeError, match=r"expected an IP address, or localhost, received example\.org"):
        Page(Watched(Monitor(), "p"), 0, bind="example.org")


def test_a_port_that_is_taken(page: Page) -> None:
    port = urlsplit(page.url).port
    assert port is not None
    with pytest.raises(GyrovaeError, match=f"cannot listen on 127.0.0.1:{port}"):
        Page(Watched(Monitor(), "p"), port)


@pytest.mark.parametrize("host", ["localhost", "localhost:9999", "127.0.0.1", "127.0.0.1:80", "[::1]:8080"])
def test_names_of_this_computer(page: Page, host: str) -> None:
    """With any port: a tunnel has another one."""
    assert get(page, host=host).status == 200


@pytest.mark.parametrize(
    "host",
    ["", "example.org", "localhost.example.org", "192.0.2.1", "user@127.0.0.1", "127.0.0.1/x", "a b", "[", ":::"],
)
def test_another_name_that_points_here_is_refused(page: Page, host: str) -> None:
    """Otherwise a page of that name could read along (DNS rebinding)."""
    for path in ("/", "/state.json"):
        assert get(page, path, host=host).status == 403


def test_bound_to_all_addresses_it_answers_to_addresses_and_not_to_names() -> None:
    with served(bind="0.0.0.0", token=TOKEN) as page:
        assert get(page, host="192.0.2.1:80", X_Gyrovae_Token=TOKEN).status == 200
        assert get(page, host="example.org", X_Gyrovae_Token=TOKEN).status == 403


def test_a_token_opens_the_page_and_goes_into_a_cookie() -> None:
    with served(token=TOKEN) as page:
        assert get(page, "/").status == 403
        assert get(page).status == 403
        assert get(page, f"/?token={TOKEN}x").status == 403
        assert get(page, "/?token=%C3%A4").status == 403
        answer = get(page, f"/?token={TOKEN}")
        assert (answer.status, answer.headers["Location"]) == (303, "/")
        cookie = answer.headers["Set-Cookie"]
        assert cookie == f"gyrovae_token_{urlsplit(page.url).port}={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
        kept = cookie.split(";")[0]
        assert get(page, "/", Cookie=f"other=1; {kept}").status == 200
        assert get(page, Cookie=kept).status == 200
        assert get(page, Cookie=f"not_{kept}").status == 403
        assert get(page, X_Gyrovae_Token=TOKEN).status == 200


def test_two_monitors_on_one_computer_do_not_log_each_other_out() -> None:
    """A browser sends the cookies of one to the other, too: it does not part them by port. That of a tunnel counts."""
    with served(token=TOKEN) as one, served(token=TOKEN[::-1]) as other:
        jar = {}
        for page, token, host in ((one, TOKEN, "localhost:9001"), (other, TOKEN[::-1], "localhost:9002")):
            name, value = get(page, f"/?token={token}", host=host).headers["Set-Cookie"].split(";")[0].split("=")
            jar[name] = value
        both = "; ".join(f"{name}={value}" for name, value in jar.items())
        assert get(one, host="localhost:9001", Cookie=both).status == 200
        assert get(other, host="localhost:9002", Cookie=both).status == 200
        assert get(other, host="localhost:9001", Cookie=both).status == 403


def test_it_may_load_nothing_from_elsewhere(page: Page) -> None:
    answer = get(page, "/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy["script-src"])
    assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", policy["style-src"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    text = answer.content.decode()  # type: ignore[attr-defined]
    assert set(re.findall(r"\w+://[^\s\"'<>;]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|\son\w+=", text)


@pytest.mark.parametrize("path", ["/x", "/../etc/passwd", "/monitor.html", "/state.json/"])
def test_there_is_nothing_else(page: Page, path: str) -> None:
    assert get(page, path).status == 404


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_it_can_only_be_read(page: Page, method: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(page.url).port or 0, timeout=10)
    connection.request(method, "/state.json")
    assert connection.getresponse().status == 501
    connection.close()


def test_nonsense_does_no_harm(page: Page, capfd: pytest.CaptureFixture[str]) -> None:
    port = urlsplit(page.url).port or 0
    for nonsense in (b"\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /?token=" + b"a" * 70_000):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(nonsense)
    many = "&".join(["a=1"] * 100)
    for query in ("since=x&picture=-1", "since=99999999999999999999", "%00", "since=1&since=2", many):
        assert get(page, f"/state.json?{query}").status in (200, 400)
    assert get(page, "/").status == 200
    page.close()
    assert capfd.readouterr() == ("", "")


# --- what it says


def test_the_state_of_a_device_that_decides() -> None:
    watched = Watched(Monitor(), NASTY, clock=(clock := Clock()))
    watched.connected = True
    with served(watched) as page:
        empty = told(page)
        assert (empty["latest"], empty["history"], empty["events"], empty["picture"]) == (None, [], [], None)
        watched(decision(0, score=0.5, alarm=False, event=False, begins=False))
        one = {"source": "device", "frontend_us": 5102, "inference_us": 2533, "score_us": 410}
        watched(decision(1, **one))
        watched(decision(2, score=2.5, begins=False, **one))
        clock.now = 2.5
        watched(decision(3, score=math.nan, begins=False, **one))
        found = told(page)
        assert found["port"] == NASTY
        assert found["source"] == "device"
        assert found["history"] == [
            [0, 1_700_000_000.25, 0.5, 0, 0],
            [1, 1_700_000_001.25, 1.734, 1, 1],
            [2, 1_700_000_002.25, 2.5, 1, 1],
            [3, 1_700_000_003.25, None, 1, 1],
        ]
        assert found["latest"]["words"] == ["x 48-55 Hz louder: 61 %", "z 2.0-4.0 Hz quieter: 20 %"]
        assert found["device"] == {"frontend_us": 5102, "inference_us": 2533, "score_us": 410}
        assert found["events"] == [
            {
                "window": 1,
                "began": 1_700_000_001.25,
                "ended": None,
                "lasted_s": 2.5,
                "peak": 2.5,
                "words": ["x 48-55 Hz louder: 61 %", "z 2.0-4.0 Hz quieter: 20 %"],
            }
        ]
        assert found["picture"] is None
        clock.now = 3.5
        watched(decision(4, score=0.5, alarm=False, event=False, begins=False))
        later = told(page, "/state.json?since=3")
        assert [point[0] for point in later["history"]] == [4]
        assert later["events"][0]["ended"] == 1_700_000_004.25
        assert later["events"][0]["lasted_s"] == 3.5


def test_an_event_that_nobody_saw_the_end_of_is_over_when_the_next_begins() -> None:
    watched = Watched(Monitor(), "p")
    watched(decision(0))
    watched(decision(5))  # begins again: the device was unplugged in between
    assert [(spell.window, spell.ended) for spell in watched.events] == [(0, 1_700_000_000.25), (5, None)]


@pytest.mark.parametrize(("pause_s", "ended"), [(60.0, 1_700_000_062.25), (60.5, 1_700_000_002.25)])
def test_time_of_which_nothing_is_known_is_no_part_of_an_event(pause_s: float, ended: float) -> None:
    """The device was gone, and the machine was normal when it came back: up to a minute the event went on."""
    watched = Watched(Monitor(), "p")
    for window in range(3):
        watched(decision(window, begins=not window))
    back = watched.history[-1][1] + pause_s
    watched(decision(3, time=back, alarm=False, event=False, begins=False))
    assert [spell.ended for spell in watched.events] == [ended]


def test_a_device_that_falls_silent_is_not_normal_for_ever() -> None:
    """A verdict is overdue after three windows, 5 s at least; after a minute an event is taken for over."""
    clock = Clock()
    watched = Watched(Monitor(), "p", connected=True, clock=clock)
    with served(watched) as page:
        assert [told(page)[name] for name in ("age_s", "pace_s", "silent_s")] == [None, None, None]
        watched.monitor.window_s = 3.0
        watched(decision(0))
        found = []
        for clock.now in (9.0, 9.5, 60.5):
            state = told(page)
            found.append((state["age_s"], state["pace_s"], state["silent_s"], state["events"][0]["ended"]))
        assert found == [(9.0, 3.0, None, None), (9.5, 3.0, 9.5, None), (60.5, 3.0, 60.5, 1_700_000_000.25)]
        watched(decision(1, begins=False))
        assert (told(page)["silent_s"], told(page)["events"][0]["ended"]) == (None, None), "it goes on"


def test_the_summary() -> None:
    watched = Watched(Monitor(), "p")
    watched.monitor.take([], 0.0)
    assert watched.summary() == "0 windows, 0 alarms, 0 events"


def test_a_long_history_comes_in_part() -> None:
    watched = Watched(Monitor(), "p")
    for window in range(3000):
        watched(decision(window))
    with served(watched) as page:
        assert [point[0] for point in told(page)["history"]] == list(range(2400, 3000))
        assert len(told(page)["events"]) == 50


def monitored(tiny: Tiny) -> tuple[Watched, Page]:
    """The page of a machine whose imbalance came and went, with pictures of its latest windows."""
    spec = tiny.bundle.spec
    watched = Watched(Monitor(Detector(tiny.bundle), hop=32), NASTY, "run", clock=Clock())
    watched.connected = True
    page = Page(watched, 0)
    watched.monitor.connected(0.0)
    watched.monitor.take([Banner(sensor="QMA7981", rate_hz=200.0, lsb=spec.lsb, boot=3)], 0.0)
    parts = [
        simulate(TINY_MACHINE, seconds=seconds, seed=9 + i, fault=fault).samples
        for i, (seconds, fault) in enumerate([(10, None), (8, "imbalance"), (5, None)])
    ]
    began = time.time()
    for number, counts in enumerate(frontend.to_counts(np.concatenate(parts), spec.lsb).tolist()):
        for made in watched.monitor.take([Sample(number, number * 5000, *counts)], began + number / 200):
            watched(made)
            page.state(made.window, -1)  # somebody looks
            page._pictured = -math.inf  # each is due
            page(made)
    return watched, page


@pytest.fixture(scope="module")
def machine(tiny: Tiny) -> Iterator[tuple[Watched, Page]]:
    watched, page = monitored(tiny)
    yield watched, page
    page.close()


@pytest.mark.slow
def test_the_pictures_are_the_window_s_and_what_the_model_makes_of_it(
    tiny: Tiny, machine: tuple[Watched, Page]
) -> None:
    watched, page = machine
    found = told(page)
    picture = found["picture"]
    assert watched.latest is not None
    assert watched.latest.images is not None
    assert picture["window"] == watched.latest.window
    rebuilt = Detector(tiny.bundle).model.rebuilt(watched.latest.images[None])[0]
    for index, name in enumerate(("scalogram", "field")):
        seen, made = (
            np.frombuffer(base64.b64decode(picture[which][name]), np.int8).reshape(32, 32, 3)
            for which in ("seen", "rebuilt")
        )
        assert np.array_equal(seen, watched.latest.images[index])
        assert np.abs(made / 32 - np.clip(rebuilt[index], -4, 4)).max() <= 0.04
    assert found["vote"] == [tiny.bundle.calibration.vote_alarms, tiny.bundle.calibration.vote_windows]
    assert told(page, f"/state.json?picture={picture['window']}")["picture"] is None
    assert found["counters"]["samples"] == 4600
    assert found["rate_hz"] == pytest.approx(200)


# --- how a browser shows it


_OUTER = """<!DOCTYPE html><link rel="icon" href="data:," /><body style="margin:0">
<iframe id="page" src="/" style="border:0;width:{width}px;height:2600px"
></iframe><script>
setTimeout(() => {{
  const inside = document.getElementById("page").contentDocument;
  const drawn = id => {{
    const canvas = inside.getElementById(id);
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    return new Set(Array.from({{length: data.length / 4}}, (_, i) => data.slice(4 * i, 4 * i + 3).join())).size;
  }};
  const wide = [...inside.querySelectorAll("main *")].filter(part => !part.closest(".scroll") && !part.closest("svg")
    && part.getBoundingClientRect().right > {width} + 1).map(part => part.outerHTML.slice(0, 80));
  const text = id => inside.getElementById(id).textContent;
  document.body.dataset.out = JSON.stringify({{
    scroll: inside.documentElement.scrollWidth, wide, title: text("title"), word: text("word"), score: text("score"),
    kind: inside.getElementById("now").className,
    when: text("when"), origin: text("origin"), counts: text("counts"), blind: inside.getElementById("blind").hidden,
    reasons: inside.querySelectorAll("#reasons li").length,
    events: [...inside.querySelectorAll("#events tr")].map(row => row.textContent),
    alarms: inside.querySelectorAll("#chart .alarm").length, stretches: inside.querySelectorAll("#chart .event").length,
    points: inside.querySelector("#chart .trace").getAttribute("points").split(" ").length,
    colours: ["seen-scalogram", "rebuilt-scalogram", "seen-field", "rebuilt-field"].map(drawn)}});
}}, 3000);
</script></body>"""


@contextmanager
def framed(page: Page, width: int) -> Iterator[tuple[str, list[str]]]:
    """The page behind a server that puts it into a frame of some width; its address, and the paths it is asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/outer":
                kind, content, policy = "text/html", _OUTER.format(width=width).encode(), None
            else:
                answer = get(page, self.path)
                kind, policy = answer.headers["Content-Type"], answer.headers["Content-Security-Policy"]
                content = answer.content  # type: ignore[attr-defined]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if policy:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/outer", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def looked_at(chromium: str, page: Page, folder: Path, width: int) -> dict[str, Any]:
    """What a browser shows, which asks for the page and its state alone, and nobody else."""
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars "
        "--enable-logging=stderr --disable-features=NetworkTimeServiceQuerying --virtual-time-budget=8000 --lang=en-US"
    )
    net, shot = folder / "net.json", folder / "shot.png"
    with framed(page, width) as (address, asked):
        done = subprocess.run(
            [
                chromium,
                *flags.split(),
                f"--user-data-dir={folder / 'profile'}",
                f"--window-size={max(width, 500)},2600",
                f"--log-net-log={net}",
                f"--screenshot={shot}",
                "--dump-dom",
                address,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        origin = address.removesuffix("/outer")
    (raw,) = re.findall(r'data-out="([^"]+)"', done.stdout)
    out: dict[str, Any] = json.loads(html.unescape(raw))
    assert "CONSOLE" not in done.stderr
    assert out["scroll"] <= width
    assert out["wide"] == []
    assert len([path for path in asked if path.startswith("/state.json")]) > 2, "it goes on asking"
    assert {urlsplit(path).path for path in asked} == {"/outer", "/", "/state.json"}
    _only_from(net, origin)
    _not_blank(shot)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_it(chromium: str, machine: tuple[Watched, Page], tmp_path: Path, width: int) -> None:
    watched, page = machine
    out = looked_at(chromium, page, tmp_path, width)
    assert out["title"] == f"gyrovae-tf monitor: {NASTY}"
    assert watched.latest is not None
    assert out["word"] == ("EVENT" if watched.latest.event else "alarm" if watched.latest.alarm else "normal")
    assert out["score"] == f"score {watched.latest.score:.2f}, threshold 1.00"
    assert out["origin"] == "Sensor QMA7981; this computer decides with run; an event is 3 alarms of 5 windows."
    assert out["reasons"] == len(watched.latest.reasons)
    assert len(out["events"]) == watched.monitor.events >= 1
    assert out["points"] == watched.monitor.made == 142
    assert out["alarms"] == watched.monitor.alarms > 5
    assert out["stretches"] == sum(event for *_, event in watched.history)
    assert "samples4,600" in out["counts"]
    assert out["blind"], "there are pictures"
    assert min(out["colours"]) > 5


def stock_console() -> Watched:
    """A stock firmware's console on which the third of four windows begins an event; each is printed once."""
    calibration = StockCalibration(Band(-20.0, -10.0, 0.0), Band(-30.0, -25.0, -15.0), 0.5, 0.01, 100, 2, 3)
    detector: Any = SimpleNamespace(bundle=StockBundle(b"", StockSpec(), calibration, ()))
    watched = Watched(Monitor(detector), NASTY, "run", connected=True, clock=Clock())
    for i, first in enumerate([-10.5, -30.5, -40.5, math.nan]):
        for made in watched.monitor.take([StockFigures(first, -25.0), StockSampled(300, 1000 + 300 * i)], 9.0 + i):
            watched(made)
    return watched


def test_what_is_told_of_the_stock_firmware_s_console() -> None:
    with served(stock_console()) as page:
        found = told(page)
    assert found["latest"]["figures"] == {"scalogram_db": None, "field_db": -25.0}
    assert found["counters"] == {
        **{"windows": 4, "alarms": 2, "events": 1, "results": 4, "bad_lines": 0, "boots": 0, "connections": 0}
    }
    assert found["events"][0]["words"] == ["scalogram -40.50 dB, alarm from -20.50 down: unlike normal motion"]
    assert (found["vote"], found["protocol"], found["picture"], found["rate_hz"]) == ([2, 3], "stock", None, None)


@pytest.mark.slow
def test_a_browser_shows_the_stock_firmware_s_figures(chromium: str, tmp_path: Path) -> None:
    with served(stock_console()) as page:
        out = looked_at(chromium, page, tmp_path, 390)
    assert (out["word"], out["score"]) == ("EVENT", "score 0.00, threshold 1.00")
    assert out["when"].endswith("; scalogram no number, field -25.00 dB")
    assert out["origin"] == "this computer decides with run; an event is 2 alarms of 3 windows."
    assert (out["points"], out["alarms"], out["stretches"], len(out["events"])) == (4, 2, 2, 1)
    assert out["counts"].startswith("windows4alarms2events1results printed4")
    assert not out["blind"], "why there are no pictures is told"


@pytest.mark.slow
def test_a_browser_shows_that_nothing_is_decided_any_more(chromium: str, tmp_path: Path) -> None:
    """And on which day an event of another day began."""
    watched = stock_console()
    watched.clock = lambda: 61.0
    with served(watched) as page:
        out = looked_at(chromium, page, tmp_path, 390)
    assert (out["word"], out["kind"]) == ("no verdict for 61 s", "now look")
    assert out["score"] == "", "it is not of now"
    assert re.match(r"last: window 3 at .*1970.*; scalogram no number, .*, score 0.00$", out["when"])
    (event,) = out["events"]
    assert re.search(r"1970", event)


@pytest.mark.slow
def test_a_browser_shows_when_a_device_that_is_gone_was_last_heard(chromium: str, tmp_path: Path) -> None:
    watched = stock_console()
    watched.connected = False
    with served(watched) as page:
        out = looked_at(chromium, page, tmp_path, 390)
    assert (out["word"], out["score"], out["kind"]) == ("not connected", "", "now look")
    assert re.match(r"the port is waited for; last: window 3 at .*1970", out["when"])


def _only_from(net: Path, origin: str) -> None:
    """By the browser's own record of its network the page asks nobody else. (The browser itself asks for the time.)"""
    params = [event.get("params", {}) for event in json.loads(net.read_text(encoding="utf-8"))["events"]]
    asked = {found["url"] for found in params if "url" in found and found.get("initiator") == origin}
    assert any(url.startswith(f"{origin}/state.json") for url in asked)
    assert not {url for url in asked if not url.startswith(f"{origin}/")}
    others = {found["initiator"] for found in params if str(found.get("initiator", "")).startswith("http")}
    assert others == {origin}


def _not_blank(shot: Path) -> None:
    from matplotlib import image

    pixels = image.imread(shot)[..., :3]
    assert pixels.shape[0] > 2000
    ink = (np.abs(pixels - pixels[0, 0]) > 0.2).any(axis=2).mean()
    assert 0.01 < ink < 0.9


def test_a_report_and_the_live_page_say_the_same_of_rebuilt_images() -> None:
    from gyrovae_tf.learn.pictures import REBUILT

    assert REBUILT in Path(web.__file__).with_name("monitor.html").read_text(encoding="utf-8")
