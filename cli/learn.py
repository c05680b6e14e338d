"""Commands that learn: demo, preprocess, train, quantize, export."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import click

from gyrovae_tf.errors import GyrovaeError

from . import stock
from .calibration import calibration_options
from .crew import check_crew, scheduler_option
from .progress import progress_bar
from .show import WIDTH, as_json, command, evaluation_table, modes_table, print_json, say, table

_FOLDER = click.Path(path_type=Path)
QUANTISATIONS = ("best", "ptq", "qat")
FRONTENDS = ("power", "stock")
_REPLACED = "{} held another dataset, which is replaced: a run that was trained on that can be quantised no more."
DISTRIBUTIONS = ("mirrored", "multiworker")
PRECISIONS = ("float32", "float16", "dynamic", "int8")
"""Those of the library; naming them here keeps NumPy out of --help, and a test compares."""
_TRIAL = (
    "All this is a trial to choose by, on half of the held-back windows: a report's figures are others, those of the "
    "detector that was made of the one kept."
)
_SEED = click.IntRange(0, 2**32 - 1)


@click.command(short_help="The whole way on a simulated machine.")
@click.option("-o", "--output", type=_FOLDER, default=Path("gyrovae-demo"), show_default=True, help="Folder to make.")
@click.option("--seed", type=_SEED, default=0, show_default=True, help="Of the simulated machine and of the training.")
@as_json
def demo(output: Path, seed: int, as_json: bool) -> None:
    """Simulate a rotating machine, learn its normal motion, and test the int8 detector on faults of it."""
    with progress_bar() as progress:
        from gyrovae_tf.learn import demo as library

        result = library.demo(output, seed=seed, progress=progress)
    if as_json:
        print_json(result.to_dict())
        return
    click.echo(evaluation_table(result.evaluation))
    click.echo(f"\nmodel: {result.model_bytes / 1024:.1f} KiB, {result.macs:,} multiply-accumulates a window\n")
    click.echo(table([["made", "what it is"], *([path, what] for path, what in result.files.items())]))


@click.command(short_help="Recordings of normal motion -> a dataset.")
@click.argument("recordings", nargs=-1)
@click.option("-o", "--output", type=_FOLDER, required=True, help="The dataset's folder.")
@click.option("--dataset", type=_FOLDER, help="Instead of recordings: a folder with meta.json; its split.normal_train.")
@click.option("--window", type=int, help="Samples in a window, a multiple of 32.  [default: 256, or as meta.json says]")
@click.option("--hop", type=int, help="Samples from one window to the next.  [default: a quarter of the window]")
@click.option("--rate-hz", type=float, help="Samples a second, for recordings that do not say.")
@click.option("--lsb", type=float, help="Units a count of the sensor.  [default: as recorded, else from the range]")
@click.option("--validation-share", default=0.25, show_default=True, help="Share of the motion that is held back.")
@click.option("--jobs", type=click.IntRange(1), help="Processes of this computer.  [default: its cores]")
@scheduler_option
@click.option("--resume", is_flag=True, help="Go on with interrupted work.")
@click.option(
    "--frontend",
    type=click.Choice(FRONTENDS),
    default="power",
    show_default=True,
    help="stock: for Seeed's stock firmware.",
)
@click.option("--stock-constants", metavar="FILE", help='Of that firmware: a JSON file, or "fit".  [default: its own]')
@as_json
def preprocess(
    recordings: tuple[str, ...],
    output: Path,
    dataset: Path | None,
    jobs: int | None,
    scheduler: str | None,
    resume: bool,
    frontend: str,
    stock_constants: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Cut RECORDINGS of NORMAL motion into windows, fit the front end, and store the images to train on.

    RECORDINGS are CSV or Parquet files of any length, folders (with those in them), patterns, or URLs. Of long ones the
    dataset is written in shards, by all cores; work that was interrupted goes on with --resume, and a worker that dies
    costs time only. The same recordings give the same bytes. Parquet, URLs and --scheduler need: pip install
    "gyrovae-tf[scale]".

    With --frontend stock the detector is for Seeed's unmodified firmware (gyro_anomaly_detection_nn): 256 samples at
    200 Hz in m/s^2, with the constants that are compiled into it. It holds its recordings in memory.
    """
    if not recordings and dataset is None:
        raise click.UsageError("no recordings: give files, or --dataset")
    if recordings and dataset is not None:
        raise click.UsageError("give files or --dataset, not both")
    check_crew(jobs, scheduler)
    if frontend == "stock":
        given = {"jobs": jobs, "scheduler": scheduler, "resume": resume or None}
        stock.refuse(given, "not with --frontend stock, which holds its recordings in memory")
        stock.preprocess(recordings, output, dataset, stock_constants, as_json, **options)
        return
    stock.refuse({"stock_constants": stock_constants}, "only with --frontend stock")
    try:
        with progress_bar() as progress:
            from gyrovae_tf.learn import dataset as library
            from gyrovae_tf.learn.stored import hashes_of
            from gyrovae_tf.workers import cores

            before = hashes_of(output)
            made = library.preprocess(
                recordings,
                output,
                dataset=dataset,
                jobs=jobs or (1 if scheduler else cores()),
                scheduler=scheduler,
                resume=resume,
                progress=progress,
                **options,
            )
            notes = made.notes
            if before not in (None, hashes_of(output)):
                notes = (*notes, _REPLACED.format(output))
    except KeyboardInterrupt:
        raise GyrovaeError(
            "stopped by Ctrl-C", remedy="What is done is kept: the same command goes on with --resume."
        ) from None
    spec = made.spec
    if as_json:
        print_json(
            {
                "dataset": str(output),
                "recordings": len(made.sources),
                "train_windows": len(made.train_images),
                "validation_windows": len(made.validation_images),
                "window": spec.window,
                "hop": made.hop,
                "rate_hz": spec.rate_hz,
                "lsb": spec.lsb,
                "spec_digest": spec.digest,
                "notes": list(notes),
            }
        )
        return
    from gyrovae_tf.wording import many

    click.echo(
        f"{output}: {many(len(made.train_images), 'window')} to train on and {len(made.validation_images):,} held "
        f"back, of {many(len(made.sources), 'recording')};\n"
        f"each is {spec.window} samples ({spec.window_ms:.0f} ms at {spec.rate_hz:g} Hz), "
        f"one count is {spec.lsb:g} {spec.units}"
    )
    for text in notes:
        click.echo(f"note: {text}")
    say(f"next: {command('train', output, '-o', 'run')}")


