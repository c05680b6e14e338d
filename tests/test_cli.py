"""The commands as they are typed in: what they print, what they refuse, and what they leave behind."""

from __future__ import annotations

import dataclasses
import inspect
import io
import json
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from gyrovae_tf.cli import progress
from gyrovae_tf.cli.learn import PRECISIONS, QUANTISATIONS
from gyrovae_tf.cli.live import line_for
from gyrovae_tf.cli.main import _COMMANDS, cli
from gyrovae_tf.cli.measure import KERNELS
from gyrovae_tf.cli.progress import progress_bar
from gyrovae_tf.cli.show import evaluation_table, print_json, table
from hypothesis import given, settings
from hypothesis import strategies as st

import gyrovae_tf
from gyrovae_tf import runtime
from gyrovae_tf.arena import Arena
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn import evaluate as evaluate_module
from gyrovae_tf.learn.compare import Comparison
from gyrovae_tf.learn.evaluate import Evaluation, Group
from gyrovae_tf.learn.promise import Promise
from gyrovae_tf.learn.trust import Trust
from gyrovae_tf.streaming import find_recordings

PROGRAM = [sys.executable, "-m", "gyrovae_tf.cli.main"]
SEPARATE: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
RUNNER = CliRunner(**SEPARATE)  # click before 8.2 must be asked to keep errors apart from output
HEAVY = {"numpy", "pandas", "tensorflow", "tf_keras", "ai_edge_litert", "serial"}


