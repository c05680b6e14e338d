"""Anomaly detection for machines: from a 3-axis IMU's normal motion to an int8 Keras VAE on an ESP32.

    import gyrovae_tf as gt

    normal = gt.Recording.read("normal.csv")
    dataset = gt.preprocess([normal], "dataset")
    run = gt.train(dataset, "run")
    bundle = gt.quantize(run)
    print(gt.evaluate("run", normal=["more.csv"], anomalies={"fault": ["fault.csv"]}).auroc)
    gt.emit_header(bundle, "nn_model.h")

Importing this package does not import TensorFlow; the functions that need it do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gyrovae_tf.version import VERSION

__version__ = VERSION

_HOMES = {
    "Architecture": "learn.vae",
    "Bundle": "bundle",
    "Calibration": "calibration",
    "Check": "lint",
    "Dataset": "learn.dataset",
    "Detector": "runtime",
    "Evaluation": "learn.evaluate",
    "GyrovaeError": "errors",
    "Live": "device.follow",
    "Options": "learn.options",
    "Recording": "recording",
    "Report": "learn.report",
    "Run": "learn.run",
    "Spec": "spec",
    "StockBundle": "stockbundle",
    "StockConstants": "stockspec",
    "StockDataset": "learn.stock_data",
    "StockDetector": "stockdetector",
    "Stream": "streaming",
    "benchmark": "learn.benchmark",
    "calibrate": "device.onsite",
    "check": "lint",
    "collect": "device.collect",
    "collect_figures": "device.figures",
    "demo": "learn.demo",
    "emit_header": "cgen",
    "evaluate": "learn.evaluate",
    "export": "learn.export",
    "fleet": "learn.fleet",
    "images": "signal.frontend",
    "judge": "device.judge",
    "list_ports": "device.port",
    "monitor": "device.follow",
    "preprocess": "learn.dataset",
    "quantize": "learn.quantize",
    "reasons": "signal.score",
    "report": "learn.report",
    "score_recordings": "scoring",
    "simulate": "device.simulate",
    "stock_header": "stockheader",
    "stock_images": "signal.stock",
    "stock_preprocess": "learn.stock_data",
    "stock_quantize": "learn.stock_quantize",
    "stride_of": "signal.score",
    "train": "learn.train",
    "vote": "signal.score",
    "write_image": "flash",
}
"""Public name -> the module it lives in, imported when the name is first used."""

__all__ = ["__version__", *sorted(_HOMES)]

if TYPE_CHECKING:
    from gyrovae_tf.bundle import Bundle as Bundle
    from gyrovae_tf.calibration import Calibration as Calibration
    from gyrovae_tf.cgen import emit_header as emit_header
    from gyrovae_tf.device.collect import collect as collect
    from gyrovae_tf.device.figures import collect_figures as collect_figures
    from gyrovae_tf.device.follow import Live as Live
    from gyrovae_tf.device.follow import monitor as monitor
    from gyrovae_tf.device.judge import judge as judge
    from gyrovae_tf.device.onsite import calibrate as calibrate
    from gyrovae_tf.device.port import list_ports as list_ports
    from gyrovae_tf.device.simulate import simulate as simulate
    from gyrovae_tf.errors import GyrovaeError as GyrovaeError
    from gyrovae_tf.flash import write_image as write_image
    from gyrovae_tf.learn.benchmark import benchmark as benchmark
    from gyrovae_tf.learn.dataset import Dataset as Dataset
    from gyrovae_tf.learn.dataset import preprocess as preprocess
    from gyrovae_tf.learn.demo import demo as demo
    from gyrovae_tf.learn.evaluate import Evaluation as Evaluation
    from gyrovae_tf.learn.evaluate import evaluate as evaluate
    from gyrovae_tf.learn.export import export as export
    from gyrovae_tf.learn.fleet import fleet as fleet
    from gyrovae_tf.learn.options import Options as Options
    from gyrovae_tf.learn.quantize import quantize as quantize
    from gyrovae_tf.learn.report import Report as Report
    from gyrovae_tf.learn.report import report as report
    from gyrovae_tf.learn.run import Run as Run
    from gyrovae_tf.learn.stock_data import StockDataset as StockDataset
    from gyrovae_tf.learn.stock_data import stock_preprocess as stock_preprocess
    from gyrovae_tf.learn.stock_quantize import stock_quantize as stock_quantize
    from gyrovae_tf.learn.train import train as train
    from gyrovae_tf.learn.vae import Architecture as Architecture
    from gyrovae_tf.lint import Check as Check
    from gyrovae_tf.lint import check as check
    from gyrovae_tf.recording import Recording as Recording
    from gyrovae_tf.runtime import Detector as Detector
    from gyrovae_tf.scoring import score_recordings as score_recordings
    from gyrovae_tf.signal.frontend import images as images
    from gyrovae_tf.signal.score import reasons as reasons
    from gyrovae_tf.signal.score import stride_of as stride_of
    from gyrovae_tf.signal.score import vote as vote
    from gyrovae_tf.signal.stock import stock_images as stock_images
    from gyrovae_tf.spec import Spec as Spec
    from gyrovae_tf.stockbundle import StockBundle as StockBundle
    from gyrovae_tf.stockdetector import StockDetector as StockDetector
    from gyrovae_tf.stockheader import stock_header as stock_header
    from gyrovae_tf.stockspec import StockConstants as StockConstants
    from gyrovae_tf.streaming import Stream as Stream


if not TYPE_CHECKING:  # else every misspelt name would be one of type Any

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