@click.command(short_help="A dataset -> a trained VAE.")
@click.argument("dataset", type=_FOLDER)
@click.option("-o", "--output", type=_FOLDER, required=True, help="The run's folder.")
@click.option("--epochs", type=int, help="At the most; 100 steps each.  [default: 40]")
@click.option("--batch", type=int, help="Windows a step.  [default: 64]")
@click.option("--learning-rate", type=float, help="At the start.  [default: 0.002]")
@click.option("--beta", type=float, help="Weight of the latent space's divergence.  [default: 1]")
@click.option("--patience", type=int, help="Epochs without improvement before it stops.  [default: 10]")
@click.option("--seed", type=_SEED, help="Of every random draw.  [default: 0]")
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
@click.option("--overwrite", is_flag=True, help="Replace a run that is there.")
@click.option(
    "--distribute",
    type=click.Choice(DISTRIBUTIONS),
    help="Share each batch out among this computer's devices, or among several computers.",
)
@as_json
def train(
    dataset: Path,
    output: Path,
    resume: bool,
    overwrite: bool,
    distribute: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train the autoencoder on DATASET. After Ctrl-C, the same command with --resume goes on.

    With --distribute multiworker the same command runs on each computer, with a TF_CONFIG that tells all addresses and
    which one it is; the first alone writes the run. docs/scaling.md has an example.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if resume and overwrite:
        raise click.UsageError("--resume and --overwrite exclude each other")
    go_on = ["--resume", *(["--distribute", distribute] if distribute else [])]
    if distribute is not None:
        # When a worker ends, TensorFlow tells of it in dozens of lines; one of ours says the same.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        with progress_bar("training") as progress:
            from gyrovae_tf.learn import train as library
            from gyrovae_tf.learn.latent import ALIKE, carries
            from gyrovae_tf.learn.options import Options

            settings = Options(**given) if given or not resume else None
            run = library.train(
                dataset,
                output,
                options=settings,
                resume=resume,
                overwrite=overwrite,
                distribute=distribute,
                progress=progress,
            )
    except KeyboardInterrupt:
        from gyrovae_tf.describe import RUN

        if not (output / RUN).is_file():
            if distribute == "multiworker":
                remedy = "The first worker keeps what was trained: the same commands go on with --resume."
                raise GyrovaeError("stopped by Ctrl-C", remedy=remedy) from None
            raise GyrovaeError("stopped by Ctrl-C before the training began") from None
        raise GyrovaeError(
            f"stopped by Ctrl-C; what was trained is kept. Go on: {command('train', dataset, '-o', output, *go_on)}"
        ) from None
    if as_json:
        print_json({"run": str(output), **run.metrics})
        return
    from gyrovae_tf.wording import many

    metrics = run.metrics
    if not metrics:
        click.echo("trained with the others; the first worker has the run")
        return
    number = f"{metrics['validated_on']:,} " if "validated_on" in metrics else ""
    click.echo(
        f"{output}: {many(metrics['epochs'], 'epoch')}, of which number {metrics['best_epoch']} is kept; "
        f"mean squared error on {number}held-back windows {metrics['validation_error']:.3f}"
    )
    for branch, use in metrics["latent"].items():
        verdict = "" if carries(use) else " (this image tells the model nothing)"
        click.echo(
            f"{branch}: its code (latent space) carries {sum(use['kl']):.1f} nats; error {use['error']:.3f}, "
            f"from another window's code {use['shuffled_error']:.3f}{verdict}"
        )
    if "alike" in metrics:
        click.echo(f"note: {ALIKE}")
    if distribute is not None:
        replicas = metrics.get("distributed", {}).get("replicas", 1)
        alone = "" if replicas > 1 else ": this computer has one device, so it trained as without --distribute"
        click.echo(f"distributed over {many(replicas, 'replica')}{alone}")
    say(f"next: {command('quantize', output)}")


@click.command(short_help="A trained VAE -> an int8 detector.")
@click.argument("run", type=_FOLDER)
@click.option(
    "--mode",
    type=click.Choice(QUANTISATIONS),
    default="best",
    show_default=True,
    help="How to quantise; best: all ways.",
)
@calibration_options
@as_json
def quantize(run: Path, as_json: bool, **options: Any) -> None:
    """Convert the model in RUN to int8, check it, and calibrate its score, threshold and vote on normal motion.

    ptq quantises after training; qat goes on training with int8's rounding in it; best does both and keeps the one that
    tells more of built-in changes of normal motion that was held back.
    """
    from gyrovae_tf.describe import is_stock_run
    from gyrovae_tf.wording import expected_events, figure

    if is_stock_run(run):
        stock.quantize(run, as_json, **options)
        return
    with progress_bar() as progress:
        from gyrovae_tf.learn import quantize as library

        bundle = library.quantize(run, progress=progress, **options)
    folder = run / library.BUNDLE
    metrics = bundle.metrics
    tail, trust, vote = metrics["threshold"], metrics["trust"], metrics["vote"]
    if as_json:
        print_json(
            {
                "bundle": str(folder),
                "bytes": len(bundle.model),
                "macs": metrics["macs"],
                **{name: metrics[name] for name in ("mode", "modes", "runtime", "threshold", "trust", "vote")},
                "excerpt": metrics.get("excerpt"),
                "arena": None if bundle.arena is None else bundle.arena.to_dict(),
            }
        )
        return
    if len(metrics["modes"]) > 1:
        click.echo("\n".join([modes_table(metrics["modes"], metrics["mode"]), *textwrap.wrap(_TRIAL, WIDTH), ""]))
    arena = 'arena: not measured; pip install "gyrovae-tf[tflm]" (Linux on x86-64) measures it'
    if bundle.arena is not None:
        arena = (
            f"arena: {bundle.arena.host_bytes:,} bytes measured, {bundle.arena.scratch_bytes:,} of scratch estimated; "
            f"reserve {bundle.arena.suggested_bytes:,}"
        )
    click.echo(
        f"{folder}: {len(bundle.model) / 1024:.1f} KiB, {metrics['macs']:,} multiply-accumulates a window\n"
        f"operators: {', '.join(bundle.ops)}\n{arena}\n"
        f"threshold: {figure(100 * tail['rate'])} % of {tail['windows']} normal windows, compared with what they were "
        f"not fitted to;\nfor more time of the same kind between {figure(100 * tail['rate_low'])} % and "
        f"{figure(100 * tail['rate_high'])} %\n{expected_events(vote)}"
    )
    if excerpt := metrics.get("excerpt"):
        click.echo(
            f"note: all of that is of {excerpt['windows']:,} of the dataset's {excerpt['of']:,} windows: "
            "stretches evenly spaced over the time"
        )
    for text in (*trust["warnings"], *vote["warnings"], *([trust["note"]] if trust["note"] else [])):
        click.echo(f"note: {text}")
    say(f"next: {command('evaluate', run)} --normal ... --anomaly KIND=...\nthen: {command('emit-header', run)}")


@click.command(short_help="A trained VAE -> a .tflite of another precision.")
@click.argument("run", type=_FOLDER)
@click.option(
    "--format", "precision", type=click.Choice(PRECISIONS), default="int8", show_default=True, help="Its precision."
)
@click.option("-o", "--output", type=_FOLDER, help="The file.  [default: RUN/model_<format>.tflite]")
@as_json
def export(run: Path, precision: str, output: Path | None, as_json: bool) -> None:
    """Write the network in RUN as a .tflite: float32; weights in float16; the larger layers' weights in int8 (dynamic);
    or all in int8.

    The device runs int8 alone. The others show what quantising costs: evaluate RUN --model FILE scores with them.
    """
    with progress_bar():
        from gyrovae_tf.learn import export as library

        made = library.export(run, precision=precision, output=output)
    if as_json:
        print_json(made.to_dict())
        return
    click.echo(
        f"{made.path}: {made.bytes / 1024:.1f} KiB in {precision}, {made.macs:,} multiply-accumulates a window; "
        f"{'runs on the device' if made.on_device else 'for a PC: the device runs int8 alone'}\n"
        f"operators: {', '.join(made.operators)}"
    )
    say(f"next: {command('evaluate', run, '--model', made.path)} --normal ... --anomaly KIND=...")
