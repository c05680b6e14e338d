"""Lines of a pretend device in, what a bad cable makes of them out, and a record of all that was done to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gyrovae_tf.errors import GyrovaeError

_MOST_LATE = 8  # lines that may overtake one that is late


class Line(NamedTuple):
    """What a device says, with its end, and the number of the sample where it is one."""

    content: bytes
    number: int | None = None


@dataclass(frozen=True)
class Faults:
    """Shares of the lines of samples, 0 to 1, that the link damages; each line suffers at most one of them."""

    drop: float = 0.0
    """Never arrive."""
    duplicate: float = 0.0
    """Arrive twice."""
    corrupt: float = 0.0
    """Arrive with a byte changed, cut, or run together with the next line."""
    late: float = 0.0
    """Arrive after up to 8 lines that were sent after them."""

    def __post_init__(self) -> None:
        shares = dataclasses.astuple(self)
        if not (all(0 <= share <= 1 for share in shares) and sum(shares) <= 1):
            raise GyrovaeError("shares of damaged lines", expected="0 to 1, at most 1 together", received=shares)


@dataclass
class Boot:
    """What became of the samples of one boot, by their numbers. What is in none of the lists was sent as it is."""

    boot: int
    samples: int = 0
    """Samples that the sensor gave."""
    unsent: list[list[int]] = field(default_factory=list)
    """First and last number of stretches that were not sent: nobody listened, or the device was not in stream mode."""
    overrun: list[int] = field(default_factory=list)
    """Not sent because the listener had not read what came before."""
    dropped: list[int] = field(default_factory=list)
    duplicated: list[int] = field(default_factory=list)
    corrupted: list[int] = field(default_factory=list)
    late: list[int] = field(default_factory=list)

    @property
    def lost(self) -> list[int]:
        """Numbers of the samples that were sent and did not arrive, or did not fit, in order."""
        return sorted([*self.dropped, *self.corrupted, *self.overrun])

    def skip(self, number: int) -> None:
        """Count one that was not sent."""
        if self.unsent and self.unsent[-1][1] == number - 1:
            self.unsent[-1][1] = number
        else:
            self.unsent.append([number, number])


@dataclass
class Record:
    """What a pretend device truly did."""

    boots: list[Boot] = field(default_factory=list)
    bad_lines: int = 0
    """Lines that arrived so that nothing can be made of them."""
    unplugged: int = 0
    """Times that it was unplugged."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return dataclasses.asdict(self)


class Link:
    """A cable: what is said in, bytes that arrive out."""

    def __init__(self, faults: Faults, record: Record, seed: int) -> None:
        self._faults, self._record = faults, record
        fates, damage = np.random.SeedSequence([seed, 0x11A7]).spawn(2)
        self._fates, self._damage = np.random.default_rng(fates), np.random.default_rng(damage)
        self._held: list[tuple[int, bytes]] = []  # lines that are late, and after how many lines they come
        self._sent = 0
        self._glued: bytes | None = None  # a line whose end was lost

    def carry(self, lines: Iterable[Line]) -> bytes:
        """What arrives of these lines now."""
        lines = list(lines)
        f = self._faults
        if not (f.drop or f.duplicate or f.corrupt or f.late):
            return b"".join(line.content for line in lines)
        limits = np.cumsum([f.drop, f.duplicate, f.corrupt, f.late])
        fates = np.searchsorted(limits, self._fates.random(len(lines)), side="right").tolist()
        out: list[bytes] = []
        for (content, number), fate in zip(lines, fates, strict=True):
            if number is None:
                out.append(self.settle() + content)
                continue
            boot = self._record.boots[-1]
            if fate == 0:
                boot.dropped.append(number)
            elif fate == 1:
                boot.duplicated.append(number)
                out.append(self._unglue() + content + content)
            elif fate == 2:
                boot.corrupted.append(number)
                self._record.bad_lines += 1
                out.append(self._unglue() + self._damaged(content))
            elif fate == 3:
                boot.late.append(number)
                self._held.append((self._sent + int(self._damage.integers(1, _MOST_LATE + 1)), content))
            elif self._glued is not None:
                boot.corrupted.append(number)
                out.append(self._glued + content)
                self._glued = None
            else:
                out.append(content)
            if fate != 3:
                out += self._due()
        return b"".join(out)

    def settle(self) -> bytes:
        """What is still under way: nothing comes after it."""
        rest = self._unglue() + b"".join(content for _, content in self._held)
        self._held.clear()
        return rest

    def _due(self) -> list[bytes]:
        self._sent += 1
        due = [content for when, content in self._held if when <= self._sent]
        if due:
            self._held = [entry for entry in self._held if entry[0] > self._sent]
            due[0] = self._unglue() + due[0]
        return due

    def _unglue(self) -> bytes:
        """A line that lost its end, with one after all, but damaged otherwise: the next is not to suffer from it."""
        rest, self._glued = self._glued, None
        return b"" if rest is None else rest[:-1] + b"\n"

    def _damaged(self, line: bytes) -> bytes:
        """One line that nothing can be made of; the CRC of ours finds every one (but some of the stock firmware's)."""
        kind, place, byte = self._damage.integers([4, len(line) - 2, 255]).tolist()
        if kind == 0:
            changed = line[place] ^ (byte + 1)
            return line[:place] + bytes([changed if changed != 10 else line[place] ^ 0x80]) + line[place + 1 :]
        if kind == 1:
            return line[: place + 1] + b"\n"
        if kind == 2:
            return line[-2 - place :]
        self._glued = line[:-1]
        return b""
