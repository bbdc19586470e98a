"""How cost grows: with cameras, with the gallery, with the events that there are.

Cameras: a service and made-up cameras as `facewatch bench` has them (1280 x 720, 15 frames/s, 5
looks/s, somebody always passing), 1 to 32 of them. Gallery: templates drawn at random, two each
person, taken in, kept, and taken up again as after a restart in a process of its own; then one
probe after the other. What is drawn costs what real ones cost; what is found is
`benchmarks/gallery.py`'s. Events: years drawn by `a_year.py`, asked through the store as
`events.py` asks, first pages. CPU times are of this process and the connection's in Postgres: they
hardly change when others use the machine.

    .venv/bin/python benchmarks/growth.py [--quick] [--plots DIR] [--only cameras|gallery|events]

Prints JSON lines, a table for each of the three, and draws three SVGs into DIR (needs matplotlib).
Ten million events are `events.py`'s: half an hour and 25 GB.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
from events import Ask, Base, Clock, one_through_store, opened, questions, spent_on, through_store

from facewatch.app.capacity import filmed, open_trial, wanted_of
from facewatch.app.machine import Machine, resident_mib
from facewatch.cli.output import table
from facewatch.domain.ids import OrgId
from facewatch.domain.people import GalleryChange
from facewatch.gallery.live import LiveGallery
from facewatch.settings import Settings
from facewatch.store.embedded import embedded_postgres

_ROOT = Path(__file__).parent.parent
_DIMENSIONS = 128
_CHUNK = 50_000
_ORG, _LINEAGE = OrgId(UUID(int=1)), UUID(int=2)
_ASKED = ("a week", "common name", "camera", "location")
Line = dict[str, Any]


# Cameras ----------------------------------------------------------------------------------------


async def cameras(numbers: Sequence[int], seconds: float) -> AsyncIterator[Line]:
    settings = Settings.model_validate({"home": str(_ROOT / ".home")})
    wanted = wanted_of(settings, 1280, 720, 15, None, max(numbers))
    material = await asyncio.to_thread(filmed, settings, wanted, lambda _what, _share: None)
    async with open_trial(settings, wanted, material, asyncio.Event()) as trial:
        for number in numbers:
            await trial.watch(number)
            step = await trial.measure(seconds)
            asked = number * wanted.looks_per_s
            yield {
                **{"benchmark": "growth", "of": "cameras", "cores": wanted.cores},
                **{k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(step).items()},
                "looks_share": round(step.looks_per_s / asked, 3),
                "cpu_ms_per_look": round(1e3 * step.cpu_cores / max(step.looks_per_s, 1e-9), 1),
            }


# Gallery ----------------------------------------------------------------------------------------


def drawn(templates: int) -> Iterator[GalleryChange]:
    """So many, two a person, in chunks; each chunk the same whoever asks."""
    for start in range(0, templates, _CHUNK):
        count = min(_CHUNK, templates - start)
        random = np.random.default_rng(start)
        people = np.repeat(random.normal(size=(-(-count // 2), _DIMENSIONS)), 2, axis=0)[:count]
        looks = people + 0.6 * random.normal(size=people.shape)
        looks /= np.linalg.norm(looks, axis=1, keepdims=True)
        numbers = range(start, start + count)
        yield GalleryChange(
            np.array([UUID(int=1 + n).bytes for n in numbers], "S16"),
            np.array([UUID(int=1 + n // 2).bytes for n in numbers], "S16"),
            looks.astype(np.float32),
            np.array([], "S16"),
        )


def make_gallery(folder: Path, templates: int) -> float:
    """Seconds to take them in and to keep them."""
    began = time.perf_counter()
    gallery = LiveGallery(_DIMENSIONS, "drawn", folder)
    draft = gallery.draft(_ORG)
    for change in drawn(templates):
        draft.take(change)
    draft.publish(1, ())
    gallery.keep(_ORG, _LINEAGE, lambda _revision: ())()
    return time.perf_counter() - began


def ask_gallery(folder: Path, templates: int, probes: int) -> Line:
    """As after a restart: taken up, then asked."""
    looked_for = next(drawn(templates)).templates[:probes]
    before, began = resident_mib(), time.perf_counter()
    gallery = LiveGallery(_DIMENSIONS, "drawn", folder)
    if not gallery.taken_up(_ORG, _LINEAGE, 1):
        sys.exit("the gallery was not kept")
    ready_s, took, cpu = time.perf_counter() - began, [], []
    for probe in np.concatenate([looked_for[:5], looked_for]):
        cpu_began, began = time.process_time(), time.perf_counter()
        gallery.resembling(_ORG, probe[None], 5)
        took.append(1e3 * (time.perf_counter() - began))
        cpu.append(1e3 * (time.process_time() - cpu_began))
    return {
        **{"benchmark": "growth", "of": "gallery", "templates": templates},
        "ready_s": round(ready_s, 3),
        "memory_mib": round(resident_mib() - before),
        "p50_ms": round(statistics.median(took[5:]), 3),
        "p95_ms": round(float(np.percentile(took[5:], 95)), 3),
        "cpu_ms": round(statistics.mean(cpu[5:]), 3),
    }


def galleries(sizes: Sequence[int], probes: int) -> Iterator[Line]:
    for templates in sizes:
        with tempfile.TemporaryDirectory(prefix="facewatch-growth-") as folder:
            made_s = make_gallery(Path(folder), templates)
            asked = subprocess.run(
                [sys.executable, __file__, "--ask", folder, str(templates), str(probes)],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "PYTHONPATH": str(_ROOT)},
            )
            yield {**json.loads(asked.stdout), "made_s": round(made_s, 2)}


# Events -----------------------------------------------------------------------------------------


async def events(sizes: Sequence[int], calls: int) -> AsyncIterator[Line]:
    until = datetime.now(UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory(prefix="facewatch-growth-") as folder:
        os.chmod(folder, 0o755)  # Postgres may have to run as another user
        async with embedded_postgres(Path(folder)) as dsn:
            for size in sizes:
                async with year(dsn, size, until) as base:
                    for name, ask in (await asks(base, until)).items():
                        yield {
                            **{"benchmark": "growth", "of": "events", "events": size},
                            "question": name,
                            **await timed(ask, calls, spent_on(base)),
                        }


@asynccontextmanager
async def year(dsn: str, size: int, until: datetime) -> AsyncIterator[Base]:
    """Gone when it was asked: one at a time is on the disk."""
    name = f"of_{size}"
    async with opened(dsn, name, size, until) as base:
        yield base
    server = await asyncpg.connect(dsn)
    try:
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await server.close()


async def asks(base: Base, until: datetime) -> dict[str, Ask]:
    sql = await asyncpg.connect(base.dsn)
    try:
        found = {it.name: it for it in await questions(sql, until)}
    finally:
        await sql.close()
    lists = {name: through_store(base, found[name], deep=False) for name in _ASKED}
    return {"getFaceEvent": one_through_store(base), **lists}


async def timed(ask: Ask, calls: int, cpu: Clock) -> Line:
    took, spent = [], []
    for n in range(calls + 10):
        cpu_began, began = cpu(), time.perf_counter()
        await ask(n)
        took.append(1e3 * (time.perf_counter() - began))
        spent.append(1e3 * (cpu() - cpu_began))
    return {
        "p50_ms": round(statistics.median(took[10:]), 2),
        "p95_ms": round(float(np.percentile(took[10:], 95)), 2),
        "cpu_ms": round(statistics.median(spent[10:]), 2),
    }


# Tables and plots -------------------------------------------------------------------------------

_COLUMNS = {
    "cameras": (
        *("cameras", "looks_per_s", "looks_share", "cpu_cores", "decoding_cores", "engine"),
        *("cpu_ms_per_look", "event_after_s", "memory_mib"),
    ),
    "gallery": ("templates", "cpu_ms", "p50_ms", "p95_ms", "ready_s", "made_s", "memory_mib"),
    "events": ("events", "question", "cpu_ms", "p50_ms", "p95_ms"),
}


def draw(of: str, lines: Sequence[Line], folder: Path) -> None:
    """One SVG of *lines*."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for label, xs, ys in _curves(of, lines):
        axes.plot(xs, ys, "o-", label=label, markersize=4)
    if of == "cameras":
        axes.set_xlabel("cameras")
        axes.set_xscale("log", base=2)
    else:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel({"gallery": "templates", "events": "events"}[of])
    axes.set_ylabel({"cameras": "share", "gallery": "ms, s", "events": "CPU ms a call"}[of])
    axes.grid(color="#eeeeee")
    axes.legend(frameon=False, fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"growth-{of}.svg", metadata={"Date": None})


