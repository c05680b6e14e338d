"""The simulated machine judged by SciPy: what runs, what a fault changes, what the sensor does."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from gyrovae_tf.device.simulate import AXES, FAULTS, FaultBand, Machine, fault_bands, simulate
from gyrovae_tf.errors import GyrovaeError

Array = NDArray[np.float64]

NOTHING: dict[str, Any] = {  # a machine of which nothing but gravity is left; tests add one part at a time
    "harmonics_m_s2": ((0.0, 0.0, 0.0),),
    "phases_rad": ((0.0, 0.0, 0.0),),
    "blade_m_s2": (0.0, 0.0, 0.0),
    "flow_m_s2": (0.0, 0.0, 0.0),
    "structure_m_s2": (0.0, 0.0, 0.0),
    "sensor_noise_m_s2": 0.0,
    "speed_jitter": 0.0,
    "load_slip": 0.0,
    "load_spread": 0.0,
}
MACHINES = {
    "fan": Machine(),
    "motor": Machine(rate_hz=1600.0, shaft_hz=50.0, blades=7, structure_hz=230.0, bearing_hz=500.0),
    "pump": Machine(rate_hz=100.0, shaft_hz=5.0, blades=4, structure_hz=31.0, bearing_hz=40.0),
    "three speeds": Machine(regimes=((1.0, 1.0), (0.8, 0.9), (0.9, 1.1)), regime_s=10.0),
}


def samples(machine: Machine | None = None, **settings: Any) -> Array:
    return simulate(machine or Machine(), **{"seconds": 60.0, "seed": 1, **settings}).samples


def rms(motion: Array) -> Array:
    return np.std(motion, axis=0)


def peak_hz(motion: Array, rate_hz: float) -> float:
    frequency, power = signal.welch(motion, rate_hz, nperseg=4096)
    return float(frequency[np.argmax(power)])


def band_power(motion: Array, rate_hz: float, band: FaultBand) -> float:
    frequency, density = signal.welch(motion[:, AXES.index(band.axis)], rate_hz, nperseg=2048)
    return float(np.sum(density[(band.low_hz <= frequency) & (frequency <= band.high_hz)]))


# What runs


def test_a_line_has_its_frequency_and_amplitude() -> None:
    machine = Machine(
        **{**NOTHING, "harmonics_m_s2": ((0.0, 0.5, 0.0), (0.0, 0.0, 0.2)), "phases_rad": ((0.0,) * 3,) * 2}
    )
    frequency, power = signal.welch(samples(machine), 200.0, window="flattop", nperseg=2000, scaling="spectrum", axis=0)
    assert frequency[np.argmax(power, axis=0)[1:]] == pytest.approx([24.0, 48.0])
    # A line of amplitude a has the power a^2 / 2.
    assert np.max(power, axis=0) == pytest.approx([0.0, 0.5**2 / 2, 0.2**2 / 2], rel=0.01, abs=1e-5)


def test_the_strongest_line_of_the_default_machine_is_at_its_shaft_speed() -> None:
    assert peak_hz(samples()[:, 1], 200.0) == pytest.approx(24.0, rel=0.02)


def test_the_blade_pass_line_is_at_blades_times_shaft_speed() -> None:
    machine = Machine(**{**NOTHING, "shaft_hz": 12.0, "blades": 5, "blade_m_s2": (0.3, 0.0, 0.0)})
    assert peak_hz(samples(machine)[:, 0], 200.0) == pytest.approx(60.0, abs=0.05)


def test_the_noise_of_the_flow_is_white_and_has_its_rms() -> None:
    noise = samples(Machine(**{**NOTHING, "flow_m_s2": (0.3, 0.2, 0.1)}), seconds=300.0)
    assert rms(noise) == pytest.approx([0.3, 0.2, 0.1], rel=0.02)
    _, density = signal.welch(noise, 200.0, nperseg=256, axis=0)
    assert density[2:-2] == pytest.approx(np.broadcast_to(np.square([0.3, 0.2, 0.1]) / 100, (125, 3)), rel=0.4)
    assert np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.02


def test_the_structure_is_one_resonance_with_its_damping_and_rms() -> None:
    machine = Machine(**{**NOTHING, "structure_m_s2": (0.1, 0.4, 0.2), "structure_damping": 0.05})
    motion = samples(machine, seconds=600.0)
    assert rms(motion) == pytest.approx([0.1, 0.4, 0.2], rel=0.05)
    frequency, density = signal.welch(motion[:, 1], 200.0, nperseg=1024)
    assert frequency[np.argmax(density)] == pytest.approx(37.0, abs=1.0)
    half_power = frequency[density > density.max() / 2]
    assert half_power[-1] - half_power[0] == pytest.approx(2 * 0.05 * 37.0, abs=1.0)
    assert np.corrcoef(motion.T).min() > 0.99


def test_the_speed_wanders_as_much_as_stated() -> None:
    lines = {"harmonics_m_s2": ((0.0, 1.0, 0.0),), "speed_jitter": 0.004}
    motion = samples(Machine(**{**NOTHING, **lines}), seconds=600.0)[:, 1]
    phase = np.unwrap(np.angle(signal.hilbert(motion)))[200:-200]
    speed_hz = np.diff(phase[::100]) / (2 * math.pi) * 2  # mean over each half second
    assert np.mean(speed_hz) == pytest.approx(24.0, rel=0.002)
    assert np.std(speed_hz) / 24.0 == pytest.approx(0.004, rel=0.25)


def test_windows_of_a_healthy_machine_differ_with_the_load() -> None:
    def spread(machine: Machine) -> float:
        windows = samples(machine, seconds=600.0)[: 468 * 256].reshape(468, 256, 3)
        loudness = np.sqrt(np.mean(np.var(windows, axis=1), axis=1))
        return float(np.std(loudness) / np.mean(loudness))

    assert 0.05 < spread(Machine()) < 0.15
    assert spread(Machine(load_spread=0.0)) < 0.5 * spread(Machine())


def test_a_loaded_machine_is_louder_and_slower() -> None:
    settings = {"harmonics_m_s2": ((0.0, 1.0, 0.0),), "load_slip": 0.01, "load_spread": 0.1}
    motion = samples(Machine(**{**NOTHING, **settings}), seconds=600.0)[:, 1]
    analytic = signal.hilbert(motion)[200:-200]
    speed = np.diff(np.unwrap(np.angle(analytic))[::200]) / (2 * math.pi * 24.0) - 1
    loudness = np.log(np.abs(analytic[100::200][: len(speed)]))
    # One deviation of load: 1 % slower, so 2 % less force, and 0.1 more in the logarithm.
    slope = np.polyfit(loudness, speed, 1)[0]
    assert slope == pytest.approx(-0.01 / (0.1 - 2 * 0.01), rel=0.05)


def test_regimes_are_all_visited_and_force_goes_with_the_square_of_speed() -> None:
    lines = {"harmonics_m_s2": ((0.0, 0.5, 0.0),), "regimes": ((1.0, 1.0), (0.5, 1.0)), "regime_s": 10.0}
    motion = samples(Machine(**{**NOTHING, **lines}), seconds=200.0)[:, 1]
    windows = motion.reshape(200, 200)  # of one second
    speed_hz = np.argmax(np.abs(np.fft.rfft(windows, axis=1)), axis=1)
    amplitude = math.sqrt(2) * np.std(windows, axis=1)
    fast, slow = speed_hz == 24, speed_hz == 12
    assert np.sum(fast) > 40
    assert np.sum(slow) > 40
    assert np.median(amplitude[fast]) == pytest.approx(0.5, rel=0.02)
    assert np.median(amplitude[slow]) == pytest.approx(0.125, rel=0.02)


def test_a_line_above_half_the_rate_is_not_folded_back() -> None:
    lines = {"harmonics_m_s2": ((0.0, 0.5, 0.0),) * 3, "phases_rad": ((0.0,) * 3,) * 3, "shaft_hz": 40.0}
    motion = samples(Machine(**{**NOTHING, **lines}))[:, 1]  # 40 and 80 Hz; 120 Hz would fold onto 80 Hz
    assert np.var(motion) == pytest.approx(2 * 0.5**2 / 2, rel=0.01)


# What a fault changes


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("seed", [1, 2])
def test_each_fault_acts_where_it_says(name: str, fault: str, seed: int) -> None:
    machine = MACHINES[name]
    healthy, faulty = samples(machine, seed=seed), samples(machine, seed=seed, fault=fault)
    bands = fault_bands(machine, fault)
    assert bands
    for band in bands:
        assert 0 < band.low_hz < band.high_hz < machine.rate_hz / 2
        before, after = (band_power(motion, machine.rate_hz, band) for motion in (healthy, faulty))
        if band.change == "louder":
            assert after > 1.05 * before, band
        else:
            assert after < 0.8 * before, band


def test_the_bands_of_an_imbalance_by_hand() -> None:
    # 24 Hz, 3 * (0.4 % jitter + 0.3 % slip) of wander, 4 % of the shaft's speed to spare.
    low_hz, high_hz = 24 * (1 - 0.021 - 0.04), 24 * (1 + 0.021 + 0.04)
    assert fault_bands(Machine(), "imbalance") == (
        ("y", pytest.approx(low_hz), pytest.approx(high_hz), "louder"),
        ("z", pytest.approx(low_hz), pytest.approx(high_hz), "louder"),
    )
    assert fault_bands(Machine(), None) == ()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_grows_with_its_severity(fault: str) -> None:
    band = fault_bands(Machine(), fault)[0]
    powers = [band_power(samples(fault=fault, severity=s), 200.0, band) for s in (0.0, 0.5, 1.0)]
    assert powers == sorted(powers, reverse=band.change == "quieter")
    assert len(set(powers)) == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_severity_zero_is_the_healthy_machine(fault: str) -> None:
    assert np.array_equal(samples(fault=fault, severity=0.0), samples())


@pytest.mark.parametrize("fault", ["bearing", "blockage"])
def test_a_subtle_fault_hides_in_the_overall_rms(fault: str) -> None:
    assert abs(np.linalg.norm(rms(samples(fault=fault))) / np.linalg.norm(rms(samples())) - 1) < 0.05


def test_the_healthy_machine_under_a_fault_is_the_same() -> None:
    # An imbalance is radial: nothing may change along the shaft, and what changes is one line in quadrature.
    change = samples(fault="imbalance") - samples()
    assert not change[:, 0].any()
    frequency, cross = signal.csd(change[:, 1], change[:, 2], 200.0, nperseg=1024)
    at = np.argmax(np.abs(cross))
    assert frequency[at] == pytest.approx(24.0, abs=0.5)
    assert np.degrees(np.angle(cross[at])) == pytest.approx(-90.0, abs=3.0)


def test_a_bad_bearing_shows_in_the_envelope_spectrum() -> None:
    machine = dataclasses.replace(MACHINES["motor"], bearing_damping=0.1)
    change = samples(machine, fault="bearing")[:, 1] - samples(machine)[:, 1]
    assert 300 < peak_hz(change, 1600.0) < 700  # it rings near the resonance ...
    envelope = np.abs(signal.hilbert(change)) ** 2
    assert peak_hz(envelope - envelope.mean(), 1600.0) == pytest.approx(3.57 * 50.0, rel=0.02)  # ... that often


def test_a_bearing_rings_most_at_the_line_next_to_its_resonance() -> None:
    machine = Machine(speed_jitter=0.0, load_slip=0.0)
    change = samples(machine, fault="bearing")[:, 1] - samples(machine)[:, 1]
    frequency, density = signal.welch(change, 200.0, nperseg=2048)
    assert frequency[np.argmax(density)] == pytest.approx(3.57 * 24.0, abs=0.5)
    assert density[np.abs(frequency - 3.57 * 24.0) < 2].sum() > 0.7 * density.sum()


def test_impulses_of_a_bearing_fall_between_samples() -> None:
    # Sampled eight times as fast the same bearing rings the same way.
    steady = Machine(speed_jitter=0.0, load_slip=0.0, load_spread=0.0, bits=16)
    slow, fast = (
        samples(machine, fault="bearing", severity=4.0) - samples(machine)
        for machine in (steady, dataclasses.replace(steady, rate_hz=1600.0))
    )
    assert slow[:, 1] == pytest.approx(fast[::8, 1], abs=0.005)
    assert np.std(slow[:, 1]) > 0.2


def test_impulses_of_a_bearing_differ_in_height() -> None:
    machine = Machine(rate_hz=1600.0, shaft_hz=10.0, bearing_hz=400.0, load_spread=0.0)
    change = samples(machine, fault="bearing", severity=4.0)[:, 1] - samples(machine)[:, 1]
    envelope = np.abs(signal.hilbert(change))
    peaks = envelope[signal.find_peaks(envelope, distance=30, height=0.3 * np.median(envelope))[0]]
    assert len(peaks) == pytest.approx(60 * 35.7, rel=0.02)
    assert np.std(np.log(peaks)) == pytest.approx(0.25, abs=0.05)


def test_a_loose_machine_is_unsteady() -> None:
    change = samples(fault="looseness")[:, 2] - samples()[:, 2]
    half_order = signal.sosfiltfilt(signal.butter(4, (9, 15), "bandpass", fs=200.0, output="sos"), change)
    amplitude = np.abs(signal.hilbert(half_order))[200:-200]
    assert np.std(amplitude) / np.mean(amplitude) == pytest.approx(0.4, abs=0.1)


def test_a_loose_machine_has_half_orders() -> None:
    change = samples(fault="looseness")[:, 2] - samples()[:, 2]
    frequency, density = signal.welch(change, 200.0, nperseg=1024)
    found = frequency[signal.find_peaks(density, height=0.1 * density.max(), distance=30)[0]]
    assert found == pytest.approx([12.0, 36.0, 48.0, 60.0, 72.0], abs=0.6)


def test_a_blocked_fan_runs_a_little_faster() -> None:
    ratio = peak_hz(samples(fault="blockage")[:, 1], 200.0) / peak_hz(samples()[:, 1], 200.0)
    assert ratio == pytest.approx(1.02, abs=0.005)


def test_a_machine_that_is_off_leaves_the_noise_of_the_sensor() -> None:
    machine = Machine(sensor_noise_m_s2=0.02)
    # Rounding to a step of lsb adds the variance lsb^2 / 12.
    expected = math.sqrt(0.02**2 + machine.lsb**2 / 12)
    assert rms(samples(machine, fault="off")) == pytest.approx([expected] * 3, rel=0.03)


# What the sensor does


@pytest.mark.parametrize(
    ("roll_deg", "pitch_deg", "direction"),
    [
        (0, 0, (0, 0, 1)),
        (90, 0, (0, 1, 0)),
        (180, 0, (0, 0, -1)),
        (0, 90, (-1, 0, 0)),
        (30, 0, (0, 0.5, math.sqrt(0.75))),
        (45, -30, (0.5, math.sqrt(0.375), math.sqrt(0.375))),
    ],
)
def test_tilt_turns_gravity_and_keeps_its_size(
    roll_deg: float, pitch_deg: float, direction: tuple[float, float, float]
) -> None:
    mean = samples(Machine(roll_deg=roll_deg, pitch_deg=pitch_deg)).mean(axis=0)
    assert mean == pytest.approx(9.80665 * np.array(direction), abs=0.01)
    assert np.linalg.norm(mean) == pytest.approx(9.80665, abs=0.01)


def test_samples_are_whole_counts_of_a_14_bit_sensor() -> None:
    recording = simulate(seconds=60.0, seed=1)
    assert recording.lsb is not None
    assert recording.lsb == pytest.approx(8 * 9.80665 / 16384, rel=1e-12)
    counts = recording.samples / recording.lsb
    assert np.abs(counts - np.rint(counts)).max() < 1e-9
    assert counts.min() >= -8192
    assert counts.max() <= 8191


def test_a_sensor_saturates_at_full_scale() -> None:
    machine = Machine(full_scale_m_s2=9.80665, bits=8)
    counts = np.rint(samples(machine) / machine.lsb)
    assert counts[:, 2].max() == 127  # one g would be 128
    upside_down = np.rint(samples(dataclasses.replace(machine, roll_deg=180.0)) / machine.lsb)
    assert upside_down[:, 2].min() == -128


# What comes back


def test_a_recording_says_what_was_simulated() -> None:
    recording = simulate(Machine(rate_hz=100.0), seconds=2.5, fault="imbalance", severity=0.5, seed=7)
    assert recording.samples.shape == (250, 3)
    assert recording.samples.dtype == np.float64
    assert recording.rate_hz == 100.0
    assert tuple(recording.segments) == ((0, 250),)
    assert recording.source == "simulated"
    told = {"simulated": True, "fault": "imbalance", "severity": 0.5, "seed": 7}
    assert dict(recording.metadata) == told
    assert json.loads(json.dumps(dict(recording.metadata))) == told


def test_the_same_seed_gives_the_same_samples_and_another_seed_others() -> None:
    settings: dict[str, Any] = {"fault": "bearing", "seconds": 5.0}
    assert np.array_equal(samples(seed=3, **settings), samples(seed=3, **settings))
    assert np.mean(samples(seed=3, **settings) != samples(seed=4, **settings)) > 0.9


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("fault", [None, *FAULTS])
def test_a_longer_recording_begins_with_the_shorter_one(name: str, fault: str | None) -> None:
    short, long = (samples(MACHINES[name], fault=fault, seconds=s) for s in (12.0, 30.0))
    assert np.array_equal(short, long[: len(short)])


def test_one_sample_is_a_recording() -> None:
    assert samples(seconds=0.005).shape == (1, 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"seconds": 0.0},
        {"seconds": -1.0},
        {"seconds": math.nan},
        {"seconds": math.inf},
        {"seconds": 1e9},
        {"seconds": "60"},
        {"severity": -0.1},
        {"severity": math.nan},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
    ],
    ids=repr,
)
def test_settings_out_of_range_are_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(GyrovaeError, match=next(iter(settings))):
        samples(**settings)


def test_an_unknown_fault_is_refused_with_the_list_of_known_ones() -> None:
    kinds = "imbalance, misalignment, bearing, looseness, blockage, off"
    with pytest.raises(GyrovaeError, match=f"expected one of {kinds}, received 'wobble'"):
        samples(fault="wobble")
    with pytest.raises(GyrovaeError, match="unknown fault"):
        fault_bands(Machine(), "wobble")


@pytest.mark.parametrize("fields", [{"shaft_hz": 50.0}, {"bearing_hz": 98.0}, {"regimes": ((1.0, 1.0), (1.5, 1.0))}])
def test_a_bearing_too_fast_for_the_rate_is_refused(fields: dict[str, Any]) -> None:
    machine = Machine(**fields)
    samples(machine, seconds=1.0)  # healthy it can be simulated
    with pytest.raises(GyrovaeError, match="at most 97 Hz, received impulses at"):
        samples(machine, fault="bearing")
    with pytest.raises(GyrovaeError, match=r"Raise rate_hz \(--rate-hz\) to \d+ Hz or more, or lower shaft_hz or bear"):
        fault_bands(machine, "bearing")


def test_the_rates_that_can_be_simulated_are_told() -> None:
    with pytest.raises(GyrovaeError) as raised:
        Machine(rate_hz=50.0)
    assert str(raised.value) == (
        "structure_hz is too fast for rate_hz 50; expected at most 24.5 Hz, received 37 Hz\n"
        "Raise rate_hz (--rate-hz) to 76 Hz or more."
    )
    with pytest.raises(GyrovaeError, match=r"\nRaise rate_hz \(--rate-hz\) to 182 Hz or more"):
        samples(Machine(rate_hz=100.0), fault="bearing")
    samples(Machine(rate_hz=76.0))
    samples(Machine(rate_hz=182.0), fault="bearing")


@pytest.mark.parametrize(
    "fields",
    [
        {"rate_hz": 0.0},
        {"rate_hz": math.nan},
        {"shaft_hz": -24.0},
        {"blades": 2.5},
        {"bits": 17},
        {"structure_hz": 100.0},
        {"bearing_hz": -88.0},
        {"structure_damping": 0.0},
        {"flow_m_s2": (0.1, 0.1)},
        {"blade_m_s2": (0.1, -0.1, 0.1)},
        {"harmonics_m_s2": ()},
        {"harmonics_m_s2": ((0.1, 0.1, 0.1), (0.1,))},
        {"phases_rad": ((0.0, 0.0, 0.0),)},
        {"regimes": ((1.0, 1.0, 1.0),)},
        {"full_scale_m_s2": math.inf},
    ],
    ids=repr,
)
def test_an_impossible_machine_is_refused_by_the_name_of_its_field(fields: dict[str, Any]) -> None:
    with pytest.raises(GyrovaeError, match=next(iter(fields))):
        Machine(**fields)


def test_a_shaft_too_fast_for_the_rate_in_one_regime_is_refused() -> None:
    with pytest.raises(GyrovaeError, match="highest shaft speed"):
        Machine(shaft_hz=60.0, regimes=((1.0, 1.0), (2.0, 1.0)))
