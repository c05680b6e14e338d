"""What is known of a monitored device in, a small page for browsers on this computer out.

One page with its style and script inside, and the state as JSON, which the script asks for. Elsewhere than on this
computer only with a token. A Host header that is not ours is refused: another site's name may point here (DNS
rebinding). The page may load nothing but what comes from here (CSP).
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import http.server
import ipaddress
import json
import math
import re
import socket
import threading
import time
from importlib import resources
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

import numpy as np

from gyrovae_tf.device.monitor import Decision
from gyrovae_tf.device.watched import Watched
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.spec import PIXEL

if TYPE_CHECKING:
    from gyrovae_tf.runtime import Detector

PAGE = "monitor.html"
TOKEN_HEADER = "X-Gyrovae-Token"
_COOKIE = "gyrovae_token_{}"  # browsers do not part cookies by port: two monitors on one computer have two
_LEAST_TOKEN = 16
_LOOKED_S = 5.0  # how long after its last question a browser is taken to be looking
_PICTURE_S = 0.5  # from one pair of pictures to the next
_MOST_POINTS = 600  # of the history that a page is given at once


class Page:
    """A web server in a thread of its own, as long as it is not closed. Called with each decision."""

    def __init__(self, watched: Watched, port: int, *, bind: str = "127.0.0.1", token: str | None = None) -> None:
        """Begin to listen; `port` 0 is any free one. `GyrovaeError` for another address than this computer's own
        without a token of 16 characters or more, and when nothing can listen there."""
        try:
            local = bind == "localhost" or ipaddress.ip_address(bind.strip("[]")).is_loopback
        except ValueError:
            raise GyrovaeError(
                "the address to bind to", expected="an IP address, or localhost", received=bind
            ) from None
        if token is not None and not re.fullmatch(rf"[\w.~-]{{{_LEAST_TOKEN},}}", token, re.ASCII):
            raise GyrovaeError(
                "the token is not usable", expected=f"at least {_LEAST_TOKEN} letters, digits or - _ . ~"
            )
        if not local and token is None:
            raise GyrovaeError(
                f"whoever reaches {bind} could read along",
                expected="a token for other addresses than 127.0.0.1",
                remedy="Give one with --web-token, or leave --web-bind out.",
            )
        self._watched, self._token = watched, token
        self._picture: dict[str, Any] | None = None
        self._pictured = self._looked = -math.inf
        self._text, self._policy = _page()
        host = bind.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        handler = functools.partial(_Handler, self)
        kind = type("_Server", (http.server.ThreadingHTTPServer,), {"address_family": family, "daemon_threads": True})
        try:
            self._server = kind((host, port), handler)
        except (OSError, OverflowError) as error:
            raise GyrovaeError(
                f"cannot listen on {bind}:{port}: {getattr(error, 'strerror', None) or error}",
                remedy="Choose another port; 0 is any free one.",
            ) from None
        self._bound = int(self._server.server_address[1])
        self._host = host
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._bound}/"
        """Where a browser finds it."""
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
        self._thread.start()

    def __call__(self, decision: Decision) -> None:
        """Keep the pictures of this decision, if somebody looks and they are due. (The history is `Watched`'s.)"""
        now = time.monotonic()
        detector = self._watched.monitor.detector
        if decision.images is None or detector is None or now - self._looked > _LOOKED_S:
            return
        if now - self._pictured < _PICTURE_S:
            return
        self._pictured = now
        model = cast("Detector", detector).model  # no other gives images
        rebuilt = np.clip(np.rint(model.rebuilt(decision.images[None])[0] * PIXEL), -128, 127).astype(np.int8)
        names = ("scalogram", "field")
        self._picture = {
            "window": decision.window,
            "score": decision.score if math.isfinite(decision.score) else None,
            "seen": {name: _base64(decision.images[i]) for i, name in enumerate(names)},
            "rebuilt": {name: _base64(rebuilt[i]) for i, name in enumerate(names)},
        }

    def notes(self) -> list[str]:
        """Nothing goes wrong here that is not told to the browser."""
        return []

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def allowed_host(self, name: str | None) -> bool:
        """Whether a request's Host header means this server."""
        try:
            parts = urlsplit(f"//{name or ''}")
            host, _port = parts.hostname, parts.port  # of a tunnel it may be another
        except ValueError:
            return False
        if host is None or parts.username is not None or parts.path:
            return False
        if host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False  # a name: anybody's may point here
        if self._host == "localhost" or not ipaddress.ip_address(self._host).is_unspecified:
            return host == self._host or address.is_loopback
        return True  # bound to all addresses, of which one was asked for

    def allowed(self, given: list[str]) -> bool:
        """Whether one of the tokens that were given is ours, or none is needed. Takes the same time for all."""
        if self._token is None:
            return True
        token = self._token.encode()
        same = [hmac.compare_digest(one.encode(errors="replace"), token) for one in given]
        return any(same)

    def state(self, since: int, pictured: int) -> dict[str, Any]:
        """The window that a page knows already, and that of its pictures, in; what is new, JSON-ready, out."""
        self._looked = time.monotonic()
        watched, monitor = self._watched, self._watched.monitor
        with watched.lock:
            latest, spells = watched.latest, watched.spells()
            age, silent = watched.age_s, watched.silent_s
            history = [point for point in watched.history if point[0] > since][-_MOST_POINTS:]
        banner = monitor.banner
        voted = monitor.source == "host" or (banner is not None and banner.model != "none")
        device = None
        if latest is not None and latest.source == "device":
            device = {name: getattr(latest, name) for name in ("frontend_us", "inference_us", "score_us")}
        picture = self._picture
        return {
            "port": watched.port,
            "model": watched.model,
            "source": monitor.source,
            "sensor": None if banner is None else banner.sensor,
            "connected": watched.connected,
            "age_s": age,
            "pace_s": monitor.window_s,
            "silent_s": silent,
            "protocol": monitor.protocol,
            "rate_hz": monitor.rate_hz,
            "threshold": monitor.threshold,
            "vote": list(monitor.rule) if voted else None,
            "latest": None if latest is None else latest.to_dict() | {"words": [*latest.words]},
            "history": [[w, t, s if math.isfinite(s) else None, int(a), int(e)] for w, t, s, a, e in history],
            "events": [
                {
                    "window": spell.window,
                    "began": spell.began,
                    "ended": spell.ended,
                    "lasted_s": spell.lasted_s,
                    "peak": spell.peak if math.isfinite(spell.peak) else None,
                    "words": list(spell.reasons),
                }
                for spell in spells
            ],
            "counters": watched.counters(),
            "device": device,
            "picture": picture if picture is not None and picture["window"] != pictured else None,
        }

    def answer(self, request: _Handler) -> None:
        """Answer a GET."""
        path, _, words = request.path.partition("?")
        try:
            query = parse_qs(words, max_num_fields=8)
        except ValueError:
            request.reply(400, "text/plain", b"This is no question of the page.\n")
            return
        if not self.allowed_host(request.headers.get("Host")):
            request.reply(403, "text/plain", b"This name is not that of the monitor.\n")
            return
        from_query = query.get("token", [])
        name = _COOKIE.format(urlsplit(f"//{request.headers.get('Host')}").port or 80)  # as the browser has it
        given = [*from_query, request.headers.get(TOKEN_HEADER, ""), _cookie(name, request.headers.get("Cookie", ""))]
        if not self.allowed(given):
            request.reply(
                403, "text/plain", b"A token is needed: open the page with ?token=TOKEN behind its address.\n"
            )
            return
        if path == "/" and from_query and self._token is not None:
            # The token goes out of the address, which is shown and remembered, into a cookie.
            cookie = f"{name}={self._token}; HttpOnly; SameSite=Strict; Path=/"
            request.reply(303, "text/plain", b"", {"Location": "/", "Set-Cookie": cookie})
        elif path == "/":
            request.reply(200, "text/html; charset=utf-8", self._text, {"Content-Security-Policy": self._policy})
        elif path == "/state.json":
            found = self.state(_whole(query.get("since")), _whole(query.get("picture")))
            request.reply(200, "application/json", json.dumps(found, allow_nan=False).encode())
        else:
            request.reply(404, "text/plain", b"There is nothing here.\n")


class _Handler(http.server.BaseHTTPRequestHandler):
    """One connection of a browser."""

    server_version, sys_version = "gyrovae-tf", ""
    protocol_version = "HTTP/1.1"
    timeout = 30

    def __init__(self, page: Page, *args: Any) -> None:
        self._page = page
        super().__init__(*args)

    def do_GET(self) -> None:
        self._page.answer(self)

    def reply(self, status: int, kind: str, content: bytes, headers: dict[str, str] | None = None) -> None:
        """Send an answer with the headers that all of ours have."""
        self.send_response(status)
        fixed = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in {**fixed, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the browser went away

    def log_message(self, *_args: Any) -> None:
        """Nothing: the terminal is for verdicts."""


@functools.cache
def _page() -> tuple[bytes, str]:
    """The page, and a policy that lets run what is in it and nothing else."""
    text = resources.files("gyrovae_tf.device").joinpath(PAGE).read_text(encoding="utf-8")
    hashes = {}
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        hashes[tag] = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    return text.encode(), policy


def _base64(image: Any) -> str:
    return base64.b64encode(image.tobytes()).decode()


def _cookie(name: str, header: str) -> str:
    found = re.search(rf"(?:^|;\s*){name}=([^;\s]+)", header)
    return found[1] if found else ""


def _whole(values: list[str] | None) -> int:
    """A number of a query, or -1."""
    return int(values[0]) if values and re.fullmatch(r"\d{1,15}", values[0]) else -1
