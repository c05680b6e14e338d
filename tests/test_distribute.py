"""Training that is shared out: who is who, what all of them must agree on, and that nothing but rounding changes."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import TINY_MACHINE, TINY_WINDOW, tiny_options
from gyrovae_tf.cli.learn import DISTRIBUTIONS
from hypothesis import given, settings
from hypothesis import strategies as st

from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import cluster as workers
from gyrovae_tf.learn.cluster import Cluster, from_environment, meet

if sys.platform != "linux":
    pytest.skip("several processes on loopback are tried on Linux", allow_module_level=True)

# --- TF_CONFIG


def config(cluster: Any, task: Any) -> str:
    return json.dumps({"cluster": cluster, "task": task})


def test_who_is_who(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {"worker": ["a:2222", "b:2222"]}
    monkeypatch.setenv("TF_CONFIG", config(both, {"type": "worker", "index": 1}))
    assert from_environment() == Cluster(("a:2222", "b:2222"), 1)
    assert not from_environment().is_first
    assert from_environment().me == "worker 1 of 2"
    # A chief is in front of the workers.
    led = {"worker": ["a:1"], "chief": ["[::1]:2"]}
    monkeypatch.setenv("TF_CONFIG", config(led, {"type": "chief", "index": 0}))
    assert from_environment() == Cluster(("[::1]:2", "a:1"), 0)
    monkeypatch.setenv("TF_CONFIG", config(led, {"type": "worker", "index": 0}))
    assert from_environment().index == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "TF_CONFIG is not set"),
        ("", "TF_CONFIG is not set"),
        ("{", "TF_CONFIG is not JSON"),
        ("[]", "TF_CONFIG lacks cluster or task"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG lacks cluster or task"),
        (config({"ps": ["a:1"]}, {"type": "ps", "index": 0}), "tasks of another kind: ps"),
        (config({"worker": "a:1"}, {"type": "worker", "index": 0}), "worker is no list of addresses"),
        (config({"worker": ["a"]}, {"type": "worker", "index": 0}), "worker is no list of addresses"),
        (config({"worker": ["a:70000"]}, {"type": "worker", "index": 0}), "worker is no list of addresses"),
        (config({"worker": ["a:1", "a:1"]}, {"type": "worker", "index": 0}), "has an address twice"),
        (config({"chief": ["a:1", "b:1"]}, {"type": "chief", "index": 0}), "has several chiefs"),
        (config({"worker": ["a:1"]}, {"type": "worker", "index": 1}), "none of the cluster; expected worker 0"),
        (config({"worker": ["a:1"]}, {"type": "worker", "index": "0"}), "none of the cluster"),
        (config({"worker": ["a:1"]}, {"type": ["worker"], "index": 0}), "none of the cluster"),
    ],
)
def test_what_is_wrong_with_it(monkeypatch: pytest.MonkeyPatch, text: str | None, words: str) -> None:
    if text is None:
        monkeypatch.delenv("TF_CONFIG", raising=False)
    else:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(GyrovaeError, match=words):
        from_environment()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.sampled_from(["worker", "chief", "a:1", "b:2", ""]),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(["worker", "chief", "x"]), inside),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(st.fixed_dictionaries({"cluster": JSON, "task": st.fixed_dictionaries({"type": JSON, "index": JSON}) | JSON}))
def test_any_other_is_refused_in_words(raw: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_CONFIG", json.dumps(raw))
        try:
            found = from_environment()
        except GyrovaeError:
            return
        assert 0 <= found.index < len(found.addresses)


# --- what all of them begin with


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def met(*given: dict[str, Any], patience_s: float = 60, absent: Sequence[int] = ()) -> list[Any]:
    """What each worker with what it was given has at the end, or the error; the first has a record and a state."""
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(len(given)))
    found: list[Any] = [None] * len(given)

    def one(index: int) -> None:
        first = ({"record": "of the first"}, b"state") if index == 0 else ({}, b"")
        try:
            found[index] = meet(Cluster(addresses, index), given[index], first, patience_s)
        except GyrovaeError as error:
            found[index] = str(error)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(given)) if index not in absent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    return found


BEGUN = ({"record": "of the first"}, b"state")


def test_all_begin_with_what_the_first_has() -> None:
    assert met({"dataset": "d", "options": [1]}) == [BEGUN]
    same: dict[str, Any] = {"dataset": "d", "options": [1]}
    assert met(same, {"dataset": "d", "options": None}, same) == [BEGUN] * 3


def test_one_that_was_given_something_else_stops_all() -> None:
    told = "the workers cannot train together: worker 2 was given another dataset, another options"
    same: dict[str, Any] = {"dataset": "d", "options": 1}
    found = met(same, {"dataset": "e", "options": 2}, patience_s=3)
    assert found == [told.replace("worker 2", "worker 1")] * 2
    assert "another version of gyrovae-tf" in met(same, {"dataset": "d"}, patience_s=3)[0]


def test_one_that_never_comes_is_named() -> None:
    found = met({"dataset": "d"}, {"dataset": "d"}, {"dataset": "d"}, patience_s=1.5, absent=[1])
    assert found[0].startswith("the workers cannot train together: did not come in time: worker 1 (127.0.0.1:")
    assert found[2] == found[0]
    alone = met({"dataset": "d"}, {"dataset": "d"}, patience_s=0.5, absent=[0])
    assert alone[1].startswith("the first worker does not answer at 127.0.0.1:")
    assert "Start the same command there" in alone[1]


def test_two_that_take_themselves_for_the_same() -> None:
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(3))
    found: dict[str, str] = {}

    def one(name: str, index: int) -> None:
        with pytest.raises(GyrovaeError) as caught:
            meet(Cluster(addresses, index), {"dataset": "d"}, BEGUN, 6)
        found[name] = str(caught.value)

    threads = [threading.Thread(target=one, args=place) for place in (("first", 0), ("a", 1), ("b", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert set(found) == {"first", "a", "b"}
    assert "worker 1 came twice: two processes have the same TF_CONFIG" in found["first"]


def test_strangers_at_the_port_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_KNOCK_S", 0.3)
    addresses = tuple(f"127.0.0.1:{port}" for port in free_ports(2))
    found: list[Any] = []
    first = threading.Thread(target=lambda: found.append(meet(Cluster(addresses, 0), {"dataset": "d"}, BEGUN, 60)))
    first.start()
    port = int(addresses[0].rpartition(":")[2])
    head = workers._HEAD
    for said in (b"", b"GET / HTTP/1.1\r\n\r\n", head.pack(2, 0) + b"[]", head.pack(9, 0) + b'{"a": [}', b"\xff" * 8):
        until(lambda said=said: knocked(port, said))  # type: ignore[misc]
    unhashable = json.dumps({"index": [], "addresses": list(addresses), "given": {}}).encode()
    until(lambda: knocked(port, head.pack(len(unhashable), 0) + unhashable))
    assert meet(Cluster(addresses, 1), {"dataset": "d"}, ({}, b""), 60) == BEGUN
    first.join(timeout=60)
    assert found == [BEGUN]


def knocked(port: int, said: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as guest:
            guest.sendall(said)
            return True
    except OSError:
        return False


def until(condition: Callable[[], Any], seconds: float = 300) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.02)


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("", 0)) as taken:
        addresses = (f"127.0.0.1:{taken.getsockname()[1]}", "127.0.0.1:1")
        with pytest.raises(GyrovaeError, match=r"cannot listen at port \d+, which TF_CONFIG names"):
            meet(Cluster(addresses, 0), {}, BEGUN, 1)


# --- training

NOT_THE_SAME_SUMS = 1e-4
"""How far two figures of the log may lie apart, relative to them. A float32 has 24 bits: a sum of some thousand pixels,
made in another order, differs by about 1e-7 of it, and training carries that on: 1e-7 was seen after 100 steps, 2e-7
after 200, 1e-4 after 400, 8e-4 after 2,000. So these trainings are short. What is wrong in earnest was tried, too, and
lay further off in the first epoch already: free nats of each replica's own mean by 5e-4, gradients of twice the size by
2e-2, the same noise in all replicas by 3e-2, the same half of the batch by 7e-2."""


def log_of(run: Path) -> list[list[float]]:
    with (run / "log.csv").open(newline="") as file:
        return [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]


def same_curve(one: Path, other: Path) -> None:
    assert len(log_of(one)) == len(log_of(other))
    for row, expected in zip(log_of(one), log_of(other), strict=True):
        assert row == pytest.approx(expected, rel=NOT_THE_SAME_SUMS)


def test_names_of_ways() -> None:
    from gyrovae_tf.learn.distribute import KINDS

    assert KINDS == DISTRIBUTIONS


def test_what_cannot_be_distributed(tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gyrovae_tf.learn.train import train

    with pytest.raises(GyrovaeError, match="unknown way to distribute; expected mirrored or multiworker, received tpu"):
        train(tiny.dataset, tmp_path / "run", distribute="tpu")
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(GyrovaeError, match="TF_CONFIG is not set"):
        train(tiny.dataset, tmp_path / "run", distribute="multiworker")
    assert not (tmp_path / "run").exists()


def test_one_device_trains_as_ever(tiny: Any, tmp_path: Path) -> None:
    from gyrovae_tf.learn.train import train

    run = train(tiny.dataset, tmp_path / "run", options=tiny_options(), distribute="mirrored")
    assert run.metrics["distributed"] == {"how": "mirrored", "replicas": 1}
    for name in ("log.csv", "state.npz"):
        assert (tmp_path / "run" / name).read_bytes() == (tiny.run.path / name).read_bytes()


def test_the_command_says_that_there_is_one_device(tiny: Any, tmp_path: Path) -> None:
    from click.testing import CliRunner
    from gyrovae_tf.cli.main import cli

    words = ["train", str(tiny.dataset.path), "-o", str(tmp_path / "run"), "--epochs", "1", "--distribute", "mirrored"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "distributed over 1 replica: this computer has one device, so it trained as without" in done.stdout


_TWO_PROCESSORS = """
import sys
from gyrovae_tf.learn.engine import tf
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
import gyrovae_tf as gt
from conftest import tiny_options
dataset, output = sys.argv[1:]
try:
    gt.train(dataset, output, options=tiny_options(batch=33), distribute="mirrored")
