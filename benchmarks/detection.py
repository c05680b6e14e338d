"""The whole way on real recordings, several seeds: a table of AUROC beside the baseline. Run by hand.

    python benchmarks/detection.py DIR... [--seeds 3]

DIR is a folder with meta.json, normal/*.csv and anomaly/<kind>/*.csv (`split.normal_train` and `split.normal_test` in
meta.json name the normal files). Everything goes through the library with its defaults.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import gyrovae_tf as gt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    print("| recordings | seed | AUROC mean | min | baseline mean | min | false alarms | baseline | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for folder in arguments.folders:
        means = []
        for seed in range(arguments.seeds):
            started = time.perf_counter()
            with tempfile.TemporaryDirectory() as work:
                dataset = gt.preprocess(output=Path(work) / "dataset", dataset=folder)
                run = gt.train(dataset, Path(work) / "run", options=gt.Options(seed=seed))
                bundle = gt.quantize(run)
                found = gt.evaluate(run, dataset=folder)
            ours, theirs = list(found.auroc.values()), list((found.baseline_auroc or {}).values())
            alarms = (found.baseline_alarms or {}).get("normal", float("nan"))
            means.append(np.mean(ours))
            print(
                f"| {folder.name} | {seed} | {np.mean(ours):.3f} | {min(ours):.3f} | {np.mean(theirs):.3f} | "
                f"{min(theirs):.3f} | {100 * found.false_alarm_rate:.1f} % | {100 * alarms:.1f} % | "
                f"{time.perf_counter() - started:.0f} |",
                flush=True,
            )
        print(
            f"| {folder.name} | all | {np.mean(means):.3f} | | | | | | "
            f"{bundle.metrics['macs']:,} MACs, {len(bundle.model):,} bytes |",
            flush=True,
        )


if __name__ == "__main__":
    main()
