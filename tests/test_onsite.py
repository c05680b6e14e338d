"""calibrate on site, where no device answers: what is told, and when (with a device: test_emulated_programs)."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from gyrovae_tf.device import onsite
from gyrovae_tf.errors import GyrovaeError


@pytest.mark.parametrize("ask", [onsite.calibrate, onsite.forget])
def test_a_port_that_goes_away_before_a_device_answers_is_told(ask: Any) -> None:
    """And not as a device that is none of ours."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = f"socket://127.0.0.1:{server.getsockname()[1]}"
        threading.Timer(0.3, lambda: server.accept()[0].close()).start()
        with pytest.raises(GyrovaeError, match=rf"{port} is gone\nPlug it in"):
            ask(port)


@pytest.mark.parametrize("minutes", [0, 1441, "5", 2.5])
def test_minutes_that_cannot_be_asked_for(minutes: Any) -> None:
    with pytest.raises(GyrovaeError, match="so many minutes cannot be asked for; expected 1 to 1440, received"):
        onsite.calibrate("/dev/none", minutes=minutes)