def call(*words: str | Path) -> Result:
    """A command in this process; an exception that is not told as a message is raised."""
    result = RUNNER.invoke(cli, list(map(str, words)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def shell(*words: str | Path, folder: Path | None = None, **options: Any) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, as a shell does it, with output and errors piped."""
    command = [*PROGRAM, *map(str, words)]
    return subprocess.run(command, cwd=folder, **{"capture_output": True, "text": True, "timeout": 300, **options})


def told(code: int, output: str, errors: str) -> str:
    """Check that a command refused as commands must: status 2, nothing on stdout, one or two lines on stderr."""
    assert code == 2
    assert output == ""
    assert errors.startswith("gyrovae-tf: ")
    assert errors.endswith("\n")
    assert 1 <= errors.count("\n") <= 2
    assert "Traceback" not in errors
    return errors


def refusal(*words: str | Path) -> str:
    """What a command says that must refuse; nothing in the working folder may have changed."""
    before = tree(Path.cwd())
    result = call(*words)
    assert tree(Path.cwd()) == before
    return told(result.exit_code, result.stdout, result.stderr)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder by its path, hidden and temporary files too."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


def csv(rows: int, *, rate_hz: float | None = 200.0, start: int = 0) -> str:
    """A recording with a wave on x."""
    head = "" if rate_hz is None else f'# {{"rate_hz": {rate_hz}}}\n'
    return head + "x,y,z\n" + "".join(f"{(i + start) % 7},0.5,{9 + (i % 3) / 10}\n" for i in range(rows))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# The group


def test_the_group_lists_its_commands_in_the_order_of_use() -> None:
    result = call("--help")
    assert result.exit_code == 0
    listed = re.findall(r"^  ([a-z-]+)  ", result.stdout.partition("Commands:")[2], re.MULTILINE)
    assert listed == [
        "demo",
        "simulate",
        "collect",
        "preprocess",
        "train",
        "quantize",
        "export",
        "evaluate",
        "score",
        "fleet",
        "benchmark",
        "report",
        "emit-header",
        "check",
        "flash-image",
        "monitor",
        "calibrate",
        "info",
    ]


def test_the_version_is_the_packages() -> None:
    assert call("--version").stdout == f"gyrovae-tf, version {gyrovae_tf.__version__}\n"


def test_without_a_command_it_shows_its_help() -> None:
    result = call()
    shown = result.stderr if hasattr(click.exceptions, "NoArgsIsHelpError") else result.stdout  # since click 8.2
    assert shown.startswith("Usage: ")
    assert "emit-header" in shown


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([name, "-h"] for name in _COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    code = f"import sys; from gyrovae_tf.cli.main import cli; cli({words!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(("Usage: ", "gyrovae-tf, version"))
    assert not HEAVY & set(done.stderr.split())


@pytest.mark.parametrize("name", _COMMANDS)
def test_a_command_explains_itself_and_its_options(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.help
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)
    assert "--json" in {flag for option in options for flag in option.opts}
    assert max(map(len, call(name, "--help").stdout.splitlines())) <= 80


# Refusals: one or two lines, status 2, and nothing left behind


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param("", "bad.csv: no samples; expected columns x,y,z", id="empty"),
        pytest.param("x,y,z\n", "bad.csv: no samples", id="only a header"),
        pytest.param(
            "x,y,z\n1,2,3\n1,nan,3\n", "bad.csv, row 3, column y; expected a number, received 'nan'", id="nan"
        ),
        pytest.param(
            "x,y,z\n1,2,3\n4,5,abc\n", "bad.csv, row 3, column z; expected a number, received 'abc'", id="text"
        ),
        pytest.param("a,b\n1,2\n", "bad.csv: wrong columns; expected columns x,y,z", id="other columns"),
        pytest.param("x,y,z\n1,2,3\n1,2\n", "bad.csv, row 3: the number of columns changes", id="a column missing"),
        pytest.param("\x00\x01", "bad.csv: a binary file", id="binary"),
        pytest.param(csv(255), "too few samples for one window of 256", id="no window"),
        pytest.param(csv(600), "too few samples: 600 give", id="few windows"),
        pytest.param(
            csv(6000, rate_hz=None), "bad.csv: nothing says its sample rate\nGive it with --rate-hz", id="no rate"
        ),
        pytest.param("# {rate}\nx,y,z\n1,2,3\n", "bad.csv, row 1: the metadata line is not JSON", id="bad metadata"),
    ],
)
def test_a_bad_recording(here: Path, content: str, says: str) -> None:
    (here / "bad.csv").write_text(content, encoding="utf-8")
    assert says in refusal("preprocess", "bad.csv", "-o", "dataset")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["preprocess", "missing.csv", "-o", "new"], "cannot read missing.csv: no such file"),
        (["preprocess", "*.txt", "-o", "new"], "nothing matches *.txt"),
        (["preprocess", "empty", "-o", "new"], "empty holds no .csv or .parquet files"),
        (
            ["preprocess", "a.csv", "slow.csv", "-o", "new"],
            "the recordings differ in rate; expected 200 Hz as in a.csv",
        ),
        (["preprocess", "a.csv", "--dataset", "empty", "-o", "new"], "give files or --dataset, not both"),
        (["preprocess", "-o", "new"], "no recordings: give files, or --dataset"),
        (["preprocess", "--dataset", "empty", "-o", "new"], "empty is not a dataset of recordings"),
        (["preprocess", "a.csv"], "Missing option '-o' / '--output'."),
        (["preprocess", "a.csv", "-o", "new", "--window", "100"], "expected a multiple of 32 samples"),
        (["preprocess", "a.csv", "-o", "new", "--window", "many"], "'many' is not a whole number."),
        (["preprocess", "a.csv", "-o", "new", "--frontend", "stock", "--lsb", "0"], "--lsb: the stock firmware"),
        (["preprocess", "a.csv", "-o", "new", "--hop", "0"], "the hop is not usable; expected at least 1 sample"),
        (["preprocess", "a.csv", "-o", "new", "--lsb", "-1"], "lsb"),
        (["preprocess", "a.csv", "-o", "new", "--lsb", "nan"], "lsb"),
        (["preprocess", "a.csv", "-o", "new", "--rate-hz", "100"], "its rate is not the given one"),
        (["preprocess", "a.csv", "-o", "new", "--validation-share", "1"], "the validation share is not usable"),
        (["preprocess", "a.csv", "-o", "mine"], "mine holds other files"),
        (["preprocess", "a.csv", "-o", "a.csv"], "a.csv is a file"),
        (["train", "empty", "-o", "new"], "empty is not a dataset; expected a folder with dataset.json"),
        (["train", "missing", "-o", "new"], "there is no missing"),
        (["train", "a.csv", "-o", "new"], "a.csv is not a dataset"),
        (["train", "empty", "-o", "new", "--epochs", "0"], "epochs is not usable; expected at least 1, received 0"),
        (["train", "empty", "-o", "new", "--learning-rate", "nan"], "learning_rate is not usable"),
        (["train", "empty", "-o", "new", "--seed", "-1"], "-1 is not in the range"),
        (["train", "empty", "-o", "new", "--resume", "--overwrite"], "--resume and --overwrite exclude each other"),
        (["quantize", "empty"], "empty is not a run; expected a folder with run.json"),
        (["quantize", "missing"], "there is no missing"),
        (["quantize", "empty", "--mode", "guess"], "'guess' is not"),
        (["quantize", "empty", "--false-alarm-rate", "0"], "the false-alarm rate is not usable"),
        (["quantize", "empty", "--vote", "3"], "Option '--vote' requires 2 arguments."),
        (["quantize", "empty", "--vote", "5", "3"], "the vote is not usable; expected 1 <= alarms <= windows <= 8"),
        (["quantize", "empty", "--vote", "3", "x"], "'x' is not a whole number."),
        (["quantize", "empty", "--false-alarms-per-day", "0"], "the false alarms a day are not usable"),
        (
            ["quantize", "empty", "--false-alarms-per-day", "1", "--false-alarm-rate", "0.01"],
            "either a false-alarm rate or false alarms a day",
        ),
        (["evaluate", "empty", "--normal", "a.csv"], "empty holds no quantised model"),
        (["evaluate", "missing", "--normal", "a.csv"], "there is no missing"),
        (["evaluate", "empty", "--anomaly", "a.csv"], "--anomaly a.csv: expected KIND=CSV, as in --anomaly"),
        (["evaluate", "empty", "--anomaly", "=a.csv"], "--anomaly =a.csv: expected KIND=CSV"),
        (["evaluate", "empty", "--anomaly", "k="], "--anomaly k=: expected KIND=CSV"),
        (["evaluate", "empty", "--normal", "a.csv", "--anomaly"], "Option '--anomaly' requires a value."),
        (["evaluate", "empty", "--normal", "--anomaly", "k=a.csv"], "Option '--normal' requires a value."),
        (["evaluate", "--normal", "a.csv", "--json"], "Missing argument 'RUN'."),
        (["emit-header", "empty", "-o", "new.h"], "empty holds no quantised model"),
        (["emit-header", "missing", "-o", "new.h"], "there is no missing"),
        (["emit-header", "empty", "-o", "new.h", "--prefix", "9lives"], "the prefix '9lives' is not an identifier"),
        (["emit-header", "empty", "-o", "new.h", "--prefix", "int"], "the prefix 'int' is a keyword"),
        (["info", "missing"], "there is no missing"),
        (["info", "empty"], "empty is neither a run nor a bundle nor a dataset"),
        (
            ["info", "a.csv"],
            "a.csv is not a .tflite model; expected a .tflite file, a run or a bundle, received a text",
        ),
        (["check", "a.csv"], "A recording becomes a dataset first: gyrovae-tf preprocess a.csv -o dataset"),
        (["info", "cut.tflite"], "is truncated or damaged"),
        (["info"], "Missing argument 'PATH'."),
        (["demo", "-o", "mine"], "mine holds other files"),
        (["demo", "--seed", "x"], "'x' is not a whole number."),
        (["train", "empty", "-o", "new", "--epoch", "3"], "No such option"),
        (["trian"], "No such command 'trian'. Did you mean 'train'?\nHelp: "),
        (["preproccess"], "No such command 'preproccess'. Did you mean 'preprocess'?"),
        (["zzz"], "No such command 'zzz'.\nHelp: "),
        (["collect", "--port", "p", "-o", "empty"], "empty is a folder; expected a file to write\nGive a file's name"),
        (["collect", "--port", "p", "-o", "empty", "--figures"], "empty is a folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_refusal(here: Path, words: list[str], says: str) -> None:
    (here / "a.csv").write_text(csv(6000))
    (here / "slow.csv").write_text(csv(6000, rate_hz=100.0))
    (here / "empty").mkdir()
    (here / "mine").mkdir()
    (here / "mine" / "thesis.txt").write_text("years of work")
    (here / "cut.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(range(1, 60)))
    assert says in refusal(*words)


def test_a_wrong_call_names_the_help_of_its_command() -> None:
    result = shell("train", "dataset", "--bogus")
    errors = told(result.returncode, result.stdout, result.stderr)
    assert errors.splitlines()[1].endswith(" train --help")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("calibrate", "--port", "x", "--minutes", "0.5"), "'0.5' is not a whole number."),
        (("collect", "--port", "x", "-o", "y", "--seconds", "two"), "'two' is not a number."),
        (("train", "x", "-o", "y", "--epochs", "1.5"), "'1.5' is not a whole number."),
        (("train", "x", "-o", "y", "--beta", "a"), "'a' is not a number."),
    ],
)
@pytest.mark.usefixtures("here")  # in the checkout all files of the environments would be read
def test_a_number_that_is_none_is_told_in_plain_words(words: tuple[str, ...], said: str) -> None:
    assert refusal(*words).splitlines()[0] == f"gyrovae-tf: Invalid value for '{words[-2]}': {said}"


def test_a_monitored_score_below_the_threshold_is_not_shown_as_if_it_reached_it() -> None:
    from gyrovae_tf.device.monitor import Decision

    made = Decision(0, 0.0, None, None, 1.49996, 1.5, False, False, False, (), "host")
    assert line_for(made).endswith("score 1.499  threshold 1.500  normal")


@pytest.mark.usefixtures("here")
def test_a_message_is_never_more_than_two_lines() -> None:
    assert refusal("info", "a\nb\nc") == "gyrovae-tf: there is no a b c\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_an_output_below_something_that_is_no_folder(here: Path) -> None:
    (here / "a.csv").write_text(csv(6000))
    assert "cannot write /dev/full/new" in refusal("preprocess", "a.csv", "-o", "/dev/full/new")


def on_a_small_disk(limit: int, *words: str | Path, folder: Path) -> str:
    """What a command says when no file may grow beyond `limit` bytes: writes then fail as on a full disk."""

    def shrink() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = shell(*words, folder=folder, preexec_fn=shrink)
    return told(done.returncode, done.stdout, done.stderr)


def test_a_full_disk_while_a_dataset_is_written(here: Path) -> None:
    (here / "a.csv").write_text(csv(6000))
    before = tree(here)
    assert "cannot write" in on_a_small_disk(20_000, "preprocess", "a.csv", "-o", "dataset", folder=here)
    assert tree(here) == before


def test_a_full_disk_leaves_the_dataset_that_was_there(here: Path) -> None:
    (here / "a.csv").write_text(csv(6000))
    (here / "b.csv").write_text(csv(9000, start=3))
    call("preprocess", "a.csv", "-o", "dataset")
    before = tree(here)
    assert "cannot write" in on_a_small_disk(20_000, "preprocess", "b.csv", "-o", "dataset", folder=here)
    assert tree(here) == before
    assert call("preprocess", "b.csv", "-o", "dataset").exit_code == 0
    assert tree(here) != before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_an_output_that_cannot_be_printed(here: Path) -> None:
    (here / "a.csv").write_text(csv(6000))
    with Path("/dev/full").open("w") as full:
        done = shell("preprocess", "a.csv", "-o", "d", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert told(done.returncode, "", done.stderr) == "gyrovae-tf: the file system refused: No space left on device\n"


def test_a_reader_that_goes_away_is_no_error(here: Path) -> None:
    (here / "a.csv").write_text(csv(6000))
    reading, writing = os.pipe()
    os.close(reading)
    done = shell("preprocess", "a.csv", "-o", "d", capture_output=False, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_name_that_the_terminal_cannot_show(here: Path) -> None:
    (here / "a.csv").write_text(csv(6000))
    done = shell("preprocess", "a.csv", "-o", "мотор", folder=here, env={**os.environ, "PYTHONIOENCODING": "cp1252"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(r"\u043c\u043e\u0442\u043e\u0440: ")
    assert (here / "мотор" / "dataset.json").is_file()


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_ctrl_c(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_module, "evaluate", raising(KeyboardInterrupt()))
    (here / "a.csv").write_text(csv(300))
    said = refusal("evaluate", "run", "--normal", "a.csv")
    assert said == "gyrovae-tf: stopped by Ctrl-C; nothing half-written is left behind\n"


def test_ctrl_c_while_a_package_is_imported(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Native parts of packages tell of it as an import that failed, and name Ctrl-C as the cause."""
    failed = ImportError("initialization failed")
    failed.__cause__ = KeyboardInterrupt()
    monkeypatch.setattr(evaluate_module, "evaluate", raising(failed))
    assert refusal("evaluate", here) == "gyrovae-tf: stopped by Ctrl-C; nothing half-written is left behind\n"


def test_an_import_that_fails_by_itself_is_not_taken_for_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_module, "evaluate", raising(ImportError("no such library")))
    with pytest.raises(ImportError, match="no such library"):
        call("evaluate", "run")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(13, "Permission denied", "x.csv"), "the file system refused x.csv: Permission denied"),
        (MemoryError(), "not enough memory for this much data"),
        (GyrovaeError("bad\nthing", remedy="Do\nthis."), "bad thing\nDo this."),
    ],
)
def test_what_goes_wrong_inside(here: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str) -> None:
    monkeypatch.setattr(evaluate_module, "evaluate", raising(error))
    assert refusal("evaluate", here) == f"gyrovae-tf: {says}\n"


