"""A bundle's manifest of an older schema version in, the same in the current one out: what was made loads for ever.

- 2 to 3: `calibration.reach`, from which a device finds its own threshold on site, was not recorded. `REACH` takes its
  place, the value that calibrations have that say none: fit for use, but not measured on that detector's windows.
- 3 to 4: there was no view of the quarters. It does not count, and scores are what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gyrovae_tf.calibration import Calibration, digest_of

REACH = Calibration.reach


def _to_3(record: dict[str, Any]) -> dict[str, Any]:
    calibration = record.get("calibration")
    if isinstance(calibration, Mapping):
        record["calibration"] = {"reach": REACH, **calibration}
    return record


def _to_4(record: dict[str, Any]) -> dict[str, Any]:
    calibration = record.get("calibration")
    if isinstance(calibration, Mapping):
        unchanged = record.get("calibration_digest") == digest_of(calibration)
        record["calibration"] = {"quarters": None, **calibration}
        if unchanged:  # else it is refused for that
            record["calibration_digest"] = digest_of(record["calibration"])
    return record


_STEPS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {2: _to_3, 3: _to_4}
"""Version -> what makes a manifest of the next version of one."""


def upgraded(record: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest of any version in, one of the newest that steps lead to out; others are given back as they are."""
    made = dict(record)
    while type(version := made.get("schema_version")) is int and version in _STEPS:
        made = {**_STEPS[version](made), "schema_version": version + 1}
    return made
