"""What the front end costs: counted by hand, and kept within the limits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gyrovae_tf.signal import frontend
from gyrovae_tf.signal.cost import MOST_MACS, MOST_TABLE_BYTES, frontend_cost
from gyrovae_tf.spec import HALF_BAND, Band, Spec


def spec_of(window: int) -> Spec:
    noise = np.random.default_rng(window).integers(-2000, 2000, (20, window, 3)).astype(np.int16)
    return frontend.fit(noise, rate_hz=200, lsb=0.001, units="m/s^2")


def test_a_spec_small_enough_to_count_by_hand() -> None:
    """32 bands of 3 taps, mirrored: 2 real products and 1 imaginary; 64 samples hold an instant for each cell."""
    band = Band(center_hz=50.0, level=0, real=(2, -1), imag=(0, 1))
    cost = frontend_cost(dataclasses.replace(spec_of(64), bands=(band,) * 32))
    assert cost.macs["pyramid"] == 0
    assert cost.macs["wavelets"] == 3 * 32 * 32 * 3
    assert cost.macs["power"] == 3 * 32 * 32 * 2
    assert cost.macs["pixels"] == 3 * 2 * 1024
    assert cost.table_bytes["wavelets"] == 32 * (2 + 2) * 2 + 32 * 9
    assert cost.total_macs == sum(cost.macs.values())


def test_the_pyramid_by_hand() -> None:
    """A single band two octaves down: 64 samples become 32 and 16, for each 7 products; 16 different instants."""
    spec = spec_of(64)
    plain, deep = (Band(center_hz=50.0, level=level, real=(2, -1), imag=(0, 1)) for level in (0, 2))
    cost = frontend_cost(dataclasses.replace(spec, bands=(deep, *(plain,) * 31)))
    assert sum(tap != 0 for tap in HALF_BAND) == 7
    assert cost.macs["pyramid"] == 3 * 7 * (32 + 16)
    assert cost.macs["wavelets"] == 3 * 3 * (31 * 32 + 16)


def test_the_field_by_hand() -> None:
    """Shares [32, 8] times transitions [8, 8] times shares [8, 32], and 64 divisions, for each axis."""
    assert frontend_cost(spec_of(128)).macs["field"] == 3 * (32 * 8 * 8 + 32 * 8 * 32 + 64)


def test_tables_by_hand() -> None:
    """As the header has them: [32] and twice [3][32] for the scalogram; 7 edges, mean and gain an axis in int32."""
    cost = frontend_cost(spec_of(64))
    assert cost.table_bytes["scalogram"] == 32 * 2 + 96 * 2 + 96 * 4
    assert cost.table_bytes["field"] == 3 * (7 + 1 + 1) * 4
    assert cost.table_bytes["logarithm"] == 128
    assert cost.table_bytes["filter"] == 11 * 2


@pytest.mark.parametrize("window", range(64, 1025, 32))
def test_every_window_fits_the_device(window: int) -> None:
    cost = frontend_cost(spec_of(window))
    assert 0 < cost.total_macs <= MOST_MACS
    assert 0 < cost.total_table_bytes <= MOST_TABLE_BYTES
