"""Windows of counts in, Markov transition fields of 32 x 32 cells out; integers throughout.

The C++ twin is firmware/components/gyrovae/mtf.cpp. Method: Wang and Oates, Imaging Time-Series to Improve
Classification and Imputation (IJCAI 2015), with two changes: the levels' edges are given (learnt from normal motion)
and not each window's own quantiles, so that amplitude counts, and the field is averaged in cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyrovae_tf.signal.scalogram import centered_rows
from gyrovae_tf.spec import CELLS, FIELD_ONE, LEVELS

ONE = FIELD_ONE
"""A transition probability of 1."""


def levels(windows: NDArray[np.integer[Any]], edges: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """int16 windows [k, N, 3] and edges [3, 7] in, the level 0..7 of each sample out, uint8 [k, 3, N].

    The level is the number of edges that the sample, less its window's mean, reaches or exceeds.
    """
    count, length, axes = windows.shape
    signal = centered_rows(windows)
    level = np.zeros(signal.shape, np.uint8)
    for edge in np.tile(np.asarray(edges, np.float64).T, (1, count)):
        level += signal >= edge
    return np.ascontiguousarray(level.T).reshape(count, axes, length)


def transitions(level: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """Levels [rows, N] in, transition probabilities [rows, 8, 8] in 1/32768 out (rounded down, float64 integers).

    Row q holds the shares of the levels that follow level q; a level that is never left has a row of zeros.
    """
    rows = len(level)
    step = (level[:, :-1] * LEVELS + level[:, 1:]).astype(np.int64)
    step += (np.arange(rows) * LEVELS**2)[:, None]
    counts = np.bincount(step.ravel(), minlength=rows * LEVELS**2).reshape(rows, LEVELS, LEVELS)
    left = counts.sum(axis=2, keepdims=True)
    return (counts * ONE // np.maximum(left, 1)).astype(np.float64)


def field(windows: NDArray[np.integer[Any]], edges: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """int16 windows [k, N, 3] and edges [3, 7] in, fields [k, 3, 32, 32] out as sums over each cell's pairs of samples.

    Cell (a, b) is the sum, over the samples i of segment a and j of segment b, of the transition probability (in
    1/32768) from the level of i to the level of j. Integers as float64, at most (N / 32)^2 * 32768.
    """
    count, length, axes = windows.shape
    level = levels(windows, edges).reshape(count * axes, length)
    segment = level.reshape(-1, length // CELLS) + (np.arange(count * axes * CELLS) * LEVELS)[:, None]
    share = np.bincount(segment.ravel(), minlength=count * axes * CELLS * LEVELS).astype(np.float64)
    share = share.reshape(count * axes, CELLS, LEVELS)
    cells = share @ transitions(level) @ share.swapaxes(1, 2)
    return cells.reshape(count, axes, CELLS, CELLS)