except gt.GyrovaeError as error:
    print(error)
run = gt.train(dataset, output, options=tiny_options(), distribute="mirrored")
print(run.metrics["distributed"])
"""


@pytest.mark.slow
def test_two_processors_give_the_curve_of_one(tiny: Any, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _TWO_PROCESSORS, str(tiny.dataset.path), str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("a batch of 33 windows cannot be divided among 2 replicas; expected a multiple of 2")
    assert lines[1] == "Choose --batch 32."
    assert lines[-1] == "{'how': 'mirrored', 'replicas': 2}"
    same_curve(tmp_path / "run", tiny.run.path)


WORDS = ("--epochs", "2", "--batch", "16", "--seed", "1")


class Pair:
    """The same command on two workers."""

    def __init__(self, folder: Path, *datasets: Path, code: str | None = None) -> None:
        """Where to put `run0` and `run1`, each one's dataset, and code in the place of the command train."""
        self.folder, self.datasets = folder, datasets
        command = ("-m", "gyrovae_tf.cli.main", "train") if code is None else ("-c", code)
        self.command = (sys.executable, *command)

    def start(self, *words: str) -> list[subprocess.Popen[str]]:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
        return [
            subprocess.Popen(
                [
                    *(*self.command, str(self.datasets[index])),
                    *("-o", str(self.folder / f"run{index}"), "--distribute", "multiworker", *words),
                ],
                env={
                    **os.environ,
                    "PYTHONPATH": str(Path(__file__).parent),
                    "TF_CONFIG": config({"worker": addresses}, {"type": "worker", "index": index}),
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for index in (0, 1)
        ]

    def run(self, *words: str) -> list[str]:
        outputs = []
        for process in self.start(*words):
            output, errors = process.communicate(timeout=1200)
            assert process.returncode == 0, errors
            outputs.append(output)
        return outputs


@pytest.mark.slow
def test_two_workers_give_the_curve_of_one_process(tiny: Any, tmp_path: Path) -> None:
    """Also when one of them was killed in the middle."""
    dataset = tiny.dataset.path
    alone = [sys.executable, "-m", "gyrovae_tf.cli.main", "train", str(dataset), "-o", str(tmp_path / "alone"), *WORDS]
    subprocess.run(alone, check=True, capture_output=True)
    pair = Pair(tmp_path, dataset, dataset)
    first, second = pair.run(*WORDS)
    assert "distributed over 2 replicas" in first
    assert second == "trained with the others; the first worker has the run\n"
    assert not (tmp_path / "run1").exists()
    same_curve(tmp_path / "run0", tmp_path / "alone")
    for name in ("model.keras", "baseline.npz", "learnt.npz", "run.json", "tensorboard"):
        assert (tmp_path / "run0" / name).exists()

    (tmp_path / "killed").mkdir()
    again = Pair(tmp_path / "killed", dataset, dataset)
    begun = again.start(*WORDS)
    until(lambda: (tmp_path / "killed" / "run0" / "state.npz").exists() or begun[0].poll() is not None)
    begun[1].send_signal(signal.SIGKILL)
    _, errors = begun[0].communicate(timeout=600)
    begun[1].communicate(timeout=60)
    assert begun[0].returncode == 2
    told = errors.splitlines()[-2:]
    assert told[0].startswith("gyrovae-tf: worker 0 of 2: another worker has ended or cannot be reached: ")
    assert told[1].endswith("the same commands go on with --resume.")
    # Those that go on need not be told the options once more.
    again.run("--resume")
    assert (tmp_path / "killed" / "run0" / "log.csv").read_bytes() == (tmp_path / "run0" / "log.csv").read_bytes()
    # A run that is finished is told to all of them.
    assert again.run("--resume")[1] == second


_STOPS_EARLY = """
import sys
import gyrovae_tf as gt
from conftest import tiny_options
from gyrovae_tf.learn import train as library
library.check_latent = lambda *_: {}  # a latent space of so few steps is none
options = tiny_options(epochs=40, steps_per_epoch=3, learning_rate=0.05, patience=1)
gt.train(sys.argv[1], sys.argv[3], options=options, distribute="multiworker")
"""


@pytest.mark.slow
def test_workers_stop_early_together(tiny: Any, tmp_path: Path) -> None:
    """One that went on would wait for the other for ever."""
    Pair(tmp_path, tiny.dataset.path, tiny.dataset.path, code=_STOPS_EARLY).run()
    assert 1 < len(log_of(tmp_path / "run0")) < 40
    losses = [row[4] for row in log_of(tmp_path / "run0")]
    assert losses[-1] >= min(losses[:-1])


@pytest.mark.slow
def test_workers_with_different_data_do_not_begin(tiny: Any, tmp_path: Path) -> None:
    from gyrovae_tf.learn.dataset import preprocess

    other = preprocess([simulate(TINY_MACHINE, seconds=60, seed=2)], tmp_path / "other", window=TINY_WINDOW, hop=32)
    assert other.path is not None
    for process in Pair(tmp_path, tiny.dataset.path, other.path).start(*WORDS):
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 2
        told = "gyrovae-tf: the workers cannot train together: worker 1 was given another dataset"
        assert errors.splitlines()[-1] == told
    assert not (tmp_path / "run0").exists()
