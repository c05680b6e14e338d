"""Bundles that were made once load for ever: one of each schema version since the second is kept in tests/bundles."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from gyrovae_tf.bundle import MANIFEST, SCHEMA_VERSION, Bundle
from gyrovae_tf.calibration import digest_of
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
    found = verify(Bundle.load(KEPT[SCHEMA_VERSION]))
    assert not found.problems


def test_a_bundle_of_version_2_gets_the_reach_that_is_documented() -> None:
    raw = json.loads((KEPT[2] / MANIFEST).read_text())
    assert "reach" not in raw["calibration"]
    assert Bundle.load(KEPT[2]).calibration.reach == REACH == 3.0


def test_a_bundle_of_version_3_has_no_quarters_and_scores_as_it_did() -> None:
    """Its golden windows hold the scores of its time."""
    bundle = Bundle.load(KEPT[3])
    assert bundle.calibration.quarters is None
    assert list(bundle.calibration.views) == ["bands", "groups", "rhythm", "level"]
    assert not verify(bundle).problems


def test_an_old_calibration_that_was_changed_is_refused_all_the_same(tmp_path: Path) -> None:
    shutil.copytree(KEPT[3], tmp_path / "a.gyrovae")
    manifest = tmp_path / "a.gyrovae" / MANIFEST
    raw = json.loads(manifest.read_text())
    raw["calibration_digest"] = digest_of(raw["calibration"])
    manifest.write_text(json.dumps(raw))
    assert Bundle.load(tmp_path / "a.gyrovae").calibration == Bundle.load(KEPT[3]).calibration
    raw["calibration"]["threshold"] = 1.25
    manifest.write_text(json.dumps(raw))
    with pytest.raises(GyrovaeError, match=r"the calibration in .* was changed after it was made"):
        Bundle.load(tmp_path / "a.gyrovae")


def test_versions_without_a_way_up_are_given_back() -> None:
    for version in (1, SCHEMA_VERSION, SCHEMA_VERSION + 1, None, "2", 2.0, True, [2]):
        record = {"schema_version": version, "calibration": {}}
        assert upgraded(record) == record
    assert upgraded({"schema_version": 2}) == {"schema_version": 4}
    assert upgraded({"schema_version": 2, "calibration": 7}) == {"schema_version": 4, "calibration": 7}
    made = upgraded({"schema_version": 2, "calibration": {"reach": 5.0}})["calibration"]
    assert made == {"quarters": None, "reach": 5.0}


def test_a_version_that_never_was_is_refused(tmp_path: Path) -> None:
    shutil.copytree(KEPT[2], tmp_path / "a.gyrovae")
    manifest = tmp_path / "a.gyrovae" / MANIFEST
    manifest.write_text(re.sub('"schema_version": 2', '"schema_version": 1', manifest.read_text()))
    with pytest.raises(GyrovaeError, match=f"schema version .*expected {SCHEMA_VERSION}, received 1"):
        Bundle.load(tmp_path / "a.gyrovae")
