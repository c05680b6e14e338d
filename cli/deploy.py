"""Commands that need no TensorFlow: emit-header and info."""

from __future__ import annotations

from pathlib import Path

import click

from gyrovae_tf.cli.show import as_json, print_json, table


@click.command("emit-header", short_help="A detector -> a C header.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=Path("nn_model.h"), show_default=True)
@click.option("--prefix", default="nn_model", show_default=True, help="What every name in the header begins with.")
@as_json
def emit_header(run: Path, output: Path, prefix: str, as_json: bool) -> None:
    """Write the detector in RUN (a run or a bundle) as a C header: model, front end tables, thresholds."""
    from gyrovae_tf import cgen

    text = cgen.emit_header(run, output, prefix=prefix)
    if as_json:
        print_json({"header": str(output), "bytes": len(text), "prefix": prefix})
    else:
        click.echo(f"wrote {output} ({len(text) / 1024:.0f} KiB of text)")


@click.command(short_help="What a run, a bundle or a .tflite holds.")
@click.argument("path", type=click.Path(path_type=Path))
@as_json
def info(path: Path, as_json: bool) -> None:
    """Show what PATH holds: a run, a bundle, or any .tflite. Tensors, operators, MACs, bytes, thresholds, metrics."""
    from gyrovae_tf.describe import describe

    found = describe(path)
    if as_json:
        print_json(found.to_dict())
        return
    for title, rows in found.sections:
        click.echo(f"{title}\n{table(rows)}\n")
