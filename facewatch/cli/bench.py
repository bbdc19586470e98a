"""facewatch bench"""

import asyncio
import logging
import math
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from facewatch.app.capacity import filmed, open_trial, try_numbers, wanted_of
from facewatch.app.machine import Machine
from facewatch.cli.options import as_json, command
from facewatch.cli.output import counted, note, prepared, say, table
from facewatch.cli.serve import stop_on_signals
from facewatch.evaluate.capacity import Capacity, Limit, Step, Wanted, capacity
from facewatch.settings import Settings

_STRANGERS = 0.1
"""Share of the cores that other programs may take without being mentioned."""


class Resolution(click.ParamType[tuple[int, int]]):
    """Width and height in pixels, even: 1280x720."""

    name = "WIDTHxHEIGHT"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        width, _, height = str(value).partition("x")
        sides = tuple(int(side) for side in (width, height) if side.isdecimal())
        if len(sides) < 2 or not all(64 <= side <= 4096 and side % 2 == 0 for side in sides):
            self.fail(f"{value!r} is no resolution such as 1280x720, even, 64 to 4096", param, ctx)
        return sides[0], sides[1]


class Within(click.FloatRange):
    """A range that no nan is in, nor infinity."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number of them", param, ctx)
        return number


class Drawing(click.Path):
    """A file that can be drawn into: found out before, not after minutes of measuring."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.suffix not in (".svg", ".png"):
            self.fail(f"{path} does not end in .svg or .png", param, ctx)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            self.fail(f"{path.parent} is no folder that can be written to", param, ctx)
        return path


