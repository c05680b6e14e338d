"""collect and monitor against the firmware itself, on an emulated Cortex-M4F, through the commands a user types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import emulated_device as emulated
import numpy as np
import pytest
from click.testing import CliRunner
from gyrovae_tf.cli.main import cli
from numpy.typing import NDArray

from gyrovae_tf.device import onsite
from gyrovae_tf.device.outlet import Pty
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.recording import Recording

SCRIPT = emulated.made_up()


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    return emulated.built(tmp_path_factory.mktemp("device"), SCRIPT, on="cortex-m4f")


@pytest.fixture
def port(command: list[str | Path], tmp_path: Path) -> Iterator[str]:
    """The serial port of a device that has just been switched on; nobody listens to it yet."""
    with emulated.running(command, tmp_path) as device:
        device.link.close()
        yield device.port


def follows_script(counts: NDArray[np.int_]) -> bool:
    """Whether counts are those of the script, which begins anew whenever collect asks for the mode: at first, and after
    each second without an answer."""
    script = np.resize(SCRIPT.windows.reshape(-1, 3), counts.shape)
    for _ in range(10):
        apart = np.flatnonzero((counts != script[: len(counts)]).any(axis=1))
        if not len(apart):
            return True
        starts = [
            row for row in range(1, apart[0] + 1) if (counts[row : apart[0] + 1] == script[: apart[0] + 1 - row]).all()
        ]
        if not starts:
            return False
        counts = counts[starts[0] :]
    return False


def test_collect_writes_what_the_sensor_gave(port: str, tmp_path: Path) -> None:
    output = tmp_path / "normal.csv"
    wanted = ["--samples", "3000", "--accept-anyway"]  # the script's windows reach the ends of the range
    done = CliRunner().invoke(cli, ["collect", "--port", port, "-o", str(output), *wanted, "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["segments"], facts["lost"], facts["rate_hz"]) == (1, 0, pytest.approx(200, rel=1e-6))
    found = Recording.read(output)
    counts = np.rint(found.samples / SCRIPT.bundle.spec.lsb).astype(int)
    assert len(counts) == 3000
    assert follows_script(counts)
    assert found.lsb == pytest.approx(SCRIPT.bundle.spec.lsb)


def test_calibrate_sets_a_threshold_on_site_and_forgets_it(port: str) -> None:
    windows = int(60 * emulated.RATE_HZ / emulated.WINDOW)
    logs = np.log2(np.resize(SCRIPT.scores, windows))
    threshold = 2 ** (logs.mean() + SCRIPT.bundle.calibration.reach * logs.std(ddof=1))
    done = CliRunner().invoke(cli, ["calibrate", "--port", port, "--minutes", "1", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["threshold"] == pytest.approx(threshold, rel=1e-3)
    assert (found["windows"], found["spec"]) == (windows, SCRIPT.bundle.spec.digest)
    done = CliRunner().invoke(cli, ["calibrate", "--port", port, "--forget", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["windows"] == 0
    seen: list[tuple[int, int]] = []

    with pytest.raises(GyrovaeError, match="stopped; the device keeps the threshold that it had"):
        onsite.calibrate(port, minutes=60, progress=lambda *at: seen.append(at), stop=lambda: len(seen) > 3)
    assert seen[0] == (1, 60 * 60 * emulated.RATE_HZ // emulated.WINDOW)


def test_a_port_where_no_device_of_ours_speaks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onsite, "_ANSWER_S", 0.5)
    outlet = Pty(tmp_path / "port")
    done = CliRunner().invoke(cli, ["calibrate", "--port", str(tmp_path / "port")])
    outlet.unplug()
    assert done.exit_code == 2
    assert done.stderr.startswith("gyrovae-tf: no device of ours answers on the port; expected a banner within 0.5 s")


def test_monitor_tells_what_the_device_decided(port: str) -> None:
    """Before it is heard, verdicts are lost; each time that it is told its mode, three at the most, the script begins
    anew. Apart from that one follows on the other."""
    count = len(SCRIPT.scores)
    done = CliRunner().invoke(cli, ["monitor", "--port", port, "--windows", str(3 * count), "--json"])
    assert done.exit_code == 0, done.output
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == 3 * count
    scores = np.array([one["score"] for one in found])
    places = np.abs(scores[:, None] - SCRIPT.scores).argmin(axis=1)
    np.testing.assert_allclose(scores, SCRIPT.scores[places], rtol=1e-4, atol=5.1e-4)
    none_missing = np.diff([one["number"] for one in found]) == emulated.WINDOW
    follows, anew = np.diff(places) % count == 1, places[1:] == 0
    assert (follows | anew)[none_missing].all()
    assert (follows & none_missing).sum() >= 2 * count
    assert (anew & ~follows).sum() <= 3
    assert [one["alarm"] for one in found] == (SCRIPT.scores[places] >= 1).tolist()
    assert all(one["reasons"] for one in found)
    assert Path(port).exists()  # the device runs on