def test_a_defect_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_module, "evaluate", raising(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError, match="ours"):
        call("evaluate", "run")


def test_an_unexpected_end_of_a_file_is_not_taken_for_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_module, "evaluate", raising(EOFError()))
    with pytest.raises(click.Abort):
        call("evaluate", "run")


def test_ctrl_c_before_the_training_began(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gyrovae_tf.learn import train as module

    monkeypatch.setattr(module, "train", raising(KeyboardInterrupt()))
    assert refusal("train", "d", "-o", "run") == "gyrovae-tf: stopped by Ctrl-C before the training began\n"
    (here / "my run").mkdir()
    (here / "my run" / "run.json").write_text("{}")
    assert refusal("train", "d", "-o", "my run") == (
        "gyrovae-tf: stopped by Ctrl-C; what was trained is kept. Go on: gyrovae-tf train d -o 'my run' --resume\n"
    )


# What `evaluate` makes of its words


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the library is asked for; it answers {}."""
    asked: list[dict[str, Any]] = []

    def record(run: Path, **rest: Any) -> Any:
        asked.append({"run": run, **rest})
        return SimpleNamespace(to_dict=dict)

    monkeypatch.setattr(evaluate_module, "evaluate", record)
    return asked


A, B, C, D = map(Path, ("a.csv", "b.csv", "c.csv", "d.csv"))
E, F = Path("folder/e.csv"), Path("folder/f.csv")


@pytest.mark.parametrize(
    ("line", "normal", "anomalies"),
    [
        ("run --normal a.csv", [A], {}),
        ("run --normal a.csv b.csv", [A, B], {}),
        ("run --normal a.csv --normal b.csv", [A, B], {}),
        ("run --normal=a.csv b.csv", [A, B], {}),
        ("run --normal folder", [E, F], {}),
        ("run --normal 'folder/*.csv'", [E, F], {}),
        ("run --normal '[ab].csv'", [A, B], {}),
        ("run --normal a.csv --anomaly k=c.csv", [A], {"k": [C]}),
        ("run --anomaly k=c.csv --normal a.csv", [A], {"k": [C]}),
        ("run --normal a.csv --anomaly k=c.csv d.csv", [A], {"k": [C, D]}),
        ("run --normal a.csv --anomaly=k=c.csv d.csv", [A], {"k": [C, D]}),
        ("run --normal a.csv --anomaly k=c.csv --anomaly k=d.csv", [A], {"k": [C, D]}),
        ("run --normal a.csv --anomaly k=c.csv j=d.csv b.csv", [A], {"k": [C], "j": [D, B]}),
        ("run --normal a.csv b.csv --anomaly k=c.csv d.csv --anomaly k2=folder/", [A, B], {"k": [C, D], "k2": [E, F]}),
        ("run --normal a.csv --anomaly 'k=folder/*.csv' c.csv", [A], {"k": [E, F, C]}),
        ("run --normal a.csv --anomaly k=folder c.csv", [A], {"k": [E, F, C]}),
        (
            "run --normal a.csv --anomaly k=./x=1.csv folder/x=2.csv",
            [A],
            {"k": [Path("x=1.csv"), Path("folder/x=2.csv")]},
        ),
        ("run --normal a.csv --hop 64 --anomaly k=c.csv --rate-hz 200", [A], {"k": [C]}),
        ("--hop 64 run --normal a.csv b.csv", [A, B], {}),
        ("--normal a.csv b.csv --anomaly k=c.csv -- run", [A, B], {"k": [C]}),
        ("run", [], {}),
    ],
)
def test_several_values_after_one_option(
    here: Path, evaluated: list[dict[str, Any]], line: str, normal: list[Path], anomalies: dict[str, list[Path]]
) -> None:
    (here / "folder").mkdir()
    for path in (A, B, C, D, E, F):
        path.write_text("x,y,z\n")
    (here / "folder" / "notes.txt").write_text("not a recording")
    (here / "folder" / ".hidden.csv").write_text("not a recording either")
    result = call("evaluate", "--json", *shlex.split(line))
    assert (result.exit_code, result.stdout) == (0, "{}\n")
    (asked,) = evaluated
    assert asked["run"] == Path("run")
    assert files(asked["normal"]) == normal
    assert {kind: files(names) for kind, names in asked["anomalies"].items()} == anomalies
    assert asked["hop"] == (64 if "--hop 64" in line else None)
    assert asked["rate_hz"] == (200.0 if "--rate-hz" in line else None)
    assert asked["progress"] is None


def files(names: list[str]) -> list[Path]:
    """What `evaluate` makes of names."""
    return [Path(name) for name in find_recordings(names)]


NAMES = st.from_regex(r"[a-z0-9_]{1,8}", fullmatch=True)
FILES = st.lists(NAMES.map(lambda name: f"no-such-{name}.csv"), min_size=1, max_size=3)


@given(st.lists(FILES, max_size=2), st.lists(st.tuples(NAMES, FILES), max_size=3), st.booleans())
@settings(max_examples=40, derandomize=True, deadline=None)
def test_every_file_goes_to_the_option_before_it(
    normal: list[list[str]], anomalies: list[tuple[str, list[str]]], sign: bool
) -> None:
    words, kinds = ["run"], dict[str, list[str]]()
    for files in normal:
        words += [f"--normal={files[0]}", *files[1:]] if sign else ["--normal", *files]
    for kind, files in anomalies:
        words += ["--anomaly", f"{kind}={files[0]}", *files[1:]]
        kinds.setdefault(kind, []).extend(files)
    asked: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            evaluate_module, "evaluate", lambda _, **rest: asked.update(rest) or SimpleNamespace(to_dict=dict)
        )
        assert call("evaluate", "--json", *words).exit_code == 0
    assert asked["normal"] == [name for files in normal for name in files]
    assert asked["anomalies"] == kinds


def test_a_folder_of_test_recordings(evaluated: list[dict[str, Any]]) -> None:
    call("evaluate", "run", "--dataset", "fan", "--json")
    assert evaluated[0]["dataset"] == Path("fan")


def test_kernels_another_model_and_a_comparison(evaluated: list[dict[str, Any]]) -> None:
    call("evaluate", "run", "--normal", "a.csv", "--json")
    call("evaluate", "run", "--runtime", "litert-reference", "--model", "m.tflite", "--compare", "--json")
    names = ("kernels", "model", "compare")
    assert [tuple(asked[name] for name in names) for asked in evaluated] == [
        (None, None, False),
        ("litert-reference", Path("m.tflite"), True),
    ]


# What the commands print


def test_a_table() -> None:
    rows = [["name", "windows", "share", "note"], ["fan", "5", "1.0 %", "ok"], ["off", "1,234", "n/a", ""]]
    assert table(rows).splitlines() == [
        "name  windows  share  note",
        "----  -------  -----  ----",
        "fan         5  1.0 %  ok",
        "off     1,234    n/a",
    ]


def test_a_table_fits_its_width() -> None:
    text = table([["name", "value"], ["a" * 30, "word " * 40], ["b", "c" * 200]])
    assert max(map(len, text.splitlines())) == 100
    assert "".join(text.split()).count("c") == 200
    assert "".join(text.split()).count("word") == 40


EVALUATION = Evaluation(
    auroc={"worn bearing": 0.98765},
    groups={
        "normal": Group(windows=117, alarms=0.0085, events=0, hours=0.5, votable=True),
        "worn bearing": Group(windows=4, alarms=1.0, events=3, hours=0.25, votable=True, delay_s=3.84, told=1),
    },
    baseline_auroc={"worn bearing": 0.5},
    baseline_alarms={"normal": 0.0, "worn bearing": 0.25},
    false_alarm_rate=0.0085,
    requested_false_alarm_rate=0.01,
    vote=(3, 5),
    hop=128,
    kernels="tflm",
    threshold_kernels="tflm",
)


def test_an_evaluation_as_text() -> None:
    assert (
        evaluation_table(EVALUATION)
        == """\
motion        windows   alarms  events/h  delay, s  AUROC  baseline alarms  baseline AUROC
------------  -------  -------  --------  --------  -----  ---------------  --------------
normal            117    0.9 %       0.0                             0.0 %
worn bearing        4  100.0 %      12.0       3.8  0.988           25.0 %           0.500

alarms: share of windows that score 1.0 or more; on normal motion 1 % was asked for.
events: times that 3 of 5 windows in a row that share no samples began to be alarms (where all are,
one); windows begin every 128 samples (--hop): the more of them, the more events.
delay: mean time from the beginning of a recording, or a gap in it, to its first event.
AUROC: how well the score tells this motion from normal: 1.0 always, 0.5 no better than a coin.
baseline: what a simple detector makes of the same windows (Mahalanobis on log band energies).
run on: tflm, the kernels of the device, pixel for pixel."""
    )


def test_a_delay_tells_of_how_many_recordings_it_is() -> None:
    """A mean over those in which the fault was found is none over all of them."""
    half = dataclasses.replace(EVALUATION.groups["worn bearing"], stretches=2)
    found = evaluation_table(dataclasses.replace(EVALUATION, groups={**EVALUATION.groups, "worn bearing": half}))
    assert "12.0  3.8 (1 of 2)  0.988" in found
    assert "to its first event; in brackets how many of them have one." in " ".join(found.split())


def test_recordings_that_were_trained_on_are_told() -> None:
    """Figures on them say nothing."""
    learnt = dataclasses.replace(EVALUATION, learnt={"normal": 0.97, "worn bearing": 0.5})
    assert evaluation_table(learnt).endswith("""
normal: 97 % of its windows lie in motion that was trained on, so its figures flatter; test on
recordings that were not.
worn bearing: 50 % of its windows lie in motion that was trained on, as normal motion; a detector
must learn from normal motion alone.""")
    others = dataclasses.replace(EVALUATION, learnt={"normal": 0.001, "worn bearing": 0.0})
    assert evaluation_table(others) == evaluation_table(EVALUATION)


@pytest.mark.parametrize(
    ("kernels", "threshold", "precision", "says"),
    [
        (
            "tflm",
            "litert",
            "int8",
            "run on: tflm, the kernels of the device, pixel for pixel. The threshold was set on litert.",
        ),
        ("tflm", None, "int8", "run on: tflm, the kernels of the device, pixel for pixel."),
        (
            "litert",
            "litert",
            "int8",
            'otherwise than the device; pip install "gyrovae-tf[tflm]" (Linux on x86-64) runs the device\'s kernels.',
        ),
        ("litert", "tflm", "float32", "run on: litert, in float32; the device runs the int8 model alone."),
    ],
)
def test_whose_arithmetic_it_is(kernels: str, threshold: str | None, precision: str, says: str) -> None:
    found = dataclasses.replace(EVALUATION, kernels=kernels, threshold_kernels=threshold, precision=precision)
    assert " ".join(evaluation_table(found).split()).endswith(says)


def test_other_kernels_as_text() -> None:
    other = Comparison(300, pixels=0.0123, largest=2, score_median=0.004, score_largest=0.051, verdicts=1 / 300)
    text = evaluation_table(dataclasses.replace(EVALUATION, comparison={"litert": other}))
    assert text.startswith(evaluation_table(EVALUATION))
    assert text.removeprefix(evaluation_table(EVALUATION)).splitlines()[2:5] == [
        "kernels  pixels off  most, LSB  score moves  at most  other verdict",
        "-------  ----------  ---------  -----------  -------  -------------",
        "litert       1.23 %          2        0.4 %    5.1 %         0.33 %",
    ]
    assert "against tflm, on 300 of these windows" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 100


def test_names_to_choose_from_are_those_of_the_library() -> None:
    """They are written down twice: the library's own would take seconds to import."""
    from gyrovae_tf.learn import asked, convert

    assert tuple(runtime.KERNELS) == KERNELS
    assert convert.PRECISIONS == PRECISIONS
    assert (asked.BEST, *asked.MODES) == QUANTISATIONS


def test_the_delay_is_left_out_where_it_does_not_fit() -> None:
    name = "a very much worn bearing"
    groups = {"normal": EVALUATION.groups["normal"], name: EVALUATION.groups["worn bearing"]}
    wide = dataclasses.replace(EVALUATION, groups=groups, auroc={name: 1.0})
    wide = dataclasses.replace(wide, baseline_alarms={"normal": 0.0, name: 0.2}, baseline_auroc={name: 0.5})
    assert "delay" not in evaluation_table(wide)
    assert max(map(len, evaluation_table(wide).splitlines())) <= 100


def test_a_kind_without_an_event_has_no_delay() -> None:
    groups = {**EVALUATION.groups, "off": Group(windows=9, alarms=0.0, events=0, hours=0.1, votable=True)}
    found = dataclasses.replace(
        EVALUATION, groups=groups, auroc={**EVALUATION.auroc, "off": 0.5}, baseline_auroc=None, baseline_alarms=None
    )
    text = evaluation_table(found)
    assert text.splitlines()[4].split() == ["off", "9", "0.0", "%", "0.0", "n/a", "0.500"]
    assert "\nn/a: there was no event.\n" in text


def test_what_cannot_be_promised_is_said() -> None:
    rates = (0.0, 0.5)
    trust = Trust(2.0, 1, 90, 30.0, rates, 1.0, 1.0, 1.0, 1.0, ("Too uniform.",), "One recording.")
    told = evaluation_table(dataclasses.replace(EVALUATION, promise=Promise(None, trust, None)))
    assert told.splitlines()[-1] == "false alarms cannot be promised: Too uniform."
    assert told.splitlines()[:-1] == evaluation_table(EVALUATION).splitlines()


def test_an_evaluation_of_a_bundle_alone_and_of_short_recordings() -> None:
    groups = {"normal": Group(windows=2, alarms=0.5, events=0, hours=0.001, votable=False)}
    result = Evaluation({}, groups, None, None, 0.5, 0.01, (3, 5), 128)
    text = evaluation_table(result)
    assert "baseline AUROC" not in text
    assert "n/a: no recording is long enough for 3 windows that share no samples." in text
    assert "No baseline to compare with" in text
    assert max(map(len, text.splitlines())) <= 100


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [1.5, float("inf")], "c": ("x", {"d": -float("inf")})})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": ["x", {"d": None}]}