def _curves(of: str, lines: Sequence[Line]) -> Iterator[tuple[str, list[float], list[float]]]:
    if of == "events":
        for name in dict.fromkeys(it["question"] for it in lines):
            mine = [it for it in lines if it["question"] == name]
            yield name, [it["events"] for it in mine], [it["cpu_ms"] for it in mine]
        return
    x = [it["cameras" if of == "cameras" else "templates"] for it in lines]
    if of == "gallery":
        yield "CPU ms a probe", x, [it["cpu_ms"] for it in lines]
        yield "ready after a restart, s", x, [it["ready_s"] for it in lines]
        return
    cores = lines[0]["cores"]
    yield "looks that they get", x, [it["looks_share"] for it in lines]
    yield f"processor (of {cores} cores)", x, [it["cpu_cores"] / cores for it in lines]
    yield "decoding alone", x, [it["decoding_cores"] / cores for it in lines]
    yield "engine's thread", x, [it["engine"] for it in lines]


async def measure(only: str | None, quick: bool, plots: Path | None) -> None:
    few, s = ([1, 4], 4.0) if quick else ([1, 2, 4, 8, 16, 32], 12.0)
    small = [1_000, 10_000, 50_000] if quick else [1_000, 10_000, 50_000, 100_000, 1_000_000]
    years, calls = ([10_000, 20_000], 15) if quick else ([10_000, 100_000, 1_000_000], 60)
    found: dict[str, list[Line]] = {"gallery": [], "events": [], "cameras": []}
    print(json.dumps({"benchmark": "growth", "machine": Machine.here().shown()}), flush=True)

    def note(line: Line) -> None:
        found[line["of"]].append(line)
        print(json.dumps(line), flush=True)

    if only in (None, "gallery"):
        for line in galleries(small, 50 if quick else 300):
            note(line)
    if only in (None, "events"):
        async for line in events(years, calls):
            note(line)
    if only in (None, "cameras"):
        async for line in cameras(few, s):
            note(line)
    for of, lines in found.items():
        if lines:
            print()
            table(_COLUMNS[of], [[line[it] for it in _COLUMNS[of]] for line in lines])
            if plots:
                draw(of, lines, plots)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, few of them")
    parser.add_argument("--plots", type=Path, help="a folder to draw into")
    parser.add_argument("--only", choices=list(_COLUMNS))
    parser.add_argument("--ask", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        folder, templates, probes = given.ask
        print(json.dumps(ask_gallery(Path(folder), int(templates), int(probes))))
        return
    asyncio.run(measure(given.only, given.quick, given.plots))


if __name__ == "__main__":
    main()
