"""Exports: the network in four precisions, each as near to the Keras model as it should be."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY_MACHINE, Tiny

from gyrovae_tf import contract, tflite
from gyrovae_tf.bundle import Bundle
from gyrovae_tf.device.simulate import simulate
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.convert import PRECISIONS, to_precision
from gyrovae_tf.learn.evaluate import evaluate
from gyrovae_tf.learn.export import Exported, export
from gyrovae_tf.learn.floating import reconstructions
from gyrovae_tf.learn.quantize import BUNDLE
from gyrovae_tf.runtime import Model


@pytest.fixture(scope="module")
def copy(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.copy(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def made(copy: Path) -> dict[str, Exported]:
    return {precision: export(copy, precision=precision) for precision in PRECISIONS}


def test_the_files(copy: Path, made: dict[str, Exported]) -> None:
    assert tuple(made) == ("float32", "float16", "dynamic", "int8")
    for precision, found in made.items():
        path = copy / f"model_{precision}.tflite"
        assert (found.path, found.precision, found.bytes) == (str(path), precision, path.stat().st_size)
        assert found.on_device == (precision == "int8")
        assert found.macs == tflite.describe(path.read_bytes()).macs > 0
        assert found.to_dict()["operators"] == list(tflite.describe(path.read_bytes()).op_names)
    assert made["float32"].bytes > made["float16"].bytes > made["int8"].bytes
    assert made["float32"].bytes > made["dynamic"].bytes > made["int8"].bytes


@pytest.mark.parametrize(
    ("precision", "typical", "largest"),
    [("float32", 1e-6, 1e-4), ("float16", 2e-3, 2e-2), ("dynamic", 2e-2, 0.3), ("int8", 3e-2, 0.5)],
)
def test_each_rebuilds_as_the_network_does(
    tiny: Tiny, made: dict[str, Exported], precision: str, typical: float, largest: float
) -> None:
    """In standard deviations; scalogram and field in their order."""
    images = tiny.dataset.validation_images
    exact = np.stack(reconstructions(tiny.run.keras_model(), images), axis=1)
    apart = np.abs(Model(Path(made[precision].path).read_bytes()).rebuilt(images) - exact)
    assert apart.mean() < typical
    assert apart.max() < largest
    if precision != "float32":
        assert apart.max() > 1e-5  # it is another precision


def test_what_they_hold(made: dict[str, Exported]) -> None:
    for precision, found in made.items():
        model = tflite.describe(Path(found.path).read_bytes())
        types = {tensor.dtype for tensor in model.tensors if tensor.is_constant}
        if precision == "int8":
            assert contract.contract_violations(model) == ()
        else:
            assert contract.float_violations(model) == ()
        assert ("float16" in types) == (precision == "float16")
        assert ("int8" in types) == (precision in ("dynamic", "int8"))
        if precision == "dynamic":  # of this network, the two layers with 1,024 weights; the converter leaves others
            weights = [tensor for tensor in model.tensors if tensor.is_constant and tensor.dtype == "int8"]
            assert [(tensor.shape, len(tensor.scale)) for tensor in weights] == [((256, 4), 1)] * 2


def test_each_is_evaluated(tiny: Tiny, made: dict[str, Exported]) -> None:
    normal, off = (
        simulate(TINY_MACHINE, seconds=10, seed=seed, fault=fault) for seed, fault in ((2, None), (3, "off"))
    )
    own = evaluate(tiny.run, normal=[normal], anomalies={"off": [off]})
    for precision, found in made.items():
        result = evaluate(tiny.run, normal=[normal], anomalies={"off": [off]}, model=found.path)
        assert result.precision == ("int8" if precision == "int8" else "float32")
        assert result.auroc == pytest.approx(own.auroc, abs=0.01)
        assert result.false_alarm_rate == pytest.approx(own.false_alarm_rate, abs=0.05)


def test_int8_is_the_bundle_s_where_there_is_one(tiny: Tiny, made: dict[str, Exported], tmp_path: Path) -> None:
    assert Path(made["int8"].path).read_bytes() == tiny.bundle.model
    run = tiny.copy(tmp_path)
    for file in (run / BUNDLE).iterdir():
        file.unlink()
    (run / BUNDLE).rmdir()
    found = export(run, output=tmp_path / "alone.tflite")
    assert (tmp_path / "alone.tflite").read_bytes() == tiny.bundle.model  # the tiny one was quantised after training
    assert found.precision == "int8"


@pytest.mark.parametrize("precision", ["float32", "float16", "dynamic"])
def test_what_is_not_quantised_needs_no_dataset(
    tiny: Tiny, made: dict[str, Exported], tmp_path: Path, precision: str
) -> None:
    run = tiny.copy(tmp_path / "copy")
    shutil.rmtree(run.parent / "dataset")
    alone = export(run, precision=precision)
    assert Path(alone.path).read_bytes() == Path(made[precision].path).read_bytes()


def test_a_damaged_bundle_is_told(tiny: Tiny, tmp_path: Path) -> None:
    run = tiny.copy(tmp_path)
    (run / BUNDLE / "model_int8.tflite").write_bytes(b"")
    with pytest.raises(GyrovaeError, match=r"model_int8.tflite is damaged or was replaced"):
        export(run)
    with pytest.raises(GyrovaeError):
        Bundle.load(run)


def test_an_unknown_precision(tiny: Tiny) -> None:
    expected = "unknown precision; expected float32 or float16 or dynamic or int8, received int4"
    with pytest.raises(GyrovaeError, match=expected):
        export(tiny.run, precision="int4")
    with pytest.raises(GyrovaeError, match=expected):
        to_precision(tiny.run.keras_model(), tiny.dataset.train_images, "int4")


def test_a_file_that_cannot_be_written(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GyrovaeError):
        export(tiny.run, output=tmp_path / "file" / "model.tflite")
