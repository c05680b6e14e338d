"""Readers of files and lines, given bytes by Atheris (libFuzzer for Python) for as long as one likes.

    pip install atheris
    python benchmarks/fuzz.py tflite -max_total_time=600 CORPUS/

What is fuzzed: tflite, npy, npz, csv and pieces (the same, piece by piece), parquet, lines (of the serial protocol),
manifest (of a bundle, beside the other files of one), keras (its configuration and weights, not its building). Of any
bytes only a `GyrovaeError` or, where that is what is promised, a `ValueError` may come. Flash images are read by the
firmware alone: libFuzzer runs that. Without Atheris the tests with hypothesis and seeded changes are what there is.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris is not installed: pip install atheris (Linux, Python up to 3.13)")

with atheris.instrument_imports(include=["gyrovae_tf"]):
    from gyrovae_tf import npy, tflite
    from gyrovae_tf.csvchunks import CsvChunks
    from gyrovae_tf.device.wire import Parser
    from gyrovae_tf.errors import GyrovaeError
    from gyrovae_tf.parquetchunks import ParquetChunks
    from gyrovae_tf.recording import Recording
    from gyrovae_tf.stockbundle import load_bundle

    if sys.argv[1:2] == ["keras"]:  # seconds of TensorFlow
        from gyrovae_tf.learn import kerasfile

FILE = Path(tempfile.mkdtemp()) / "a.csv"
BUNDLE = Path(__file__).resolve().parents[1] / "tests" / "bundles" / "v3.gyrovae"


def read_csv(data: bytes) -> None:
    FILE.write_bytes(data)
    Recording.read(FILE)


def read_pieces(data: bytes) -> None:
    FILE.write_bytes(data)
    for _ in CsvChunks(str(FILE), None, 64).pieces(None):
        pass


def read_parquet(data: bytes) -> None:
    FILE.write_bytes(data)
    for _ in ParquetChunks(str(FILE)).pieces():
        pass


def read_manifest(data: bytes) -> None:
    folder = FILE.with_name("a.gyrovae")
    if not folder.exists():
        shutil.copytree(BUNDLE, folder)
    (folder / "manifest.json").write_bytes(data)
    load_bundle(folder)


def read_lines(data: bytes) -> None:
    list(Parser().feed(data))


def read_keras(data: bytes) -> None:
    config, signature, rest = data.partition(b"\x89HDF\r\n\x1a\n")  # one after the other: no CRC to get past
    kerasfile._checked_config(config)
    sum(kerasfile._weights(signature + rest))


TARGETS = {
    "tflite": (tflite.describe, GyrovaeError),
    "npy": (npy.read_npy, ValueError),
    "npz": (npy.read_npz, ValueError),
    "csv": (read_csv, GyrovaeError),
    "pieces": (read_pieces, GyrovaeError),
    "parquet": (read_parquet, GyrovaeError),
    "manifest": (read_manifest, GyrovaeError),
    "lines": (read_lines, ()),
    "keras": (read_keras, ValueError),
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: {sys.argv[0]} {'|'.join(TARGETS)} [libFuzzer's options and folders]")
    read, allowed = TARGETS[sys.argv.pop(1)]

    def one(data: bytes) -> None:
        try:
            read(data)
        except allowed:
            return

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
