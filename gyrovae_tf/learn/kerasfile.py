"""The bytes of a .keras file in, the network out: built of the layers that `vae` and `stock_model` make, and no others.

Keras' own loader is not enough for a file from somewhere. A .keras file that is HDF5 inside may hold Python code, which
it runs in spite of `safe_mode`; a configuration may name any module, which it imports, and any size, which it makes
room for; weights may be links to other files.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gyrovae_tf.errors import atomic_write
from gyrovae_tf.learn.engine import keras, tf
from gyrovae_tf.npy import read_stored

_CONFIG, _WEIGHTS, _METADATA = "config.json", "model.weights.h5", "metadata.json"
_MEMBERS = {_CONFIG, _WEIGHTS, _METADATA}
_LARGEST_CONFIG = 1 << 20
_DEEPEST = 8  # groups in groups
# fmt: off
_CLASSES = {
    *(("keras.layers", name) for name in (
        "Concatenate", "Conv2D", "Dense", "Flatten", "InputLayer", "Permute", "Reshape",
    )),
    ("keras.initializers", "GlorotUniform"), ("keras.initializers", "Zeros"),
    ("gyrovae_tf.learn.vae", "Offset"),
}
# fmt: on
_MODELS = {("keras", "Model"), ("keras", "Functional"), ("tf_keras.src.engine.functional", "Functional")}
_DAMAGE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError, EOFError, RuntimeError)


@contextlib.contextmanager
def _in_utf8(path: Path) -> Iterator[Path]:
    """The same file by a name that is UTF-8, as Keras opens no others; no copy, as a disk may be full."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            (link := Path(folder) / "model.keras").symlink_to(path.absolute())
            yield link
    else:
        yield path


def load(path: Path, content: bytes) -> Any:
    """A .keras file and its bytes in, its Functional model, not compiled, out; `ValueError` when it is another one."""
    try:
        parts = read_stored(content, _MEMBERS)
    except ValueError as error:
        raise ValueError(f"it is no whole .keras file: {error}") from None
    config = _checked_config(parts[_CONFIG])
    held = sum(_weights(parts[_WEIGHTS]))
    try:
        with tf.Graph().as_default():  # where a weight is a name, without memory
            wanted = sum(math.prod(weight.shape) for weight in keras.Model.from_config(config["config"]).weights)
        if wanted != held:
            raise ValueError(f"its configuration asks for {wanted} weights, and it holds {held}")
        with _in_utf8(path) as known:
            return keras.models.load_model(known, compile=False, safe_mode=True)
    except (tf.errors.OpError, *_DAMAGE) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"Keras cannot build it: {reason}") from None


def save(model: Any, path: Path) -> None:
    """A network in, its .keras file written, whole or not at all: the same bytes whenever the same network is saved."""
    with tempfile.TemporaryDirectory() as folder:  # Keras writes in place, and only to names that end in .keras
        model.save(Path(folder) / path.name)
        parts = read_stored((Path(folder) / path.name).read_bytes(), _MEMBERS)
    about = json.loads(parts[_METADATA])
    parts[_METADATA] = json.dumps({**about, "date_saved": "1980-01-01@00:00:00"}).encode()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(name), part)  # of 1980
    atomic_write(path, content.getvalue())


def _checked_config(text: bytes) -> dict[str, Any]:
    """The configuration, when every class in it is one that our networks are made of."""
    if len(text) > _LARGEST_CONFIG:
        raise ValueError("its configuration is too large")
    try:
        config = json.loads(text)
        made_of = list(_classes(config))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its configuration is not usable: {error}") from None
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict) or made_of[:1] == []:
        raise ValueError("its configuration is not that of a network")
    if made_of[0] not in _MODELS or config.get("compile_config"):
        raise ValueError(f"it is no flat network, but {made_of[0]}")
    foreign = sorted({str(entry) for entry in made_of[1:] if entry not in _CLASSES})
    if foreign:
        raise ValueError(f"it is made of more than our layers: {', '.join(foreign)[:200]}")
    return config


def _classes(value: object) -> Iterator[tuple[object, object]]:
    """(module, class) of everything in a configuration that Keras would look up, from the outside in."""
    if isinstance(value, dict):
        if "class_name" in value or "module" in value or "registered_name" in value:
            module, name, registered = (value.get(key) for key in ("module", "class_name", "registered_name"))
            known = registered in (None, name, f"gyrovae_tf>{name}")
            yield (module, name) if known and all(isinstance(v, str) for v in (module, name)) else (module, repr(value))
        for part in value.values():
            yield from _classes(part)
    elif isinstance(value, list):
        for part in value:
            yield from _classes(part)


def _weights(content: bytes) -> Iterator[int]:
    """Elements of every array in an HDF5 file; `ValueError` for what is not simply there: links, filters, claims."""
    import h5py  # type: ignore[import-untyped]

    def walk(group: Any, depth: int) -> Iterator[int]:
        if depth > _DEEPEST:
            raise ValueError("its weights are nested too deeply")
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError("its weights are links to elsewhere")
            part = group[name]
            if isinstance(part, h5py.Group):
                yield from walk(part, depth + 1)
                continue
            plain = isinstance(part, h5py.Dataset) and part.dtype.kind in "fiu" and part.chunks is None
            if not plain or part.is_virtual or part.external:
                raise ValueError(f"{name} among its weights is no plain array of numbers")
            spent.append(part.nbytes)
            if sum(spent) > len(content):
                raise ValueError("its weights claim to be larger than the file")
            yield part.size

    spent: list[int] = []
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            yield from walk(file, 0)
    except _DAMAGE as error:
        raise ValueError(f"its weights cannot be read: {error}") from None
