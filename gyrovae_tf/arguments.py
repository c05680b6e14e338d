"""What a caller gives as a number, a switch or an array in, the same of one kind out; what is none is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from numbers import Integral, Rational, Real
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from gyrovae_tf.errors import GyrovaeError

_T = TypeVar("_T")
_SHOWN = 64  # bytes of which a refusal shows all


def whole(value: object, problem: str, least: int, most: int | None = None, *, expected: str | None = None) -> int:
    """A whole number (Python's or numpy's) from `least` to `most` in, an int out; `GyrovaeError` for everything else.

    `problem` is what the refusal begins with, as in "the hop is not usable"; `expected` what it asks for.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise GyrovaeError(problem, expected=expected or "a whole number", received=told(value))
    found = int(value)
    if found < least:
        raise GyrovaeError(problem, expected=expected or f"at least {least}", received=told(found))
    if most is not None and found > most:
        raise GyrovaeError(problem, expected=expected or f"at most {most}", received=told(found))
    return found


def number(value: object, problem: str, expected: str, fits: Callable[[float], bool]) -> float:
    """A finite number (Python's or numpy's) that fits in, a float or an int out; `GyrovaeError` for everything else."""
    found: float | None = None
    if isinstance(value, Integral) and not isinstance(value, bool):
        found = int(value)  # stays one: 1 and 1.0 are different bytes in a record
    elif isinstance(value, Real) and not isinstance(value, Rational):
        found = float(value)
    # Python knows integers that no float can hold; NaN fails every comparison.
    if found is None or not (abs(found) <= sys.float_info.max and fits(found)):
        raise GyrovaeError(problem, expected=expected, received=told(value if found is None else found))
    return found


def switch(value: object, problem: str) -> bool:
    """True or False (Python's or numpy's) in, a bool out; `GyrovaeError` for all else: the text "no" is no False."""
    if isinstance(value, bool):
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise GyrovaeError(problem, expected="True or False", received=told(value))


def switches(**given: object) -> tuple[bool, ...]:
    """Arguments by name in, each as `switch` takes it, in the same order out."""
    return tuple(switch(value, f"{name} is not usable") for name, value in given.items())


def check_begin(*, resume: object, overwrite: object) -> tuple[bool, bool]:
    """Whether to go on with what is there, and whether to replace it, in; the same as bools, not both True, out."""
    goes_on, replaces = switches(resume=resume, overwrite=overwrite)
    if goes_on and replaces:
        raise GyrovaeError("--resume and --overwrite exclude each other")
    return goes_on, replaces


def path_of(value: object, problem: str, expected: str = "a path") -> Path:
    """A file's or folder's path in, the same as a `Path` out; `GyrovaeError` for everything else: None, an object."""
    if not isinstance(value, str | PathLike):
        raise GyrovaeError(problem, expected=expected, received=told(value))
    return Path(value)


def instance(value: object, problem: str, kind: type[_T], home: str = "gyrovae_tf") -> _T:
    """An object of a class that is public in `home` in, the same out; `GyrovaeError`, which names it, for all else."""
    if not isinstance(value, kind):
        raise GyrovaeError(problem, expected=f"a {home}.{kind.__name__}", received=told(value))
    return value


def array(value: Any) -> Any:
    """An array, or numbers in lists, in; an array out: of None, which has no form, where rows differ in length."""
    import numpy as np

    try:
        return np.asarray(value)
    except ValueError:
        return np.array(None)


def told(value: object) -> str:
    """A value in, how a refusal shows it out: with its type, unless it is plainly a number; an array by its form."""
    dtype, shape = (getattr(value, name, None) for name in ("dtype", "shape"))
    if shape:
        return f"{type(value).__name__}{'' if dtype is None else f' of {dtype}'} {list(shape)}"
    if isinstance(value, bytes | bytearray) and len(value) > _SHOWN:
        return f"{len(value)} bytes"
    kind = "text" if isinstance(value, str) else type(value).__name__
    try:
        text = repr(value)
    except ValueError:  # Python does not write integers of more than 4300 digits
        return f"a very large {kind}"
    return text if value is None or type(value) in (int, float) else f"{text} ({kind})"
