"""Datasets: nothing held back leaks into what is trained on, and what is stored is what is read."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.baseline import log_band_energies
from gyrovae_tf.learn.cutting import stretches_of
from gyrovae_tf.learn.dataset import Dataset, cut, preprocess
from gyrovae_tf.recording import Recording
from gyrovae_tf.signal import frontend

ARRAYS = (
    "train_images",
    "validation_images",
    "train_origins",
    "validation_origins",
    "train_features",
    "validation_features",
    "train_windows",
    "validation_windows",
)


def noise(lengths: list[int], *, seed: int = 0, largest: float = 10.0, **fields: Any) -> Recording:
    """A recording of uniform noise in segments of these lengths."""
    borders = [0, *itertools.accumulate(lengths)]
    samples = np.random.default_rng(seed).uniform(-largest, largest, (borders[-1], 3))
    samples[0] = largest
    settings = {"rate_hz": 100.0, "source": f"noise {seed}", **fields}
    return Recording(samples=samples, segments=tuple(itertools.pairwise(borders)), **settings)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def odd(made: Dataset) -> tuple[str, ...]:
    """What is told of a dataset but that it is a short one, as all of them are here."""
    return tuple(note for note in made.notes if not note.startswith("Too "))


def rows(origins: NDArray[np.int64], recording: int, window: int) -> set[int]:
    """The samples of one recording that these windows cover."""
    return {row for first in origins[origins[:, 0] == recording, 1].tolist() for row in range(first, first + window)}


@st.composite
def plans(draw: st.DrawFn) -> tuple[list[Recording], int, int, float]:
    """Recordings with gaps, a window, a hop and a share to hold back."""
    lengths = draw(st.lists(st.lists(st.integers(20, 900), min_size=1, max_size=4), min_size=1, max_size=3))
    recordings = [noise(part, seed=index) for index, part in enumerate(lengths)]
    window = draw(st.sampled_from((64, 96, 128)))
    return recordings, window, draw(st.integers(8, 150)), draw(st.floats(0.1, 0.6))


def attempt(recordings: list[Recording], window: int, hop: int, share: float) -> Dataset:
    """The dataset, where there is enough motion for one."""
    try:
        return preprocess(recordings, window=window, hop=hop, validation_share=share)
    except GyrovaeError as error:
        assert "too few samples" in error.problem  # noqa: PT017
        reject()


# --- what is held back -----------------------------------------------------------------------------------------


@given(plans())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_held_back_windows_share_no_sample_with_training_windows(
    plan: tuple[list[Recording], int, int, float],
) -> None:
    recordings, window, hop, share = plan
    dataset = attempt(recordings, window, hop, share)
    trained, held_back = dataset.train_origins, dataset.validation_origins
    for index in range(len(recordings)):
        assert not rows(trained, index, window) & rows(held_back, index, window)
    everything = [
        (index, first)
        for index, recording in enumerate(recordings)
        for start, stop in recording.segments
        for first in range(start, stop - window + 1, hop)
    ]
    used = [tuple(origin) for origin in (*trained.tolist(), *held_back.tolist())]
    assert len(used) == len(set(used))
    assert set(used) <= set(everything)  # so no window crosses the border of a segment
    for index, first in set(everything) - set(used):  # and none was dropped without need
        assert rows(held_back, index, window) & set(range(first, first + window))
    assert len(held_back) == pytest.approx(share * len(everything), abs=4)  # eight blocks, each rounded


@given(plans())
@settings(max_examples=15, deadline=None, derandomize=True)
def test_held_back_samples_do_not_reach_the_front_end(plan: tuple[list[Recording], int, int, float]) -> None:
    recordings, window, hop, share = plan
    dataset = attempt(recordings, window, hop, share)
    changed = []
    for index, recording in enumerate(recordings):
        samples = recording.samples.copy()
        trained = rows(dataset.train_origins, index, window)
        others = [row for row in range(len(samples)) if row not in trained]
        samples[others] = np.random.default_rng((9, index)).normal(0, 1000, (len(others), 3))  # no copy of another
        changed.append(dataclasses.replace(recording, samples=samples))
    again = preprocess(changed, window=window, hop=hop, validation_share=share)
    assert again.spec == dataset.spec
    assert np.array_equal(again.train_images, dataset.train_images)
    assert np.array_equal(again.train_features, dataset.train_features)
    assert not np.array_equal(again.validation_images, dataset.validation_images)


def test_a_split_by_hand() -> None:
    # 96 windows side by side: four blocks of 24, the last quarter (6) of each held back, nothing to drop.
    dataset = preprocess([noise([96 * 64])], window=64, hop=64)
    assert dataset.validation_origins.tolist() == [
        [0, 64 * i] for i in (*range(18, 24), *range(42, 48), *range(66, 72), *range(90, 96))
    ]
    assert dataset.train_origins.tolist() == [
        [0, 64 * i] for i in (*range(18), *range(24, 42), *range(48, 66), *range(72, 90))
    ]
    # 96 windows that overlap by half: one is dropped at each of the seven borders.
    dataset = preprocess([noise([95 * 32 + 64])], window=64, hop=32)
    assert dataset.validation_origins.tolist() == [
        [0, 32 * i] for i in (*range(18, 24), *range(42, 48), *range(66, 72), *range(90, 96))
    ]
    assert dataset.train_origins.tolist() == [
        [0, 32 * i] for i in (*range(17), *range(25, 41), *range(49, 65), *range(73, 89))
    ]


def test_neighbouring_segments_and_recordings_share_no_samples() -> None:
    """Twelve bursts of four windows: only windows of the same burst are dropped."""
    dataset = preprocess([noise([160] * 12), noise([160] * 12, seed=1)], window=64, hop=32, validation_share=0.5)
    assert len(dataset.validation_origins) == 48
    assert len(dataset.train_origins) == 48  # the borders of the blocks are borders of bursts


def test_the_front_end_is_fitted_to_the_training_windows() -> None:
    recordings = [noise([700, 800], lsb=0.002), noise([900], seed=3, lsb=0.002)]
    dataset = preprocess(recordings, window=64, hop=16)
    windows, origins = cut(recordings, window=64, hop=16, lsb=0.002)
    chosen = [origins.tolist().index(origin) for origin in dataset.train_origins.tolist()]
    assert frontend.fit(windows[chosen], rate_hz=100.0, lsb=0.002, units="m/s^2") == dataset.spec
    assert np.array_equal(frontend.images(windows[chosen], dataset.spec), dataset.train_images)
    assert np.array_equal(log_band_energies(windows[chosen]), dataset.train_features)


# --- windows and counts ----------------------------------------------------------------------------------------


def test_windows_by_hand() -> None:
    samples = np.outer(np.arange(200), [0.5, -0.5, 0.26])
    recording = Recording(samples, 100.0, ((0, 70), (70, 200)), "ramp")
    windows, origins = cut([recording], window=64, hop=50, lsb=0.5)
    assert origins.tolist() == [[0, 0], [0, 70], [0, 120]]
    assert windows.dtype == np.int16
    assert windows.shape == (3, 64, 3)
    assert windows[1, 0].tolist() == [70, -70, 36]  # 70 * 0.26 / 0.5 = 36.4
    assert windows[2, 63].tolist() == [183, -183, 95]
    saturated, _ = cut([recording], window=64, hop=50, lsb=0.001)
    assert saturated[2, 63].tolist() == [32767, -32768, 32767]


@pytest.mark.parametrize(
    ("recordings", "given", "lsb"),
    [
        ([noise([4000])], None, 0.001),  # 2.5 * 10 / 32767 = 0.00076
        ([noise([4000], largest=30.0)], None, 0.005),  # 0.0023
        ([noise([4000], lsb=0.0048)], None, 0.0048),
        ([noise([4000], lsb=0.0048), noise([4000], lsb=0.0048)], None, 0.0048),
        ([noise([4000], lsb=0.0048), noise([4000], lsb=0.0012)], None, 0.001),
        ([noise([4000], lsb=0.0048), noise([4000], lsb=0.004804)], None, 0.0048),  # as the device compares them
        ([noise([4000], lsb=0.0048), noise([4000])], None, 0.0048),
        ([noise([4000], lsb=0.0048)], 0.01, 0.01),
    ],
)
def test_the_size_of_a_count(recordings: list[Recording], given: float | None, lsb: float) -> None:
    assert preprocess(recordings, window=64, lsb=given).spec.lsb == lsb


@pytest.mark.parametrize(
    ("stated", "given", "says"),
    [
        ((0.0048, 0.0048), None, None),
        ((None, 0.0048), None, None),
        ((None,), 0.0048, None),
        ((None,), None, "Nothing says what one count of the sensor is, so 0.001 m/s^2 is taken, by the range"),
        (
            (0.0048, 0.0012),
            None,
            "The recordings state different sizes of a count (0.0012, 0.0048 m/s^2), so 0.001 m/s^2",
        ),
    ],
)
def test_a_count_that_nobody_stated_is_told(
    stated: tuple[float | None, ...], given: float | None, says: str | None, tmp_path: Path
) -> None:
    """As a detector with a wrong one is refused by the device, long after."""
    recordings = [noise([4000], seed=place, lsb=lsb) for place, lsb in enumerate(stated)]
    made = preprocess(recordings, tmp_path / "d", window=64, lsb=given)
    assert [note.startswith(str(says)) for note in odd(made)] == [True] * (says is not None)
    assert Dataset.load(tmp_path / "d").notes == made.notes


def test_times_that_run_unevenly_are_told() -> None:
    late = noise([4000], lsb=0.0048, metadata={"uneven_times": {"rate_hz": 200.1, "gap_s": 0.1}}, source="late.csv")
    made = preprocess([late, noise([4000], seed=1, lsb=0.0048)], window=64)
    assert odd(made) == (
        "The times of 1 of 2 recordings run unevenly, as those of arrival do: late.csv. Samples are taken for evenly "
        "spaced; short gaps are not seen.",
    )


def test_names_of_other_sensors_are_told() -> None:
    sources = ("Gyroscope.csv", "Accelerometer.csv", "pump_gyro_off.csv")
    known = [noise([4000], seed=place, lsb=0.0048, source=source) for place, source in enumerate(sources)]
    made = preprocess(known, window=64)
    told = (
        "By their names 1 of 3 recordings (Gyroscope.csv) are of another sensor than an accelerometer; what they hold "
        "is taken for m/s^2."
    )
    assert odd(made) == made.suspect == (told,)
    turning = noise([4000], lsb=0.0048, source="Gyroscope.csv", units="rad/s")
    assert odd(preprocess([turning], window=64)) == ()


def test_a_guessed_rate_is_told(tmp_path: Path) -> None:
    lines = [f"{row},{x},{y},{z}" for row, (x, y, z) in enumerate(noise([2000]).samples.tolist())]
    (path := tmp_path / "a.csv").write_text("\n".join(["t,x,y,z", *lines]))
    told, *_ = (note for note in preprocess([path], window=64).notes if "guess" in note)
    assert told == (
        "Nothing says what the times of 1 of 1 recordings are in (a.csv): by a guess they give 1,000 Hz. If that is "
        "not the rate, say what they are in by the column's name (time_s, time_ms, time_us); if they count samples, "
        "give --rate-hz (rate_hz in Python)."
    )
    assert not any("guess" in note for note in preprocess([path], window=64, rate_hz=100).notes)


def test_recordings_of_a_fault_are_told() -> None:
    fault = noise([4000], lsb=0.0048, metadata={"fault": "imbalance"}, source="odd.csv")
    made = preprocess([fault, noise([4000], seed=1, lsb=0.0048, metadata={"fault": None})], window=64)
    assert odd(made) == (
        "1 of 2 recordings say that they are of a fault: odd.csv. A detector must learn from normal motion alone.",
    )


def test_a_folder_with_anomalies_is_refused(tmp_path: Path) -> None:
    for name in ("normal/a.csv", "anomaly/off/b.csv"):
        noise([4000]).write(tmp_path / name)
    with pytest.raises(GyrovaeError, match=r"holds recordings of anomalies .*\nGive .*normal, or, where .*--dataset"):
        preprocess([tmp_path], window=64)
    assert preprocess([tmp_path / "normal"], window=64).sources == ("a.csv",)


def test_a_recording_in_g_among_others_is_told() -> None:
    pull = np.array([0.0, 0.0, 1.0])
    still = [noise([4000], largest=0.05, source=name) for name in ("a.csv", "b.csv")]
    moved = [dataclasses.replace(r, samples=r.samples + by * pull) for r, by in zip(still, (9.8, 1.0), strict=True)]
    (told,) = (note for note in preprocess(moved, window=64).notes if "acceleration" in note)
    assert told.startswith("The mean acceleration in 1 of 2 recordings (b.csv) is 1.00 m/s^2, as gravity is in g.")


@pytest.mark.parametrize(
    ("recordings", "given"), [([noise([4000])], 0.0002), ([noise([4000], lsb=0.0002)], None)], ids=["given", "stated"]
)
def test_a_count_too_small_for_the_motion(recordings: list[Recording], given: float | None) -> None:
    with pytest.raises(GyrovaeError, match=r"do not fit int16 counts of 0.0002 m/s\^2 .* up to 6.5536, received 10"):
        preprocess(recordings, window=64, lsb=given)


def test_one_wild_sample_does_not_choose_the_count() -> None:
    """By it a count would be so large that nothing were left of the motion."""
    wild = noise([4000], largest=0.3)
    samples = wild.samples.copy()
    samples[100] = 9e5
    recording = dataclasses.replace(wild, samples=samples)
    with pytest.raises(GyrovaeError, match=r"a sample of 900000 m/s\^2 is far beyond all others, .*\nIs it a fault of"):
        preprocess([recording], window=64)
    with pytest.raises(GyrovaeError, match=r"do not fit int16 counts of 0.001 .*\n.*, or leave out samples"):
        preprocess([recording], window=64, lsb=0.001)
    assert preprocess([wild], window=64).spec.lsb < 1e-4
    far = dataclasses.replace(noise([4000], largest=0.1), samples=noise([4000], largest=0.1).samples + 30_000)
    with pytest.raises(GyrovaeError, match=r"no motion on any axis in counts of 5 m/s\^2, .*\nTake out what is added"):
        preprocess([far], window=64)
    rests = noise([8000], largest=9.0)
    samples = rests.samples.copy()
    samples[np.arange(8000) % 1000 < 700] = 0  # a machine at rest most of the time, gravity taken out
    assert preprocess([dataclasses.replace(rests, samples=samples)], window=64).spec.lsb < 1e-2


def test_a_count_that_recordings_state_otherwise_is_told() -> None:
    known = [noise([4000], lsb=0.001), noise([4000], seed=1, lsb=0.002, source="b.csv")]
    (told,) = odd(preprocess(known, window=64, lsb=0.001))
    assert told.startswith("One count is 0.001 m/s^2, as given, though recordings say 0.002 m/s^2: a device that")
    assert odd(preprocess(known[:1], window=64, lsb=0.0010005)) == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda samples: samples, []),
        (lambda samples: samples * (1, 1, 0), ["z reads the same all the time: see to the sensor."]),
        (lambda samples: samples * (0, 1, 0), ["x, z read the same all the time: see to the sensor."]),
        (lambda samples: np.clip(samples, -3, 3), ["The sensor clips: choose a larger range"]),
        (lambda samples: np.round(samples * 0.0005, 3), ["On x, y, z that is only a few counts of 0.001 m/s^2"]),
        (lambda samples: np.round(samples / 2.5) * 2.5, ["On x, y, z that is only a few counts of 2.5 m/s^2"]),
        (lambda samples: np.repeat(samples[::2], 2, axis=0), ["The sensor is slower than it is read"]),
        (lambda samples: np.round(samples * 0.0002, 3), ["On x, y, z that is only a few counts of 0.001 m/s^2"]),
        (
            lambda samples: np.round(samples * (0.0002, 0, 0), 3),
            ["y, z read the same all the time: see to the sensor. On x that is only a few counts of 0.001 m/s^2"],
        ),
        (lambda samples: np.round(3 * np.sin(samples), 2), []),
    ],
    ids=[
        *("well", "one dead axis", "two", "clipped", "coarse", "coarser than counts", "repeated"),
        *("so coarse that samples repeat", "a single coarse axis", "a sine's ends"),
    ],
)
def test_what_is_wrong_with_the_samples_is_told_before_any_training(
    change: Callable[[NDArray[np.float64]], NDArray[np.float64]], told: list[str]
) -> None:
    recording = noise([8000], lsb=0.001)
    made = preprocess([dataclasses.replace(recording, samples=change(recording.samples))], window=64)
    found = odd(made)
    assert len(found) == len(told)
    for text, expected in zip(found, told, strict=True):
        assert expected in text


def test_what_the_command_tells_is_in_the_notes_in_memory_and_on_the_disk(tmp_path: Path) -> None:
    recording = noise([8000], lsb=0.001)
    dead = dataclasses.replace(recording, samples=recording.samples * (1, 1, 0))
    made = preprocess([dead], window=64)
    moves, few, uniform = made.notes
    assert moves.endswith(" z reads the same all the time: see to the sensor.")
    assert few.startswith("Too few data: 1.3 minutes hold at most 114 independent windows; ")
    assert uniform.startswith("Too uniform: one recording of 1.3 minutes, less than 5; ")
    assert preprocess([dead], tmp_path / "d", window=64).notes == made.notes
    assert Dataset.load(tmp_path / "d").notes == made.notes
    assert json.loads((tmp_path / "d" / "dataset.json").read_text())["notes"] == list(made.notes)


def loud(*sizes: float) -> list[Recording]:
    """Recordings of noise, so many times as large as 10 m/s^2."""
    return [noise([2000], seed=place, largest=10 * size, source=f"{place}.csv") for place, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((1.0, 1.0, 1.0), ()),
        ((1.0, 0.25, 1.0), ()),
        ((0.05, 0.1, 0.3, 1.0), ()),  # a machine of several speeds
        (
            (1.0, 0.1, 1.0),
            ("1 recording moves 10 times less than the 2 others (1.csv): where the machine is off, that is learnt as "
             "normal, too.",),
        ),
        (
            (0.01, 0.02, 1.0, 0.02, 0.01),
            ("4 recordings move 50 times less than the other (0.csv, 1.csv, 3.csv and 1 more): where the machine is "
             "off, that is learnt as normal, too.",),
        ),
    ],
)  # fmt: skip
def test_recordings_of_a_machine_that_may_be_off(sizes: tuple[float, ...], told: tuple[str, ...]) -> None:
    found = preprocess(loud(*sizes), window=64).notes
    assert tuple(text for text in found if "where the machine is off" in text) == told


# --- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recording", "options", "message"),
    [
        (
            noise([63]),
            {},
            "too few samples for one window of 64; expected at least 64 .* received 63 .*\nRecord longer,",
        ),
        (
            noise([63, 63]),
            {},
            "too few samples for one window of 64: gaps cut the recording into short stretches, as its times repeat, "
            "go back or jump, or its segments are short; expected at least 64 samples without a gap, received 63 at "
            "the most, of 126 in all\nRecord longer without gaps. If its clock is at fault, or samples were stamped",
        ),
        (noise([64]), {}, "too few samples: 64 give 1 windows of 64 to train on and 0 to hold back"),
        (noise([300]), {}, "too few samples: 300 give .* at least 16 and 4"),
        (noise([4000]), {"hop": 0}, "the hop is not usable"),
        (noise([4000]), {"hop": 12.5}, "the hop is not usable"),
        (noise([4000]), {"window": 100}, "the window length is not usable"),
        (noise([4000]), {"window": 32}, "the window length is not usable"),
        (noise([4000]), {"validation_share": 0.0}, "the validation share"),
        (noise([4000]), {"validation_share": 1.0}, "the validation share"),
        (noise([4000]), {"validation_share": float("nan")}, "the validation share"),
        (noise([4000]), {"validation_share": 0.95}, "too few samples"),
        (noise([4000]), {"lsb": 0.0}, "lsb"),
        (noise([4000]), {"lsb": -0.1}, "lsb"),
        (noise([4000]), {"lsb": float("nan")}, "lsb"),
        (noise([4000], rate_hz=None), {}, "nothing says its sample rate"),
    ],
)
def test_a_refusal(tmp_path: Path, recording: Recording, options: dict[str, Any], message: str) -> None:
    with pytest.raises(GyrovaeError, match=message):
        preprocess([recording], tmp_path / "dataset", **{"window": 64, **options})
    assert list(tmp_path.iterdir()) == []


def test_no_recordings() -> None:
    with pytest.raises(GyrovaeError, match="no recordings"):
        preprocess([])


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(GyrovaeError, match="holds other files"):
        preprocess([noise([4000])], tmp_path, window=64)
    assert files(tmp_path) == {"thesis.txt": b"years of work"}


# --- storage ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return preprocess([noise([3000])], tmp_path_factory.mktemp("stored") / "dataset", window=64)


@pytest.fixture
def copy(stored: Dataset, tmp_path: Path) -> Path:
    """The same dataset, to be damaged."""
    return Path(stored.save(tmp_path / "copy").path or "")


def test_the_same_recordings_give_the_same_bytes(tmp_path: Path) -> None:
    simulate(seconds=40, seed=5).write(tmp_path / "normal.csv")
    preprocess([tmp_path / "normal.csv"], tmp_path / "a", window=64)
    seen: list[tuple[int, int, str]] = []
    preprocess([Recording.read(tmp_path / "normal.csv")], tmp_path / "b", window=64, progress=lambda *x: seen.append(x))
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert sorted(files(tmp_path / "a")) == sorted(["dataset.json", *(f"{name}-00000.npy" for name in ARRAYS)])
    assert [what for done, total, what in seen if done == total] == ["windows"]


def test_a_dataset_is_read_as_it_was_written(stored: Dataset) -> None:
    assert stored.path is not None
    read = Dataset.load(stored.path)
    for name in ARRAYS:
        assert np.array_equal(getattr(read, name), getattr(stored, name))
        assert getattr(read, name).dtype == getattr(stored, name).dtype
    assert (read.spec, read.hop, read.sources, read.path) == (stored.spec, 16, ("noise 0",), stored.path)
    assert read.digest == stored.digest
    assert read.train_images.dtype == np.int8
    assert read.train_images.shape[1:] == (2, 32, 32, 3)


def test_the_windows_are_those_that_the_images_show(stored: Dataset) -> None:
    for windows, images in (
        (stored.train_windows, stored.train_images),
        (stored.validation_windows, stored.validation_images),
    ):
        assert windows is not None
        assert np.array_equal(frontend.images(windows, stored.spec), images)


def test_a_dataset_made_before_windows_were_kept(stored: Dataset, tmp_path: Path) -> None:
    older = dataclasses.replace(stored, train_windows=None, validation_windows=None).save(tmp_path / "older")
    assert not list((tmp_path / "older").glob("*_windows-*.npy"))
    assert older.path is not None
    read = Dataset.load(older.path)
    assert read.train_windows is None
    assert read.validation_windows is None
    assert read.digest == stored.digest


def test_a_dataset_that_kept_its_held_back_windows_alone(stored: Dataset, tmp_path: Path) -> None:
    assert stored.validation_windows is not None
    read = Dataset.load(dataclasses.replace(stored, train_windows=None).save(tmp_path / "some").path or "")
    assert read.train_windows is None
    assert read.validation_windows is not None
    assert np.array_equal(read.validation_windows, stored.validation_windows)


@pytest.mark.parametrize("name", ["train_windows", "validation_windows"])
def test_windows_that_are_not_those_of_the_images(stored: Dataset, tmp_path: Path, name: str) -> None:
    windows = getattr(stored, name)
    for odd in (windows[:-1], windows.astype(np.int32), windows[:, :32], windows[:, :, :2]):
        dataclasses.replace(stored, **{name: odd}).save(tmp_path / "odd")
        with pytest.raises(
            GyrovaeError,
            match=rf"{name}-00000\.npy does not hold the windows of the images; .* int16 \[{len(windows)}, 64, 3\]",
        ):
            Dataset.load(tmp_path / "odd")


def test_a_dataset_takes_the_place_of_an_older_one(copy: Path) -> None:
    newer = preprocess([noise([4000], seed=7)], copy, window=96)
    assert Dataset.load(copy).digest == newer.digest
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "missing"])
def test_a_damaged_array(copy: Path, name: str, damage: str) -> None:
    path = copy / f"{name}-00000.npy"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": content[:-1], "flipped": content, "emptied": b""}[damage])
    with pytest.raises(GyrovaeError, match=f"{name}-00000.npy"):
        Dataset.load(copy)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 2, 32, 32, 3), np.float32), "holds no images"),
        (np.zeros((3, 32, 32, 3), np.int8), "holds no images"),
        (np.zeros((0, 2, 32, 32, 3), np.int8), "holds no images"),
        (np.array([None]), "is malformed"),  # a pickle
    ],
    ids=["float", "one image", "none", "pickle"],
)
def test_an_array_of_another_kind(copy: Path, array: NDArray[Any], message: str) -> None:
    np.save(copy / "train_images-00000.npy", array, allow_pickle=True)
    record = json.loads((copy / "dataset.json").read_text())
    content = (copy / "train_images-00000.npy").read_bytes()
    record["files"]["train_images-00000.npy"] = hashlib.sha256(content).hexdigest()
    (copy / "dataset.json").write_text(json.dumps(record))
    with pytest.raises(GyrovaeError, match=message):
        Dataset.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 3}, "schema version .* expected 2, received 3"),
        ({"spec": {}}, "version"),
        ({"hop": "many"}, "is malformed"),
        ({"hop": float("inf")}, "is malformed"),
        ({"hop": None}, "is malformed"),
        ({"sources": 3}, "is malformed"),
        ({"files": {}}, "is malformed"),
        ({"files": [1]}, "is malformed"),
    ],
    ids=str,
)
def test_a_damaged_record(copy: Path, change: dict[str, Any], message: str) -> None:
    record = json.loads((copy / "dataset.json").read_text())
    (copy / "dataset.json").write_text(json.dumps(record | change))
    with pytest.raises(GyrovaeError, match=message):
        Dataset.load(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"schema_version": 1}'])
def test_a_record_that_is_none(copy: Path, text: str) -> None:
    (copy / "dataset.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(GyrovaeError, match=r"dataset.json"):
        Dataset.load(copy)


def test_what_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(GyrovaeError, match=r"is not a dataset; expected a folder with dataset.json"):
        Dataset.load(tmp_path)
    with pytest.raises(GyrovaeError, match="there is no"):
        Dataset.load(tmp_path / "missing")


def test_seconds_count_overlapping_windows_once(tiny_dataset: Dataset) -> None:
    windows, hop, window = len(tiny_dataset.train_images), tiny_dataset.hop, tiny_dataset.spec.window
    assert hop < window
    stretches = len(np.unique(stretches_of(tiny_dataset.train_origins, hop)))
    assert tiny_dataset.seconds == (windows * hop + stretches * (window - hop)) / tiny_dataset.spec.rate_hz


@pytest.mark.parametrize(
    ("recommended", "window"), [(128, 128), (200, 192), (40, 64), (5000, 1024), ("long", 256), (None, 256)]
)
def test_a_recommended_window_is_brought_to_a_usable_length(recommended: object, window: int, tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    samples = np.random.default_rng(0).normal(0, 1, (30_000, 3))
    Recording(samples, 200.0, ((0, 30_000),), "a").write(tmp_path / "normal" / "a.csv")
    meta = {"sample_rate_hz": 200, "recommended_window": recommended, "split": {"normal_train": ["a.csv"]}}
    (tmp_path / "meta.json").write_text(json.dumps(meta))
    assert preprocess(dataset=tmp_path).spec.window == window
