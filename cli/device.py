"""The commands that speak with a device: collect and simulate."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gyrovae_tf.device.stopping import ENDING, stopped_by

from .amount import Amount
from .show import WIDTH, as_json, command, print_json, say
from .standing import live_line
from .stock import refuse

if TYPE_CHECKING:
    from gyrovae_tf.device.collect import Collected
    from gyrovae_tf.device.monitor import Decision

_FILE = click.Path(path_type=Path)
_SHARE = Amount(0, 1)
_WORDS = f"{__name__}.words"


def _speed(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    try:
        speed = math.inf if value == "max" else float(value)
    except ValueError:
        speed = 0.0
    if not speed > 0:
        raise click.BadParameter(f"{value!r} is neither a number above 0 nor max")
    return speed


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    """HOST:PORT, or a port alone, which only this computer can reach."""
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    if not (port.isdecimal() and int(port) < 65536):
        raise click.BadParameter(f"{value!r} is no HOST:PORT, as in 127.0.0.1:5000")
    return host.strip("[]") or "127.0.0.1", int(port)


def _unplug(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[float, float | None] | None:
    """S or S:FOR."""
    if value is None:
        return None
    try:
        seconds = tuple(float(word) for word in value.split(":"))
    except ValueError:
        seconds = ()
    if not (len(seconds) in (1, 2) and all(0 <= s < math.inf for s in seconds)):
        raise click.BadParameter(f"{value!r} is neither seconds nor SECONDS:SECONDS, as in 10:3")
    return seconds[0], seconds[1] if len(seconds) == 2 else None


def _ports(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """List the ports and end."""
    if not value or ctx.resilient_parsing:
        return
    from gyrovae_tf.device.port import NO_PORT, list_ports

    ports = list_ports()
    if "--json" in ctx.meta[_WORDS]:
        print_json({"ports": [dataclasses.asdict(port) for port in ports]})
    else:
        for port in ports:
            click.echo("  ".join(filter(None, (port.name, port.description, port.identity))))
        if not ports:
            click.echo(NO_PORT, err=True)
    ctx.exit()


class CollectCommand(click.Command):
    """Keeps the words as typed: --list-ports is looked at before the options behind it are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_WORDS] = tuple(args)
        return super().parse_args(ctx, args)


@click.command(cls=CollectCommand, short_help="A device's samples -> a recording.")
@click.option("--port", required=True, help="/dev/ttyACM0, COM3, socket://HOST:PORT, rfc2217://HOST:PORT ...")
@click.option("-o", "--output", type=_FILE, required=True, metavar="CSV", help="The recording to write.")
@click.option("--baud", type=click.IntRange(1), default=115_200, show_default=True, help="Of a UART; USB needs none.")
@click.option("--seconds", type=Amount(0, min_open=True), help="Collect so much motion (gaps do not count).")
@click.option("--samples", type=click.IntRange(1), help="Collect so many.  [default: until Ctrl-C]")
@click.option("--label", help="What this is, for the file's metadata: fan, low speed.")
@click.option("--append", is_flag=True, help="Go on with a file that an earlier collect wrote, in a new segment.")
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@click.option("--accept-anyway", is_flag=True, help="Keep what is not good enough to train on.")
@click.option("--figures", is_flag=True, help="Record what Seeed's firmware prints in its detection mode instead.")
@click.option("--model", type=_FILE, metavar="RUN", help="Tell which figures are alarms: the run whose model it has.")
@click.option(
    "--wait",
    "wait_s",
    type=Amount(0),
    default=60.0,
    show_default=True,
    help="Seconds, for a device to return.",
)
@click.option(
    "--window", type=int, default=256, show_default=True, help="Samples a window, to count how many there are."
)
@click.option(
    "--list-ports", is_flag=True, is_eager=True, expose_value=False, callback=_ports, help="Name the ports and end."
)
@as_json
def collect(port: str, output: Path, as_json: bool, figures: bool, model: Path | None, **options: Any) -> None:
    """Record what a device streams, with our firmware or Seeed's (in its sampling mode).

    The file grows as samples come, and whatever ends the collection, it can be read. A device that is unplugged is
    waited for; what comes then is a new segment, and no window crosses a gap. At the end the recording is judged: what
    is not good enough to train on is kept beside the name, with .rejected behind it.

    With --figures, or --model, the results that Seeed's firmware prints in its detection mode ("Predict results: a b")
    are recorded instead: rows time_s,scalogram_db,field_db,segment. With --model alarms are told as they come.

    Exit status: 0 when what was asked for is there, also after Ctrl-C; 2 when it is not or was refused.
    """
    if figures or model is not None:
        _figures(port, output, as_json, model, **options)
        return
    from gyrovae_tf.device import collect as library

    with stopped_by(*ENDING) as stopped, live_line() as progress:
        done = library.collect(port, output, progress=progress, stop=stopped, **options)
    if as_json:
        print_json(done.to_dict())
    else:
        click.echo("\n".join(_summary(done)))
    if done.problem is not None:
        raise done.problem


