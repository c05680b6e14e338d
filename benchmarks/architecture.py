"""Size and work of the network against what it detects: a row an architecture, on recordings in the shared layout.

    python benchmarks/architecture.py DIR... [-o architectures] [--seeds 1] [--try 4-8-8-8,8-16-32-8]

An architecture is latent-patch-code-decoder channels, as in `gyrovae_tf.Architecture`. Everything else is default;
quantised after training, which stands for both ways (they detect alike), scored on the device's kernels where they are
installed. OUTPUT/results.json keeps what was measured: the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gyrovae_tf import runtime
from gyrovae_tf.bundle import read_json, write_json
from gyrovae_tf.errors import GyrovaeError
from gyrovae_tf.learn.dataset import Dataset, preprocess
from gyrovae_tf.learn.measure import figures
from gyrovae_tf.learn.modes import candidates
from gyrovae_tf.learn.quantize import detector
from gyrovae_tf.learn.run import Options
from gyrovae_tf.learn.train import train
from gyrovae_tf.learn.vae import Architecture
from gyrovae_tf.learn.windows import Unseen, unseen

TRIED = "4-8-8-8,4-8-8-4,4-8-16-8,8-8-16-8,8-16-32-8"
FIELDS = [field.name for field in dataclasses.fields(Architecture)]


def measured(data: Dataset, tests: Unseen, architecture: Architecture, seed: int, run_folder: Path) -> dict[str, Any]:
    """One training, its int8 model and what it detects."""
    run = train(data, run_folder, options=Options(seed=seed), architecture=architecture, overwrite=True)
    (found,) = candidates(run, data, ("ptq",), runtime.best())
    bundle = detector(run, data, found, [found])
    scoring = runtime.Detector(bundle)
    scores = {group: scoring.score_windows(windows).score for group, windows in tests.groups().items()}
    abnormal = {kind: values for (part, kind), values in scores.items() if part == "anomaly"}
    told = figures(scores["normal", ""], abnormal, 1.0)
    return {
        "auroc": float(np.mean(list(told.kinds.values()))),
        "worst": min(told.kinds.values()),
        "false_alarm_rate": told.false_alarm_rate,
        "error": found.error,
        "macs": found.macs,
        "bytes": found.bytes,
        "arena": None if bundle.arena is None else bundle.arena.host_bytes,
    }


def table(results: dict[str, Any], names: list[str]) -> str:
    """Results in, a Markdown table out: means over seeds."""
    lines = ["| latent-patch-code-decoder | MACs | bytes | arena | error | " + " | ".join(names) + " |"]
    lines.append("|---" * (5 + len(names)) + "|")
    for architecture, by_name in results.items():
        every = [one for found in by_name.values() for one in found.values() if "failed" not in one]
        if not every:
            continue
        cells = [architecture, f"{every[0]['macs']:,}", f"{max(one['bytes'] for one in every):,}"]
        arenas = [one["arena"] for one in every if one["arena"] is not None]
        cells += [f"{max(arenas):,}" if arenas else "n/a", f"{np.mean([one['error'] for one in every]):.3f}"]
        for name in names:
            good = [one for one in by_name.get(name, {}).values() if "failed" not in one]
            mean = [float(np.mean([one[key] for one in good])) for key in ("auroc", "worst")] if good else None
            cells.append("failed" if mean is None else f"{mean[0]:.4f} ({mean[1]:.3f})")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, default=Path("architectures"))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--try", dest="tried", default=TRIED, metavar="A,B,...")
    options = parser.parse_args(words)
    kept = options.output / "results.json"
    results: dict[str, Any] = read_json(kept) if kept.is_file() else {}
    try:
        for folder in options.folders:
            data = preprocess(output=options.output / folder.name / "dataset", dataset=folder)
            tests = unseen(folder, data.spec, hop=data.spec.window // 2)
            for text in options.tried.split(","):
                architecture = Architecture(**dict(zip(FIELDS, map(int, text.split("-")), strict=True)))
                found = results.setdefault(text, {}).setdefault(folder.name, {})
                for seed in range(options.seeds):
                    if str(seed) in found:
                        continue
                    run_folder = options.output / folder.name / "run"
                    try:
                        found[str(seed)] = measured(data, tests, architecture, seed, run_folder)
                    except GyrovaeError as error:  # a latent space that collapsed, for one
                        found[str(seed)] = {"failed": str(error)}
                    write_json(kept, results)
                    print(f"{folder.name} {text} seed {seed}: {found[str(seed)]}", file=sys.stderr, flush=True)
    except GyrovaeError as error:
        print(f"architecture.py: {error}", file=sys.stderr)
        return 2
    tried = {text: results[text] for text in options.tried.split(",")}
    print(table(tried, [folder.name for folder in options.folders]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