@click.command()
@click.option("--resolution", type=Resolution(), default="1280x720", show_default=True)
@click.option(
    "--fps",
    type=click.IntRange(1, 60),
    default=15,
    show_default=True,
    help="Frames a second of each camera.",
)
@click.option(
    "--looks-per-s",
    type=Within(0, 60, min_open=True),
    help="Of each camera, at most --fps.  [default: recognition.looks_per_s]",
)
@click.option(
    "--seconds",
    type=Within(min=10),
    default=90,
    show_default=True,
    help="For trying numbers of cameras; 10 to 30 more for starting and stopping.",
)
@click.option(
    "--most",
    type=click.IntRange(1, 512),
    default=128,
    show_default=True,
    help="Cameras to try.",
)
@click.option(
    "--plot",
    type=Drawing(dir_okay=False, writable=True),
    help="Draw it into this file, .svg or .png (needs matplotlib).",
)
@as_json
@command
async def bench(
    settings: Settings,
    resolution: tuple[int, int],
    fps: int,
    looks_per_s: float | None,
    seconds: float,
    most: int,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Find out how many cameras this machine carries, and what the limit is.

    Made-up cameras show people passing, one or two at a time, over real RTSP; your models and
    settings, a database and a disk folder of its own that are deleted afterwards. Nothing else
    should run meanwhile.
    """
    if plot:
        from facewatch.evaluate.plot_capacity import draw
    wanted = wanted_of(settings, *resolution, fps, looks_per_s, most)
    logging.getLogger("facewatch").setLevel(logging.WARNING)
    note("getting the cameras' video ready: some seconds the first time")
    material = await prepared(partial(filmed, settings, wanted))
    steps: list[Step] = []

    def told(step: Step) -> None:
        steps.append(step)
        note(_line(step, wanted))

    stop = stop_on_signals()
    note("starting models, database and cameras")
    async with open_trial(settings, wanted, material, stop) as trial:
        trying = asyncio.create_task(try_numbers(trial, wanted, seconds, told))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait([trying, stopped], return_when=asyncio.FIRST_COMPLETED)
        interrupted = not trying.done()
        stopped.cancel()
        if interrupted:
            trying.cancel()
            await asyncio.wait([trying])
        else:
            await trying
    if steps:
        found = capacity(steps, wanted)
        if as_json:
            say(_json(found, steps, wanted))
        else:
            _show(steps, wanted)
            click.echo("\n" + verdict(found, wanted) + "\n  " + _each(steps, found))
        strangers = max(step.strangers_cores for step in steps)
        if strangers > _STRANGERS * wanted.cores:
            note(
                f"other programs took up to {strangers:.1f} cores meanwhile: "
                "without them there may be room for more"
            )
        if plot:
            draw(plot, steps, found, wanted)
            note(f"drew {plot}")
    if interrupted:
        raise SystemExit(130)


def verdict(found: Capacity, wanted: Wanted) -> str:
    """What was found, in two lines."""
    what = (
        f"{counted(found.cameras, 'camera')} at {wanted.width}x{wanted.height}, "
        f"{wanted.fps:g} frames/s, {wanted.looks_per_s:g} looks/s each"
    )
    if found.limit is Limit.NONE:
        why = "no limit was reached" + ("" if found.settled else " in the time given")
        return f"at least {what}; {why}"
    near = "" if found.settled else "at least "
    return f"{near}{what}; limit is the {found.limit.value}\n  {_because(found, wanted)}"


def _each(steps: list[Step], found: Capacity) -> str:
    """What one camera costs where as many as possible are carried."""
    it = next((step for step in steps if step.cameras == found.cameras), found.at)
    return (
        f"each costs {it.cpu_cores / it.cameras:.3f} cores, {it.decoding_cores / it.cameras:.3f} "
        f"of them to decode, and {it.engine / it.cameras:.1%} of the engine's time"
    )


def _because(found: Capacity, wanted: Wanted) -> str:
    """What was seen where it was too much."""
    it = found.at
    at = f"at {counted(it.cameras, 'camera')}"
    match found.limit:
        case Limit.CPU:
            busy = it.cpu_cores if it.machine_cores is None else it.machine_cores
            return (
                f"{at} {busy:.2f} of {counted(wanted.cores, 'core')} are busy: decoding "
                f"{it.decoding_cores:.2f}, all else of facewatch and its database "
                f"{it.cpu_cores - it.decoding_cores:.2f}, the made-up cameras "
                f"{it.cameras_cores:.2f}, other programs {it.strangers_cores:.2f}"
            )
        case Limit.ENGINE:
            return f"{at} its thread works {it.engine:.0%} of the time"
        case Limit.DECODER:
            return f"one camera takes {it.reader:.2f} cores to decode: ask it for less"
        case Limit.LOOP:
            return f"{at} the thread that hands everything on works {it.loop:.0%} of the time"
        case Limit.STORES:
            return f"{at} events are being stored {it.stores:.0%} of the time"
        case _:
            return (
                f"{at} they get {it.looks_per_s:.1f} of {it.cameras * wanted.looks_per_s:g} "
                f"looks/s, and no part of facewatch is busy"
            )


def _line(step: Step, wanted: Wanted) -> str:
    asked = step.cameras * wanted.looks_per_s
    return (
        f"{step.cameras:4} cameras: {step.looks_per_s:6.1f} of {asked:g} looks/s, "
        f"{step.cpu_cores:.2f} cores, engine {step.engine:.0%}"
        + ("" if step.carried(wanted) else "   too many")
    )


def _show(steps: list[Step], wanted: Wanted) -> None:
    table(
        [
            *("cameras", "looks/s", "of", "slowest", "cores", "of these decoding"),
            *("engine", "event loop", "event after", "MiB", ""),
        ],
        [
            [
                *(it.cameras, f"{it.looks_per_s:.1f}", f"{it.cameras * wanted.looks_per_s:g}"),
                *(f"{it.least_per_s:.1f}", f"{it.cpu_cores:.2f}", f"{it.decoding_cores:.2f}"),
                *(f"{it.engine:.0%}", f"{it.loop:.0%}"),
                None if it.event_after_s is None else f"{it.event_after_s:.2f} s",
                f"{it.memory_mib:.0f}",
                "carried" if it.carried(wanted) else "too many",
            ]
            for it in sorted(steps, key=lambda step: step.cameras)
        ],
    )


def _json(found: Capacity, steps: list[Step], wanted: Wanted) -> dict[str, object]:
    return {
        "cameras": found.cameras,
        "limit": found.limit.value,
        "settled": found.settled,
        "says": verdict(found, wanted),
        "wanted": asdict(wanted),
        "machine": Machine.here().shown(),
        "steps": [{**asdict(it), "carried": it.carried(wanted)} for it in steps],
    }