def _figures(
    port: str, output: Path, as_json: bool, model: Path | None, samples: int | None, accept_anyway: bool, **options: Any
) -> None:
    """`collect --figures`."""
    from gyrovae_tf.device import figures as library
    from gyrovae_tf.wording import many

    from .live import line_for

    del options["window"]
    refuse({"samples": samples, "accept_anyway": accept_anyway}, "figures are no samples")

    def decided(decision: Decision) -> None:
        if decision.alarm or decision.event:
            click.echo(line_for(decision), err=True)

    say(f"recording the results that {port} prints into {output}; Ctrl-C ends it")
    with stopped_by(*ENDING) as stopped:
        done = library.collect_figures(port, output, model=model, decided=decided, told=_told, stop=stopped, **options)
    if as_json:
        print_json(done.to_dict())
    else:
        rate = f", {(done.results - 1) / done.seconds:.3g} a second" if done.seconds else ""
        click.echo(f"{done.path}: {many(done.results, 'result')} in {done.seconds:.1f} s{rate}")
        counted = ((done.bad_lines, "damaged line"), (done.reboots, "reboot"), (done.reconnects, "reconnection"))
        click.echo(f"link: {', '.join(many(n, what) for n, what in counted if n) or 'no faults seen'}")
        if done.windows is not None:
            parts = ((done.windows, "window"), (done.alarms or 0, "alarm"), (done.events or 0, "event"))
            click.echo(", ".join(many(n, what) for n, what in parts))
    if done.problem is not None:
        raise done.problem


def _told(text: str) -> None:
    click.echo(text, err=True)


def _summary(done: Collected) -> Iterator[str]:
    """What was collected, as text."""
    from gyrovae_tf.wording import many

    recording, facts, verdict = done.recording, done.facts, done.judgement
    rate = f" at {facts['measured_rate_hz']:.5g} Hz" if facts["measured_rate_hz"] else ""
    if verdict.nominal_rate_hz is not None and rate:
        rate += f" (the device says {verdict.nominal_rate_hz:g} Hz)"
    yield f"{done.path}: {many(len(recording), 'sample')}, {facts['seconds']:.1f} s{rate}"
    yield f"segments: {len(recording.segments)}; windows of {verdict.window} samples: {verdict.windows:,}"
    whole = done.whole
    if len(whole) != len(recording):
        seconds = "" if whole.duration_s is None else f", {whole.duration_s:.1f} s"
        held = f"{many(len(whole), 'sample')}{seconds} in {many(len(whole.segments), 'segment')}"
        yield f"the file now holds {held}; windows: {done.windows:,}"
    links = [f"lost {facts['lost']:,} in {many(facts['gaps'], 'gap')}"] if verdict.lost is not None else []
    links += [many(facts[name], noun) + rest for name, noun, rest in _LINK if facts[name]]
    yield f"link: {', '.join(links) or 'no faults seen'}"
    clipped = "" if verdict.clipped is None else f", clipped {100 * verdict.clipped:.2g} %"
    jitter = "" if verdict.jitter is None else f", jitter {100 * verdict.jitter:.2g} %"
    yield f"samples: duplicates {100 * verdict.duplicates:.2g} %{clipped}{jitter}"
    told = [flaw for flaw in verdict.flaws if done.problem is None or not flaw.refused]
    for flaw in told:
        yield from textwrap.wrap(f"warning: {flaw.reason}. {flaw.remedy}", WIDTH, subsequent_indent="  ")
    if verdict.good and not verdict.enough:
        yield "verdict: too few windows to train on as it is: record longer, or go on with --append"
    elif verdict.good:
        yield "verdict: can be trained on" + (", see the warnings" if told else "")
    else:
        yield "verdict: not good enough to train on" + (", kept anyway" if facts.get("accepted_anyway") else "")


_LINK = (
    ("repeated", "line", " twice"),
    ("late", "line", " late"),
    ("too_late", "line", " too late"),
    ("stray", "stray line", ""),
    ("pauses", "pause", ""),
    ("bad_lines", "damaged line", ""),
    ("reboots", "reboot", ""),
    ("reconnects", "reconnection", ""),
)


