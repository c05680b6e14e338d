"""What a quantisation may be asked for, checked before anything is imported or done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gyrovae_tf.arguments import number, switch, told, whole
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.threshold import check_rate

MODES = ("ptq", "qat")
"""After training, with the ranges of training windows; and with training that goes on with int8's rounding in it."""
BEST = "best"
"""All of `MODES`, of which the better one is kept."""
_RATE = 0.01


class Asked(NamedTuple):
    """What a quantisation is asked for, in Python's numbers."""

    false_alarm_rate: float
    """The rate to calibrate for."""
    false_alarms_per_day: float | None
    vote: tuple[int, int] | None
    tilt: bool


def check_asked(
    mode: str,
    false_alarm_rate: float | None,
    false_alarms_per_day: float | None,
    vote: tuple[int, int] | None,
    tilt: bool = False,
) -> Asked:
    """What `quantize` is asked for in, as it will be calibrated for out; `GyrovaeError` when it cannot be."""
    if mode not in (*MODES, BEST):
        raise GyrovaeError("unknown quantisation mode", expected=" or ".join((*MODES, BEST)), received=mode)
    if false_alarm_rate is not None and false_alarms_per_day is not None:
        raise GyrovaeError("give either a false-alarm rate or false alarms a day, not both")
    rate = check_rate(_RATE if false_alarm_rate is None else false_alarm_rate)
    if false_alarms_per_day is not None:
        false_alarms_per_day = number(
            false_alarms_per_day, "the false alarms a day are not usable", "above 0", lambda value: value > 0
        )
    return Asked(rate, false_alarms_per_day, check_vote(vote), switch(tilt, "tilt is not usable"))


def check_vote(vote: tuple[int, int] | None) -> tuple[int, int] | None:
    """A vote in, the same in Python's numbers out; one that is no k of n windows is refused."""
    if vote is None:
        return None
    problem, expected = "the vote is not usable", "1 <= alarms <= windows <= 8"
    if not (isinstance(vote, Sequence) and len(vote) == 2):
        raise GyrovaeError(problem, expected=expected, received=told(vote))
    alarms, windows = (whole(value, problem, 1, expected=expected) for value in vote)
    if not alarms <= windows <= 8:
        raise GyrovaeError(problem, expected=expected, received=f"{alarms} of {windows}")
    return alarms, windows