@pytest.mark.parametrize(
    ("gravity", "note"),
    [
        (9.8, None),
        (0.0, None),
        (1.0, "The mean acceleration is 1.00 m/s^2, as gravity is in g. If it is in g, say so"),
        (
            16384.0,
            "The mean acceleration is 16,384.00 m/s^2, where gravity is 9.8. If these are thousandths",
        ),
    ],
)
def test_units_that_are_hardly_those_they_are_called(here: Path, gravity: float, note: str | None) -> None:
    swing = 0.01 * max(gravity, 1.0)
    rows = [f"{swing * (i % 7 - 3)!r},{swing * (i % 5 - 2)!r},{gravity!r}" for i in range(6000)]
    for units, expected in (("m/s^2", note), ("furlongs", None)):
        (here / "a.csv").write_text("\n".join([f'# {{"rate_hz": 200, "units": "{units}"}}', "x,y,z", *rows, ""]))
        made = json.loads(call("preprocess", "a.csv", "-o", units.replace("/", "-"), "--json").stdout)
        told = [text for text in made["notes"] if "mean acceleration" in text]
        assert len(told) == (expected is not None)
        assert not told or told[0].startswith(str(expected))


@pytest.mark.parametrize(
    ("frontend", "words"),
    [
        ("power", "d: 3,504 windows to train on and 1,488 held back, of 1 recording;"),
        ("stock", "d: 3,033 windows to train on and 1,437 held back, for Seeed's stock firmware;"),
    ],
)
def test_thousands_of_windows(here: Path, frontend: str, words: str) -> None:
    (here / "a.csv").write_text(csv(6000))
    window = "64" if frontend == "power" else "256"
    said = call("preprocess", "a.csv", "-o", "d", "--frontend", frontend, "--window", window, "--hop", "1").stdout
    assert said.splitlines()[0] == words


