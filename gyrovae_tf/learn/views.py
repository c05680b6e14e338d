"""Shares of a score in, plain words out: which views of a window see something, and what each looks at."""

from __future__ import annotations

from collections.abc import Mapping

from gyrovae_tf.calibration import SIZES

SEES = {
    "bands": "the power in each of the 32 frequency bands of each axis: a tone, a resonance, a bearing",
    "groups": "the same in eight broad groups, and whether they rise and fall together as they usually do",
    "quarters": "the power in each quarter of the bands, low to high: noise, wear, another load",
    "rhythm": "how the motion is laid out in time (the Markov transition field): knocks, stops, an uneven run",
    "level": "how strong the motion of each axis is as a whole: louder or quieter",
    "tilt": "the window's mean: orientation and slow acceleration",
}
"""View of the score -> what it sees, in one line."""


def in_words(shares: Mapping[str, float]) -> str:
    """View -> its part of one window's score in, as "level 41 %, bands 30 %", largest first, out."""
    order = sorted(SIZES, key=lambda name: -shares.get(name, -1.0))
    return ", ".join(f"{name} {100 * shares[name]:.0f} %" for name in order if name in shares)
