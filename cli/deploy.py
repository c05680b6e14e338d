"""Commands that need no TensorFlow: emit-header, flash-image and info."""

from __future__ import annotations

from pathlib import Path

import click

from .show import as_json, print_json, say, table


@click.command("emit-header", short_help="A detector -> a C header.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("nn_model.h"), show_default=True, help="The header."
)
@click.option("--prefix", default="nn_model", show_default=True, help="What every name in the header begins with.")
@click.option("--golden", is_flag=True, help="Add the golden windows, for a self-test on the device.")
@click.option(
    "--flavour",
    type=click.Choice(["gyrovae", "stock"]),
    default="gyrovae",
    show_default=True,
    help="stock: for Seeed's stock firmware.",
)
@as_json
def emit_header(run: Path, output: Path, prefix: str, golden: bool, flavour: str, as_json: bool) -> None:
    """Write the detector in RUN (a run or a bundle) as a C header: model, front end tables, thresholds.

    With --golden it also holds a few windows with what front end, model and score must make of them, so that the
    device can prove itself when it starts. With --flavour stock it is the nn_model.h that takes the place of the one in
    Seeed's gyro_anomaly_detection_nn; RUN must have been preprocessed for that (--frontend stock).
    """
    from . import stock

    if flavour == "stock":
        stock.refuse({"golden": golden}, "the stock firmware has no self-test")
        if prefix != "nn_model":
            raise click.UsageError("--prefix: the stock firmware has the name in its source")
        stock.emit_header(run, output, as_json)
        return
    from gyrovae_tf import cgen, stockheader
    from gyrovae_tf.bundle import Bundle

    cgen.check_prefix(prefix)
    stockheader.check_ours(run)
    bundle = Bundle.load(run)
    text = cgen.emit_header(bundle, output, prefix=prefix, golden=golden)
    if as_json:
        facts = {"header": str(output), "bytes": len(text.encode()), "prefix": prefix, "golden": golden}
        print_json({**facts, "arena": None if bundle.arena is None else bundle.arena.to_dict()})
        return
    windows = f", and {len(bundle.golden)} golden windows" if golden and bundle.golden else ""
    click.echo(f"{output}: the model as {prefix}_tflite, and the numbers of its front end and score{windows}")
    if bundle.arena is None:
        say("the tensor arena was not measured: quantise where tflite-micro is installed")
    else:
        say(f"tensor arena: reserve {bundle.arena.suggested_bytes:,} bytes ({prefix}_arena_bytes)")
    say(f"next: #include it in the firmware, and build that again ({len(text) // 1024} KiB of text)")


@click.command("flash-image", short_help="A detector -> an image for the device's flash.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("detector.bin"),
    show_default=True,
    help="The image.",
)
@click.option("--port", help="Write it to the device at this serial port, too (needs esptool).")
@as_json
def flash_image(run: Path, output: Path, port: str | None, as_json: bool) -> None:
    """Make an image of the detector in RUN (a run or a bundle) for a device that already runs our firmware.

    No compiler is needed: the image has a partition of its own in the flash, and the device checks it at each start.
    Without --port it is written to a file, and the command that puts it into the flash is shown.
    """
    import shlex

    from gyrovae_tf import flash

    made = flash.write_image(run, output)
    if port is not None:
        flash.write_to_device(output, port)
    command = shlex.join(flash.esptool_command(output, port))
    if as_json:
        facts = {"image": str(output), "bytes": len(made), "id": flash.detector_id(made), "written": port is not None}
        print_json({**facts, "command": command})
        return
    click.echo(f"{output}: the detector {flash.detector_id(made):08x} in {len(made):,} of {flash.SIZE:,} bytes")
    if port is None:
        click.echo(f"next: {command}")
    else:
        say(f"written to {port}; the device starts with it and proves itself by its golden windows")


@click.command(short_help="What a run, a bundle or a .tflite holds.")
@click.argument("path", type=click.Path(path_type=Path))
@as_json
def info(path: Path, as_json: bool) -> None:
    """Show what PATH holds: a run, a bundle, any .tflite (tensors, operators, MACs, bytes, metrics), or a dataset."""
    from gyrovae_tf.describe import describe

    found = describe(path)
    if as_json:
        print_json(found.to_dict())
        return
    click.echo("\n\n".join(f"{title}\n{table(rows)}" for title, rows in found.sections))