def test_preprocess_without_the_rest(here: Path) -> None:
    (here / "a.csv").write_text(csv(6000))
    done = shell("preprocess", "a.csv", "-o", "d", "--lsb", "0.01", "--json", folder=here)
    assert (done.returncode, done.stderr) == (0, "")
    made = json.loads(done.stdout)
    assert made.keys() == {
        "dataset",
        "recordings",
        "train_windows",
        "validation_windows",
        "window",
        "hop",
        "rate_hz",
        "lsb",
        "spec_digest",
        "notes",
    }
    assert (made["dataset"], made["window"], made["hop"], made["rate_hz"], made["lsb"]) == ("d", 256, 64, 200.0, 0.01)
    text = call("preprocess", "a.csv", "-o", "d2", "--lsb", "0.01")
    assert text.stdout == (
        f"d2: {made['train_windows']} windows to train on and {made['validation_windows']} held back, of "
        "1 recording;\neach is 256 samples (1280 ms at 200 Hz), one count is 0.01 m/s^2\n"
        "note: size of the motion: x 2, y 0, z 0.0816 m/s^2. Root mean square about each window's mean. y reads the "
        "same all the time: see to the sensor. On x, z that is only a few counts of 1 and 0.1 m/s^2: choose a "
        "smaller range if there is one.\n"
        "note: Too few data: 0.5 minutes hold at most 19 independent windows; 1 % of them is 0.2. "
        "About 200 are needed to promise that.\n"
        "note: Too uniform: one recording of 0.5 minutes, less than 5; record longer, on several days.\n"
    )
    assert text.stderr == ""


def test_a_copy_among_the_recordings_is_told_once(here: Path) -> None:
    for name in ("a.csv", "a_copy.csv"):
        (here / name).write_text(csv(6000))
    text = call("preprocess", "a.csv", "a_copy.csv", "-o", "d", "--lsb", "0.01").stdout
    assert " of 1 recording;\n" in text
    assert text.count("\nnote: a_copy.csv holds the same samples as a.csv and is left out.\n") == 1
    assert text.count("Too uniform") == 1


def test_a_dataset_that_is_replaced_by_another_is_told(here: Path) -> None:
    """Runs that were trained on it need it."""
    said = []
    for rows in (6000, 6000, 7000):
        (here / "a.csv").write_text(csv(rows))
        made = json.loads(call("preprocess", "a.csv", "-o", "d", "--lsb", "0.01", "--json").stdout)
        said.append([text for text in made["notes"] if "is replaced" in text])
    assert said[:2] == [[], []]
    assert said[2] == [
        "d held another dataset, which is replaced: a run that was trained on that can be quantised no more."
    ]


