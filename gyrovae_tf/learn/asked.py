"""What a quantisation may be asked for, checked before anything is imported or done."""

from __future__ import annotations

import math

from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.threshold import check_rate

MODES = ("ptq", "qat")
"""After training, with the ranges of training windows; and with training that goes on with int8's rounding in it."""
BEST = "best"
"""All of `MODES`, of which the better one is kept."""
_RATE = 0.01


def check_asked(
    mode: str,
    false_alarm_rate: float | None,
    false_alarms_per_day: float | None,
    vote: tuple[int, int] | None,
) -> float:
    """What `quantize` is asked for in, the false-alarm rate to calibrate for out; `GyrovaeError` when it cannot be."""
    if mode not in (*MODES, BEST):
        raise GyrovaeError("unknown quantisation mode", expected=" or ".join((*MODES, BEST)), received=mode)
    if false_alarm_rate is not None and false_alarms_per_day is not None:
        raise GyrovaeError("give either a false-alarm rate or false alarms a day, not both")
    rate = _RATE if false_alarm_rate is None else false_alarm_rate
    check_rate(rate)
    if false_alarms_per_day is not None and not 0 < false_alarms_per_day < math.inf:
        raise GyrovaeError("the false alarms a day are not usable", expected="above 0", received=false_alarms_per_day)
    check_vote(vote)
    return rate


def check_vote(vote: tuple[int, int] | None) -> None:
    """Refuse a vote that is no k of n windows."""
    if vote is not None and not (all(type(v) is int for v in vote) and len(vote) == 2 and 1 <= vote[0] <= vote[1] <= 8):
        raise GyrovaeError("the vote is not usable", expected="1 <= alarms <= windows <= 8", received=f"{vote}")
