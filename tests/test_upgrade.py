"""Bundles that were made once load for ever: one of each schema version since the second is kept in tests/bundles."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from gyrovae_tf.bundle import MANIFEST, SCHEMA_VERSION, Bundle
from gyrovae_tf.cgen import emit_header
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.golden import verify
from gyrovae_tf.runtime import Detector
from gyrovae_tf.upgrade import REACH, upgraded

BUNDLES = Path(__file__).with_name("bundles")
KEPT = {int(path.stem[1:]): path for path in BUNDLES.glob("v*.gyrovae")}


def test_there_is_one_of_each_version() -> None:
    assert sorted(KEPT) == list(range(2, SCHEMA_VERSION + 1)), "add tests/bundles/v<version>.gyrovae, a tiny one"
    for version, path in KEPT.items():
        assert json.loads((path / MANIFEST).read_text())["schema_version"] == version, "never write one of them again"


@pytest.mark.parametrize("version", KEPT)
def test_it_loads_scores_and_makes_a_header(version: int, tmp_path: Path) -> None:
    bundle = Bundle.load(KEPT[version])
    windows = np.random.default_rng(0).normal(0, 300, (4, bundle.spec.window, 3)).astype(np.int16)
    scores = Detector(bundle, "litert").score_windows(windows).score
    assert np.isfinite(scores).all()
    emit_header(bundle, tmp_path / "nn_model.h")
    again = Bundle.load(bundle.save(tmp_path / "again.gyrovae"))
    assert again.manifest() == bundle.manifest()
    assert json.loads((tmp_path / "again.gyrovae" / MANIFEST).read_text())["schema_version"] == SCHEMA_VERSION


def test_the_golden_windows_of_the_newest_come_out_as_they_were() -> None:
    found = verify(Bundle.load(KEPT[3]))
    assert not found.problems


def test_a_bundle_of_version_2_gets_the_reach_that_is_documented() -> None:
    raw = json.loads((KEPT[2] / MANIFEST).read_text())
    assert "reach" not in raw["calibration"]
    assert Bundle.load(KEPT[2]).calibration.reach == REACH == 3.0


def test_versions_without_a_way_up_are_given_back() -> None:
    for version in (1, SCHEMA_VERSION, SCHEMA_VERSION + 1, None, "2", 2.0, True, [2]):
        record = {"schema_version": version, "calibration": {}}
        assert upgraded(record) == record
    assert upgraded({"schema_version": 2}) == {"schema_version": 3}
    assert upgraded({"schema_version": 2, "calibration": 7}) == {"schema_version": 3, "calibration": 7}
    assert upgraded({"schema_version": 2, "calibration": {"reach": 5.0}})["calibration"] == {"reach": 5.0}


def test_a_version_that_never_was_is_refused(tmp_path: Path) -> None:
    shutil.copytree(KEPT[2], tmp_path / "a.gyrovae")
    manifest = tmp_path / "a.gyrovae" / MANIFEST
    manifest.write_text(re.sub('"schema_version": 2', '"schema_version": 1', manifest.read_text()))
    with pytest.raises(GyrovaeError, match=f"schema version .*expected {SCHEMA_VERSION}, received 1"):
        Bundle.load(tmp_path / "a.gyrovae")