def test_preprocess_of_a_dataset_folder(here: Path) -> None:
    """Only what its meta.json lists for training is read, with the window it recommends."""
    (here / "fan" / "normal").mkdir(parents=True)
    for name, rows in (("train.csv", 6000), ("test.csv", 10)):
        (here / "fan" / "normal" / name).write_text(csv(rows, rate_hz=None))
    meta = {"sample_rate_hz": 50, "recommended_window": 128, "split": {"normal_train": ["train.csv"]}}
    (here / "fan" / "meta.json").write_text(json.dumps(meta))
    made = json.loads(call("preprocess", "--dataset", "fan", "-o", "d", "--json").stdout)
    assert (made["window"], made["rate_hz"]) == (128, 50.0)
    given = json.loads(call("preprocess", "--dataset", "fan", "-o", "d", "--window", "64", "--json").stdout)
    assert given["window"] == 64


ARENA = Arena(18_912, 5_584, "tflite-micro", "tried")
QUANTIZED = {
    "mode": "ptq",
    "modes": [
        {"mode": "float", "auroc": 0.91234, "worst": "added tone", "worst_auroc": 0.71234, "error": 0.45678}
        | {"from_float": 0.0, "bytes": None, "macs": None, "operators": None},
        {"mode": "ptq", "auroc": 0.912, "worst": "added tone", "worst_auroc": 0.71, "error": 0.46123}
        | {"from_float": 0.314, "bytes": 41_912, "macs": 229_376, "operators": 22},
        {"mode": "qat", "auroc": None, "worst": None, "worst_auroc": None, "error": 0.47}
        | {"from_float": 1.25, "bytes": 44_080, "macs": 229_376, "operators": 22},
    ],
    "runtime": "tflm",
    "macs": 229_376,
    "threshold": {"rate": 0.01, "windows": 1234, "rate_low": 0.0047, "rate_high": 0.0213},
    "trust": {"warnings": ["Too uniform: one recording."], "note": "All from one recording."},
    "vote": {
        "alarms": 3,
        "windows": 5,
        "hop_s": 1.28,
        "events_per_day": 0.234,
        "events_low": 0.0123,
        "events_high": 4.56,
        "delay_s": {"1": 3.84, "0.9": 4.5, "0.5": 12.34},
        "warnings": ["0.23 false alarms a day is an extrapolation."],
    },
}


@pytest.fixture
def quantized(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, dict[str, Any]]]:
    """What `quantize` is called with; it then finds `QUANTIZED`."""
    from gyrovae_tf.learn import quantize as module

    asked: list[tuple[Path, dict[str, Any]]] = []

    def quantize(run: Path, **rest: Any) -> SimpleNamespace:
        asked.append((run, rest))
        return SimpleNamespace(model=bytes(41_912), ops=("CONV_2D", "FULLY_CONNECTED"), metrics=QUANTIZED, arena=ARENA)

    monkeypatch.setattr(module, "quantize", quantize)
    return asked


def test_what_quantize_found_as_text(quantized: list[tuple[Path, dict[str, Any]]]) -> None:
    done = call("quantize", "run")
    assert (
        done.stdout
        == """\
network   AUROC  worst change  its AUROC   error   off   bytes     MACs  ops
-------  ------  ------------  ---------  ------  ----  ------  -------  ---  ----
float    0.9123  added tone       0.7123  0.4568
ptq      0.9120  added tone       0.7100  0.4612  0.31  41,912  229,376   22  kept
qat         n/a                      n/a  0.4700  1.25  44,080  229,376   22

AUROC: how well the score tells held-back normal windows from the same with a built-in change, the
mean over changes; error: mean squared error of the reconstruction; off: how far it is from the
float network's, in pixels. Where detection is alike, the one nearer to float is kept.
All this is a trial to choose by, on half of the held-back windows: a report's figures are others,
those of the detector that was made of the one kept.

run/detector.gyrovae: 40.9 KiB, 229,376 multiply-accumulates a window
operators: CONV_2D, FULLY_CONNECTED
arena: 18,912 bytes measured, 5,584 of scratch estimated; reserve 26,032
threshold: 1 % of 1234 normal windows, compared with what they were not fitted to;
for more time of the same kind between 0.47 % and 2.1 %
events (3 alarms of 5 windows, 1.3 s apart): 0.23 false ones a day (0.012 to 4.6); a fault is told
3.8 s after its first window where all its windows are alarms, 12.3 s where half are
note: Too uniform: one recording.
note: 0.23 false alarms a day is an extrapolation.
note: All from one recording.
"""
    )
    assert quantized[0][0] == Path("run")


@pytest.mark.parametrize(
    ("a_day", "low", "high", "says"),
    [
        (57.3, 4.4e-06, 6.75e04, "57 false ones a day (under 0.01 to 67,500)"),
        (130.0, 3.8, 4.5e03, "130 false ones a day (3.8 to 4,500)"),
        (1.0, 7.1e-10, 6.75e04, "1 false one a day (under 0.01 to 67,500)"),
        (0.0, 0.0, 40.0, "0 false ones a day (0 to 40)"),
    ],
)
@pytest.mark.usefixtures("quantized")
def test_false_events_without_powers_of_ten(
    monkeypatch: pytest.MonkeyPatch, a_day: float, low: float, high: float, says: str
) -> None:
    events = {"events_per_day": a_day, "events_low": low, "events_high": high}
    monkeypatch.setitem(QUANTIZED, "vote", {**QUANTIZED["vote"], **events})
    assert f"1.3 s apart): {says}; a fault is told\n" in call("quantize", "run").stdout


def test_what_quantize_found_as_json(quantized: list[tuple[Path, dict[str, Any]]]) -> None:
    expected = {
        "bundle": "run/detector.gyrovae",
        "bytes": 41_912,
        "arena": ARENA.to_dict(),
        "excerpt": None,
        **QUANTIZED,
    }
    assert json.loads(call("quantize", "run", "--json").stdout) == expected
    assert len(quantized) == 1


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ([], {}),
        (["--false-alarm-rate", "0.05"], {"false_alarm_rate": 0.05}),
        (["--false-alarms-per-day", "0.5"], {"false_alarms_per_day": 0.5}),
        (["--vote", "2", "4"], {"vote": (2, 4)}),
        (["--false-alarms-per-day", "3", "--vote", "1", "1"], {"false_alarms_per_day": 3.0, "vote": (1, 1)}),
        (["--tilt"], {"tilt": True}),
        (["--mode", "qat"], {"mode": "qat"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_quantize_is_asked_for(
    quantized: list[tuple[Path, dict[str, Any]]], words: list[str], given: dict[str, Any]
) -> None:
    assert call("quantize", "run", *words).exit_code == 0
    defaults = {"mode": "best", "progress": None, "false_alarm_rate": None, "false_alarms_per_day": None, "vote": None}
    assert quantized == [(Path("run"), {**defaults, "tilt": False, **given})]


def test_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    from gyrovae_tf.learn import demo as module

    made = module.Demo(EVALUATION, 41_912, 229_376, {"x/run": "the trained model", "x/nn_model.h": "the header"})
    asked: list[Any] = []
    monkeypatch.setattr(module, "demo", lambda *words, **rest: asked.append((words, rest)) or made)
    assert json.loads(call("demo", "-o", "x", "--seed", "7", "--json").stdout)["model_bytes"] == 41_912
    assert asked == [((Path("x"),), {"seed": 7, "progress": None})]
    assert call("demo").stdout.endswith("""\
model: 40.9 KiB, 229,376 multiply-accumulates a window

made          what it is
------------  -----------------
x/run         the trained model
x/nn_model.h  the header
""")


# On a terminal


def on_a_terminal(*words: str | Path, folder: Path) -> tuple[int, list[str], str]:
    """A command with a terminal for output and errors: its status, the lines that stay on the screen, all it wrote."""
    reading, writing = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *map(str, words)],
        cwd=folder,
        stdin=writing,
        stdout=writing,
        stderr=writing,
        env={**os.environ, "COLUMNS": "100"},
    )
    os.close(writing)
    wrote = b""
    while True:
        try:
            part = os.read(reading, 65536)
        except OSError:  # how Linux tells that the other end has gone
            break
        if not part:
            break
        wrote += part
    os.close(reading)
    text = wrote.decode().replace("\r\n", "\n")
    return process.wait(), [screen(line) for line in text.split("\n")], text