@click.command(short_help="A pretend device on a pseudo-terminal, to try everything without hardware.")
@click.option("--tcp", metavar="[HOST:]PORT", callback=_address, help="Listen here instead (0: any free port).")
@click.option("--link", type=_FILE, metavar="NAME", help="A name for the pseudo-terminal, which stays the same.")
@click.option(
    "--protocol",
    type=click.Choice(["gyrovae", "stock", "stock-console"]),
    default="gyrovae",
    show_default=True,
    help="Of our firmware, or of Seeed's: its sampling mode, or the console of its detection mode (needs --model).",
)
@click.option("--model", type=_FILE, metavar="RUN", help="A run or bundle to detect with, as if it were on the device.")
@click.option("--fault", metavar="KIND", help="imbalance, misalignment, bearing, looseness, blockage or off.")
@click.option("--severity", type=float, default=1.0, show_default=True, help="Of the fault: 1 is a plain one.")
@click.option("--recording", type=_FILE, metavar="CSV", help="Say what a recording holds instead, again and again.")
@click.option("--rate-hz", type=float, help="Samples a second.  [default: 200, or the recording's]")
@click.option("--true-rate-hz", type=float, help="What the sensor really does where its banner is wrong.")
@click.option("--sensor-hz", type=float, help="New values a second of a sensor that is asked more often.")
@click.option("--speed", default="1", show_default=True, callback=_speed, help="Times real time; max: as it is read.")
@click.option("--seconds", type=Amount(0, min_open=True), help="Of the device's time, then it ends.")
@click.option("--drop", type=_SHARE, default=0.0, help="Share of the samples' lines that get lost on the way.")
@click.option("--duplicate", type=_SHARE, default=0.0, help="Share of them that arrive twice.")
@click.option("--corrupt", type=_SHARE, default=0.0, help="Share of them that arrive damaged.")
@click.option("--late", type=_SHARE, default=0.0, help="Share of them that others overtake.")
@click.option("--reboot-after", type=Amount(0), metavar="S", help="Boot again after so many seconds.")
@click.option(
    "--unplug-after", metavar="S[:FOR]", callback=_unplug, help="Unplug after S seconds, for FOR or for good."
)
@click.option("--powered", is_flag=True, help="Keep running while unplugged.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same samples and faults."
)
@click.option("--record", type=_FILE, metavar="JSON", help="Write down at the end what was truly done.")
@as_json
def simulate(as_json: bool, **options: Any) -> None:
    """Pretend to be a device: a simulated machine, the sensor on it, its firmware, and a cable that may be bad.

    The first line tells the port to give to gyrovae-tf collect or monitor. Ctrl-C ends it. With --json that line goes
    to standard error, and the record of what was done is printed at the end.
    """
    from gyrovae_tf.bundle import write_json
    from gyrovae_tf.device import serve
    from gyrovae_tf.device.link import Faults
    from gyrovae_tf.device.outlet import Pty, Tcp
    from gyrovae_tf.errors import check_same_kind

    if (record_file := options["record"]) is not None:
        if record_file.is_dir():
            raise click.UsageError(f"--record: {record_file} is a folder")
        check_same_kind(record_file, lambda head: head.lstrip()[:1] == b"{", "record")
    device = _device(**options)
    faults = Faults(options["drop"], options["duplicate"], options["corrupt"], options["late"])
    unplug_after_s, unplugged_s = options["unplug_after"] or (None, None)
    incidents = serve.Incidents(options["reboot_after"], unplug_after_s, unplugged_s, options["powered"])
    with stopped_by(*ENDING) as stopped:
        outlet = Pty(options["link"]) if options["tcp"] is None else Tcp(*options["tcp"])
        click.echo(outlet.name, err=as_json)
        then = command("collect", "--port", outlet.name, "-o", "normal.csv")
        if options["protocol"] == "stock-console":
            then = command("monitor", "--port", outlet.name, "--model", options["model"])
        say(f"pretending; in another terminal: {then}; Ctrl-C ends it")
        record = serve.serve(
            device,
            outlet,
            faults=faults,
            incidents=incidents,
            speed=options["speed"],
            seconds=options["seconds"],
            seed=options["seed"],
            stop=stopped,
        )
    if record_file is not None:
        write_json(record_file, record.to_dict())
    if as_json:
        print_json({"port": outlet.name, **record.to_dict()})


def _device(
    *,
    protocol: Any,
    model: Path | None,
    fault: str | None,
    severity: float,
    recording: Path | None,
    rate_hz: float | None,
    true_rate_hz: float | None,
    sensor_hz: float | None,
    seed: int,
    **_rest: Any,
) -> Any:
    """The device that the options describe."""
    from gyrovae_tf.device.pretend import Device, Habits, Motion

    if protocol == "stock-console" and model is None:
        raise click.UsageError("--protocol stock-console needs --model RUN: of preprocess --frontend stock")
    if protocol == "stock" and model is not None:
        raise click.UsageError("--model: Seeed's firmware detects in --protocol stock-console")
    from gyrovae_tf.device.simulate import Machine

    if recording is not None:
        if fault is not None:
            raise click.UsageError("--fault is for the simulated machine, not for --recording")
        motion = Motion(recording=recording, rate_hz=rate_hz)
    else:
        machine = Machine() if rate_hz is None else Machine(rate_hz=rate_hz)
        motion = Motion(machine, fault=fault, severity=severity, seed=seed)
    detector = None if model is None else _detector(model, protocol)
    protocol = "gyrovae" if protocol == "gyrovae" else "stock"
    # Its boots are new ones, whatever the seed: who listens has to know that it was started again.
    return Device(motion, protocol=protocol, habits=Habits(true_rate_hz, sensor_hz), detector=detector, seed=None)


def _detector(model: Path, protocol: str) -> Any:
    """What detects on a device that speaks so."""
    if protocol == "stock-console":
        from gyrovae_tf.stockdetector import StockDetector

        return StockDetector(model)
    from gyrovae_tf.runtime import Detector
    from gyrovae_tf.stockbundle import is_stock

    if is_stock(model):
        raise click.UsageError(f"{model} has the stock front end: --protocol stock-console")
    return Detector(model)
