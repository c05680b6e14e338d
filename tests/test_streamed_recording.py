"""What test_recording says of recordings that are read at once holds for those that are read piece by piece, too."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import test_recording
from test_recording import *  # noqa: F403

from gyrovae_tf.csvchunks import CsvChunks
from gyrovae_tf.recording import Recording
from gyrovae_tf.streaming import Stream

_CHUNK = 61  # bytes: most rows lie in two pieces

# These are in test_streaming, in other words.
del test_a_missing_file_and_a_folder  # noqa: F821
del test_real_recordings  # noqa: F821


def _streamed(_cls: type[Recording], path: str | os.PathLike[str], *, rate_hz: float | None = None) -> Recording:
    chunks = CsvChunks(os.fspath(path), rate_hz, _CHUNK)
    return Stream(os.fspath(path), chunks.facts, chunks).recording()


@pytest.fixture(autouse=True, scope="module")
def _read_piece_by_piece() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recording, "read", classmethod(_streamed))
        yield


def test_it_is_the_stream_that_reads() -> None:
    assert test_recording.Recording.read.__func__ is _streamed