def screen(line: str) -> str:
    """What is to be seen of one line: each carriage return goes back to its start, and new signs cover old ones."""
    seen = ""
    for part in line.split("\r"):
        seen = part + seen[len(part) :]
    return seen.rstrip()


class Terminal(io.StringIO):
    """Standard error that somebody looks at, with a clock that the test turns."""

    now = 0.0

    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [screen(line) for line in self.getvalue().split("\n")]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 80 columns in place of standard error."""
    fake = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=fake))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: fake.now))
    monkeypatch.setenv("COLUMNS", "80")
    return fake


def test_a_bar_shows_share_time_left_and_note(terminal: Terminal) -> None:
    with progress_bar() as move:
        assert move is not None
        assert terminal.lines() == ["starting ..."]
        terminal.now = 5
        move(100, 1000, "training")
        assert terminal.lines() == ["training                   [#---------]  10 %"]
        terminal.now = 15
        move(250, 1000, "loss 0.5")  # 150 in 10 seconds: 750 more in 50
        assert terminal.lines() == ["training                   [##--------]  25 %  0:50 left  loss 0.5"]
        terminal.now = 70
        move(1000, 1000, "loss 0.25")
    assert terminal.lines() == ["training                   [##########] 100 %  took 1:10  loss 0.25", ""]


def test_a_resumed_bar_judges_the_time_left_from_where_it_began(terminal: Terminal) -> None:
    with progress_bar("training") as move:
        assert move is not None
        move(9000, 20000, "loss 0.5")
        terminal.now = 1
        move(9001, 20000, "loss 0.5")
        assert terminal.lines() == ["training                   [####------]  45 %  3:03:19 left  loss 0.5"]


def test_a_new_stage_is_a_new_bar(terminal: Terminal) -> None:
    with progress_bar() as move:
        assert move is not None
        for step in ((1, 2, "a"), (2, 2, "a"), (2, 2, "b"), (3, 3, "c"), (1, 3, "d"), (2, 3, "d")):
            move(*step)
    shown = [(line[:1], line.partition("] ")[2][:5]) for line in terminal.lines()]
    assert shown == [("a", "100 %"), ("b", "100 %"), ("c", "100 %"), ("d", " 66 %"), ("", "")]


def test_a_bar_ends_its_line_when_something_fails(terminal: Terminal) -> None:
    def work() -> None:
        with progress_bar() as move:
            assert move is not None
            move(1, 4, "a" * 40)
            raise GyrovaeError("broken")

    with pytest.raises(GyrovaeError):
        work()
    assert terminal.lines() == ["aaaaaaaaaaaaaaaaaaaaaaa... [##--------]  25 %  took 0:00", ""]


def test_a_bar_never_wraps(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    with progress_bar() as move:
        assert move is not None
        for done in (1, 2):
            move(done, 3, "scoring " * done)
            terminal.now += 100
    assert max(len(part) for line in terminal.getvalue().split("\n") for part in line.split("\r")) == 49


def test_no_bar_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as move:
        assert move is None
    assert capsys.readouterr().err == ""


def test_a_bar_and_a_hint_on_a_terminal(here: Path) -> None:
    (here / "a.csv").write_text(csv(6000))
    code, lines, wrote = on_a_terminal("preprocess", "a.csv", "-o", "my data", "--lsb", ".01", folder=here)
    assert code == 0
    assert re.fullmatch(r"windows                    \[#{29}\] 100 %  took 0:0\d", lines[0])
    assert lines[1].startswith("my data: ")
    notes = ("size of the motion", "Too few data", "Too uniform")
    for line, note in zip(lines[3:6], notes, strict=True):
        assert line.startswith(f"note: {note}")
    assert lines[6:] == ["next: gyrovae-tf train 'my data' -o run", ""]
    assert "\x1b" not in wrote


def test_a_refusal_on_a_terminal_leaves_nothing_but_the_message(here: Path) -> None:
    code, lines, _ = on_a_terminal("preprocess", "missing.csv", "-o", "d", folder=here)
    assert (code, lines) == (2, ["gyrovae-tf: cannot read missing.csv: no such file", ""])


# A detector, made by the commands themselves


@dataclass(frozen=True)
class Made:
    """A folder with recordings, and what each command printed there."""

    folder: Path
    printed: dict[str, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """normal.csv -> dataset -> run -> run/detector.gyrovae, each with --json and piped."""
    folder = tmp_path_factory.mktemp("made")
    simulate(seconds=40, seed=1).write(folder / "normal.csv")
    simulate(seconds=12, seed=2).write(folder / "more.csv")
    simulate(seconds=12, seed=3, fault="imbalance").write(folder / "imbalance.csv")
    simulate(seconds=12, seed=4, fault="off").write(folder / "off.csv")
    lines = [
        "preprocess normal.csv -o dataset",
        "train dataset -o run --epochs 4",
        "quantize run --mode ptq --false-alarm-rate 0.05 --vote 2 4",
        "evaluate run --normal more.csv --anomaly imbalance=imbalance.csv off=off.csv",
        "emit-header run -o header.h --prefix fan",
    ]
    printed = {line.split()[0]: shell(*line.split(), "--json", folder=folder) for line in lines}
    return Made(folder=folder, printed=printed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "keys"),
    [
        ("preprocess", {"dataset", "train_windows", "spec_digest"}),
        ("train", {"run", "epochs", "best_epoch", "validation_error", "latent"}),
        ("quantize", {"bundle", "bytes", "macs", "mode", "modes", "runtime", "arena", "threshold", "trust", "vote"}),
        ("evaluate", {"auroc", "auroc_mean", "false_alarm_rate", "alarm_rate", "events_per_hour", "baseline"}),
        ("emit-header", {"header", "bytes", "prefix"}),
    ],
)
def test_piped_json_is_one_object_and_stderr_is_silent(made: Made, command: str, keys: set[str]) -> None:
    done = made.printed[command]
    assert (done.returncode, done.stderr) == (0, "")
    assert keys <= json.loads(done.stdout).keys()


@pytest.mark.slow
def test_the_options_reach_the_detector(made: Made) -> None:
    result = json.loads(made.printed["evaluate"].stdout)
    assert result["requested_false_alarm_rate"] == 0.05
    assert result["vote"] == [2, 4]
    assert result["auroc"].keys() == {"imbalance", "off"}
    header = (made.folder / "header.h").read_text()
    assert "fan_tflite_len" in header
    assert json.loads(made.printed["emit-header"].stdout)["bytes"] == len(header.encode())


@pytest.mark.slow
@pytest.mark.parametrize("path", ["run", "run/detector.gyrovae", "run/detector.gyrovae/model_int8.tflite"])
def test_info_as_text_and_as_json(made: Made, path: str) -> None:
    done = shell("info", made.folder / path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)
    text = shell("info", made.folder / path).stdout
    assert "FULLY_CONNECTED" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.slow
def test_the_texts_for_people(made: Made, here: Path) -> None:
    run = made.folder / "run"
    evaluated = call(
        "evaluate", run, "--normal", made.folder / "more.csv", "--anomaly", f"off={made.folder / 'off.csv'}"
    )
    assert evaluated.stdout.startswith("motion  windows")
    assert "\nbaseline: " in evaluated.stdout
    alone = call("evaluate", run / "detector.gyrovae", "--normal", made.folder / "more.csv", "--hop", "64")
    assert alone.exit_code == 0
    header = call("emit-header", run)
    assert header.stdout == "nn_model.h: the model as nn_model_tflite, and the numbers of its front end and score\n"
    assert (here / "nn_model.h").is_file()
    assert [result.stderr for result in (evaluated, alone, header)] == ["", "", ""]


@pytest.fixture
def copy(made: Made, here: Path) -> Path:
    """The same files in the working folder, to be damaged."""
    shutil.copytree(made.folder, here, dirs_exist_ok=True)
    return here


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["evaluate", "run", "--normal", "more.csv"], "model_int8.tflite is damaged or was replaced"),
        (["emit-header", "run", "-o", "new.h"], "model_int8.tflite is damaged or was replaced"),
        (["info", "run"], "model_int8.tflite is damaged or was replaced"),
        (["info", "run/detector.gyrovae/model_int8.tflite"], ".tflite"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_damaged_model(copy: Path, words: list[str], says: str) -> None:
    model = copy / "run" / "detector.gyrovae" / "model_int8.tflite"
    model.write_bytes(model.read_bytes()[:5000])
    assert says in refusal(*words)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("dataset/train_images-00000.npy", ["train", "dataset", "-o", "new"], "train_images-00000.npy is damaged"),
        ("dataset/dataset.json", ["train", "dataset", "-o", "new"], "dataset.json"),
        ("dataset/validation_images-00000.npy", ["quantize", "run"], "validation_images-00000.npy is damaged"),
        ("run/run.json", ["quantize", "run"], "run.json"),
        ("run/model.keras", ["quantize", "run"], "model.keras"),
        ("run/baseline.npz", ["evaluate", "run", "--normal", "more.csv"], "baseline.npz"),
        ("run/learnt.npz", ["evaluate", "run", "--normal", "more.csv"], "learnt.npz"),
        ("run/detector.gyrovae/manifest.json", ["emit-header", "run", "-o", "new.h"], "manifest.json"),
    ],
)
def test_a_damaged_file(copy: Path, name: str, words: list[str], says: str) -> None:
    (copy / name).write_bytes((copy / name).read_bytes()[:200])
    assert says in refusal(*words)


@pytest.mark.slow
def test_refusals_that_need_a_detector(copy: Path) -> None:
    (copy / "slow.csv").write_text(csv(600, rate_hz=100.0))
    (copy / "short.csv").write_text(csv(255))
    assert "slow.csv was recorded at another rate" in refusal("evaluate", "run", "--normal", "slow.csv")
    assert "too few samples for one window" in refusal("evaluate", "run", "--normal", "short.csv")
    assert "no normal recordings" in refusal("evaluate", "run", "--anomaly", "k=more.csv")
    assert '"normal"' in refusal("evaluate", "run", "--normal", "more.csv", "--anomaly", "normal=off.csv")
    assert "run holds a run already" in refusal("train", "dataset", "-o", "run")
    assert "holds no run to resume" in refusal("train", "dataset", "-o", "new", "--resume")
    changed = ["train", "dataset", "-o", "run", "--resume", "--epochs", "4", "--seed", "1"]
    assert "run was started with other settings: seed\n" in refusal(*changed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "line"),
    [
        (20_000, "quantize run --mode ptq"),
        (20_000, "emit-header run -o header.h"),
        (20_000, "emit-header run -o new.h"),
        (100_000, "train dataset -o new --epochs 1"),
    ],
)
def test_a_full_disk(copy: Path, limit: int, line: str) -> None:
    before = tree(copy)
    assert "cannot write" in on_a_small_disk(limit, *line.split(), folder=copy)
    after = tree(copy)
    assert {name: content for name, content in after.items() if Path(name).parts[0] != "new"} == before
    # A training that was stopped leaves its folder, to be resumed; nothing in it is a part of a file.
    assert not {"new/state.npz", "new/model.keras"} & after.keys()
    assert not [name for name in after if ".part" in name]


@pytest.mark.slow
def test_ctrl_c_in_a_training_and_its_resumption(made: Made, here: Path) -> None:
    words = ["train", str(made.folder / "dataset"), "-o", "run", "--epochs", "8"]  # seconds from the first to the last
    with subprocess.Popen(
        [*PROGRAM, *words], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(here / "run" / "state.npz", process)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    message = told(process.returncode, output, errors)
    assert "stopped by Ctrl-C; what was trained is kept." in message
    assert not [name for name in tree(here) if ".part" in name]
    with np.load(here / "run" / "state.npz") as state:
        assert 1 <= len(state["history"]) < 8
    typed = shlex.split(message.strip().partition("Go on: gyrovae-tf ")[2])
    assert typed == [*words[:4], "--resume"]
    resumed = shell(*typed, "--json", folder=here)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert json.loads(resumed.stdout)["epochs"] == 8
    assert len((here / "run" / "log.csv").read_text().splitlines()) == 1 + 8


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    for _ in range(12_000):
        if path.is_file():
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    raise AssertionError(f"no {path} after two minutes")


@pytest.mark.slow
def test_the_bar_of_a_training(made: Made, here: Path) -> None:
    """One bar whose note changes with the epochs."""
    code, lines, wrote = on_a_terminal("train", made.folder / "dataset", "-o", "run", "--epochs", "3", folder=here)
    assert code == 0, lines
    assert re.fullmatch(r"training                   \[#{29}\] 100 %  took \d:\d\d  validation loss \d\.\d+", lines[0])
    assert lines[1].startswith("run: 3 epochs, of which number ")
    assert len(set(re.findall(r"validation loss [\d.]+", wrote))) == 2
    assert re.search(r"  \d:\d\d left", wrote)


@pytest.mark.skipif(sys.platform == "win32", reason="no shell to close them in")
def test_closed_streams_hear_nothing(tmp_path: Path) -> None:
    """As some services start what they run."""
    simulate(seconds=30, seed=1).write(tmp_path / "normal.csv")
    words = shlex.join([*PROGRAM, "preprocess", "normal.csv", "-o", "dataset", "--window", "64"])
    done = subprocess.run(["sh", "-c", f"{words} >&- 2>&-"], cwd=tmp_path, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "dataset" / "dataset.json").is_file()
