"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and golden vectors beside the checkout: required in CI, optional elsewhere."""
    if not (SHARED / "datasets").is_dir():
        message = f"the real recordings are missing: no folder {SHARED / 'datasets'}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return SHARED
