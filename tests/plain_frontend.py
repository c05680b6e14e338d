"""The `power` front end once more, in plain Python integers: slow, obvious, and written from its definition alone.

It shares nothing with gyrovae_tf.signal but the spec's tables. Every product and sum is checked to fit the int32 that
the firmware has for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gyrovae_tf.spec import AMPLITUDE_SHIFT, CELLS, HALF_BAND, LEVELS, SIGNAL_BITS, Band, Spec

Image = list[list[list[int]]]


def images(window: Sequence[Sequence[int]], spec: Spec) -> list[Image]:
    """One window [N][3] of int16 counts in, its images [2][32][32][3] out: scalogram [band][cell], field [i][j]."""
    axes = [centered([int(sample[axis]) for sample in window]) for axis in range(3)]
    scalograms = [scalogram(axes[axis], spec, axis) for axis in range(3)]
    fields = [field(axes[axis], spec, axis) for axis in range(3)]
    return [
        [[[image[axis][row][column] for axis in range(3)] for column in range(CELLS)] for row in range(CELLS)]
        for image in (scalograms, fields)
    ]


def centered(samples: list[int]) -> list[int]:
    """Samples in, samples less their mean (rounded half up) out."""
    length = len(samples)
    mean = (2 * sum(samples) + length) // (2 * length)
    return [sample - mean for sample in samples]


def scalogram(samples: list[int], spec: Spec, axis: int) -> list[list[int]]:
    """A centred axis of N counts in, pixels [32 bands][32 cells] out."""
    largest = max(abs(sample) for sample in samples)
    shift = SIGNAL_BITS - largest.bit_length() if largest else 0
    if shift >= 0:
        signal = [sample << shift for sample in samples]
    else:
        signal = [(sample + (1 << (-shift - 1))) >> -shift for sample in samples]
    octaves = [signal]
    while len(octaves) <= max(band.level for band in spec.bands):
        octaves.append(decimated(octaves[-1]))
    rows = []
    for index, band in enumerate(spec.bands):
        row = []
        for cell in range(CELLS):
            instant = ((2 * cell + 1) * len(samples) // (2 * CELLS)) >> band.level
            log = log2(power(octaves[band.level], band, instant)) - 2 * 256 * shift
            log = max(log, spec.power_floor[index])
            row.append(pixel(log, spec.power_mean[axis][index], spec.power_gain[axis][index]))
        rows.append(row)
    return rows


def decimated(signal: list[int]) -> list[int]:
    """An octave in, the next one down out: half-band filter (in 1/512) about every other sample, zeros outside."""
    out = []
    for center in range(0, len(signal) - len(signal) % 2, 2):
        total = 256
        for place, tap in enumerate(HALF_BAND):
            total += tap * at(signal, center + place - len(HALF_BAND) // 2)
        out.append(int32(total) >> 9)
    return out


def power(signal: list[int], band: Band, instant: int) -> int:
    """Squared magnitude of the wavelet's response at one instant."""
    real, imag = band.real[0] * at(signal, instant), 0
    for lag in range(1, len(band.real)):
        after, before = at(signal, instant + lag), at(signal, instant - lag)
        real = int32(real + band.real[lag] * (after + before))
        imag = int32(imag + band.imag[lag] * (after - before))
    return (real >> AMPLITUDE_SHIFT) ** 2 + (imag >> AMPLITUDE_SHIFT) ** 2


def log2(value: int) -> int:
    """256 * log2 of an integer, by its leading one and the seven bits below it; 0 gives what 1 gives."""
    if value == 0:
        return 0
    exponent = value.bit_length() - 1
    mantissa = (value << 7 >> exponent) & 127
    # round(256 * log2((128 + m) / 128)) without a logarithm: the number of bits of twice the 512th power, halved.
    fraction = ((2 * (128 + mantissa) ** 512).bit_length() - 1 - 7 * 512) // 2
    return 256 * exponent + fraction


def field(samples: list[int], spec: Spec, axis: int) -> list[list[int]]:
    """A centred axis of N counts in, pixels [32][32] of its Markov transition field out."""
    levels = [sum(1 for edge in spec.field_edges[axis] if sample >= edge) for sample in samples]
    counts = [[0] * LEVELS for _ in range(LEVELS)]
    for i in range(1, len(levels)):
        counts[levels[i - 1]][levels[i]] += 1
    probability = [[count * 32768 // max(sum(row), 1) for count in row] for row in counts]
    segment = len(samples) // CELLS
    rows = []
    for a in range(CELLS):
        row = []
        for b in range(CELLS):
            total = 0
            for i in levels[a * segment : (a + 1) * segment]:
                for j in levels[b * segment : (b + 1) * segment]:
                    total += probability[i][j]
            row.append(pixel(int32(total) >> spec.field_shift, spec.field_mean[axis], spec.field_gain[axis]))
        rows.append(row)
    return rows


def pixel(value: int, mean: int, gain: int) -> int:
    """(value - mean) * gain / 65536, rounded half up, within int8."""
    return max(-128, min(127, int32((value - mean) * gain + 32768) >> 16))


def at(signal: list[int], index: int) -> int:
    """A sample, or 0 outside the window."""
    return signal[index] if 0 <= index < len(signal) else 0


def int32(value: int) -> int:
    assert -(1 << 31) <= value < 1 << 31, value
    return value
