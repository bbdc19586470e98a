"""How cost grows: with cameras, with the gallery, with the events that there are.

Cameras: a service and made-up cameras as `facewatch bench` has them (1280 x 720, 15 frames/s, 5
looks/s, somebody always passing), 1 to 32 of them. Gallery: what `gallery.py` measures, from 1,000
templates to a million. Events: years drawn by `a_year.py`, from ten thousand to ten million, asked
through the store as `events.py` asks, first pages. CPU times are of this process and the
connection's in Postgres: they hardly change when others use the machine.

    .venv/bin/python benchmarks/growth.py [--quick] [--plots DIR] [--only cameras|gallery|events]

What `run.py` kept of `gallery.py` and `events.py`, measured on this machine at these sizes, is
taken from there: ten million events are half an hour and 25 GB. Prints JSON lines, a table for each
of the three, and draws three SVGs into DIR, by default docs/plots, with --quick beside what
`run.py` keeps (needs matplotlib).
"""

import argparse
import asyncio
import importlib.util
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import gallery
import numpy as np
from asked_of_events import (
    FEW,
    Ask,
    Base,
    Clock,
    one_through_store,
    opened,
    questions,
    spent_on,
    through_store,
)
from kept import figures, results

from facewatch.app.capacity import filmed, open_trial, wanted_of
from facewatch.app.machine import Machine
from facewatch.cli.output import table
from facewatch.settings import Settings
from facewatch.store.embedded import embedded_postgres

_ROOT = Path(__file__).parent.parent
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


async def galleries(sizes: Sequence[int], kept: Path) -> AsyncIterator[Line]:
    had = {it["templates"]: it for it in figures(kept, "gallery") if "templates" in it}
    for templates in sizes:
        if (found := had.get(templates)) is None:
            with tempfile.TemporaryDirectory(prefix="facewatch-growth-") as folder:
                os.chmod(folder, 0o755)  # Postgres may have to run as another user
                found = await gallery.measure(Path(folder), templates)
        shown = {it: found[it] for it in _COLUMNS["gallery"]}
        yield {"benchmark": "growth", "of": "gallery", **shown}


# Events -----------------------------------------------------------------------------------------


async def events(sizes: Sequence[int], calls: int, kept: Path) -> AsyncIterator[Line]:
    had = kept_events(figures(kept, "events"))
    for line in had:
        if line["events"] in sizes:
            yield line
    sizes = sorted(set(sizes) - {it["events"] for it in had})
    until = datetime.now(UTC).replace(microsecond=0)
    with tempfile.TemporaryDirectory(prefix="facewatch-growth-") as folder:
        os.chmod(folder, 0o755)  # Postgres may have to run as another user
        async with embedded_postgres(Path(folder)) as dsn:
            for size in sizes:
                async with year(dsn, size, until) as base:
                    for name, ask in (await asks(base, until)).items():
                        yield _of_events(size, name, await timed(ask, calls, spent_on(base)))


def kept_events(lines: Sequence[Line]) -> list[Line]:
    """What `events.py` measured of the same questions."""
    found = []
    many = max((it["events"] for it in lines if "filled_s" in it), default=FEW)
    for line in lines:
        first = line.get("through") == "store" and line["page"] in ([], [1, 1])
        if first and line["question"] in ("getFaceEvent", *_ASKED):
            for size, which in ((FEW, "few"), (many, "many")):
                times = {it: line[f"{which}_{it}"] for it in ("p50_ms", "p95_ms")}
                times["cpu_ms"] = line[f"{which}_p50_cpu_ms"]
                found.append(_of_events(size, line["question"], times))
    return found


def _of_events(size: int, question: str, times: Line) -> Line:
    return {"benchmark": "growth", "of": "events", "events": size, "question": question, **times}


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
    "gallery": ("templates", "search_ms", "ready_s", "mib", "peak_mib", "recall_1"),
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
    axes.set_ylabel({"cameras": "share", "gallery": "ms, s, MiB", "events": "CPU ms a call"}[of])
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
        yield "a probe, ms", x, [it["search_ms"] for it in lines]
        yield "ready after a restart, s", x, [it["ready_s"] for it in lines]
        yield "memory, MiB", x, [it["mib"] for it in lines]
        return
    cores = lines[0]["cores"]
    yield "looks that they get", x, [it["looks_share"] for it in lines]
    yield f"processor (of {cores} cores)", x, [it["cpu_cores"] / cores for it in lines]
    yield "decoding alone", x, [it["decoding_cores"] / cores for it in lines]
    yield "engine's thread", x, [it["engine"] for it in lines]


async def measure(only: str | None, quick: bool, plots: Path) -> None:
    few, s = ([1, 4], 4.0) if quick else ([1, 2, 4, 8, 16, 32], 12.0)
    small = [10_000, 60_000] if quick else [1_000, 10_000, 100_000, 1_000_000]
    years = [FEW, 100_000] if quick else [FEW, 100_000, 1_000_000, 10_000_000]
    kept, found = results(quick), dict[str, list[Line]]()
    print(json.dumps({"benchmark": "growth", "machine": Machine.here().shown()}), flush=True)
    parts = {
        "gallery": galleries(small, kept),
        "events": events(years, 15 if quick else 60, kept),
        "cameras": cameras(few, s),
    }
    for of, part in parts.items():
        if only in (None, of):
            found[of] = []
            async for line in part:
                found[of].append(line)
                print(json.dumps(line), flush=True)
    for of, lines in found.items():
        print()
        lines.sort(key=lambda it: it[_COLUMNS[it["of"]][0]])
        table(_COLUMNS[of], [[line[it] for it in _COLUMNS[of]] for line in lines])
        if importlib.util.find_spec("matplotlib"):
            draw(of, lines, plots)
    if importlib.util.find_spec("matplotlib"):
        print(f"drawn in {plots}")
    else:
        print("not drawn: matplotlib is not here (pip install matplotlib)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, few of them")
    parser.add_argument("--plots", type=Path, help="a folder to draw into")
    parser.add_argument("--only", choices=list(_COLUMNS))
    given = parser.parse_args()
    usual = results(True) / "plots" if given.quick else _ROOT / "docs" / "plots"
    asyncio.run(measure(given.only, given.quick, given.plots or usual))


if __name__ == "__main__":
    main()
