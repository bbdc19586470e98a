"""Every benchmark of this folder in turn, their figures in files, and what was reached at the end.

A script that takes ``--quick`` is a benchmark; a new one needs no entry anywhere. Its standard
output is JSON lines, then a table. One that says ``{"skipped": "why"}`` was not run. Nothing else
should use the machine meanwhile.

    .venv/bin/python benchmarks/run.py [--quick] [--again] [NAME ...]

With --quick all of them take less than 15 minutes. At full size what ran to its end on this machine
before is not run again, unless it is named or --again is given: a run that was broken off goes on.
One that takes several times as long as it should (`plan.py`) is ended; whatever becomes of one, the
others are run. Ctrl-C ends the one that runs, and shows what there is.

Written below FACEWATCH_HOME (`.home`), in benchmarks/quick or benchmarks/full: NAME.jsonl, a file a
script; goals.jsonl, a line a goal; summary.md, the tables of the end. The status is 0 if nothing
failed, whatever was reached.
"""

import argparse
import json
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from goals import judged, verdict
from kept import Line, finished, head, results, tail
from plan import QUICK_S, plan_of
from running import Run, run

from facewatch.app.machine import Machine
from facewatch.cli.output import table

_HERE = Path(__file__).parent
_GB = 1e9
_TAKES_QUICK = re.compile(r'add_argument\(\s*"--quick"')
_RUNS = ["benchmark", "outcome", "minutes", "lines"]


def benchmarks(names: Sequence[str]) -> list[Path]:
    """The scripts, or those of *names*."""
    found = [
        path
        for path in sorted(_HERE.glob("*.py"))
        if path != Path(__file__) and _TAKES_QUICK.search(path.read_text("utf-8"))
    ]
    if unknown := set(names) - {path.stem for path in found}:
        sys.exit(f"no benchmark: {', '.join(sorted(unknown))}; there are: {_listed(found)}")
    return [path for path in found if not names or path.stem in names]


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(path.stem for path in paths)


def run_all(scripts: Sequence[Path], *, quick: bool, into: Path) -> list[Run]:
    """Run *scripts* in turn; an interrupted one is the last."""
    runs: list[Run] = []
    began = time.monotonic()
    for number, script in enumerate(scripts, 1):
        gone = time.monotonic() - began
        rest = sum(plan_of(it.stem).usual_s(quick) for it in scripts[number - 1 :])
        print(
            f"\n== {number} of {len(scripts)}: {script.stem}"
            f" ({_minutes(gone)} gone, about {_minutes(rest)} to go)",
            flush=True,
        )
        runs.append(_run_one(script, quick, QUICK_S - gone if quick else None, into))
        print(f"== {script.stem}: {runs[-1].outcome}, {runs[-1].took_s:.0f} s", flush=True)
        if runs[-1].outcome == "interrupted":
            break
    return runs


def _run_one(script: Path, quick: bool, left_s: float | None, into: Path) -> Run:
    plan = plan_of(script.stem)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if left_s is not None and left_s <= 0:
        return Run(script.stem, "no time left")
    if not quick and free < plan.disk_gb * _GB:
        room = f"{plan.disk_gb:g} GB of {tempfile.gettempdir()}, {free / _GB:.0f} are free"
        return Run(script.stem, f"no room: it needs {room}")
    most_s = plan.most_s(quick) if left_s is None else min(plan.most_s(quick), left_s)
    with (into / f"{script.stem}.jsonl").open("w", encoding="utf-8") as lines:
        lines.write(json.dumps(head(script.stem)) + "\n")
        done = run(script, quick=quick, most_s=most_s, results=lines)
        lines.write(json.dumps(tail(done.outcome, done.took_s)) + "\n")
    return done


def _minutes(seconds: float) -> str:
    """
    >>> _minutes(125.4)
    '2:05'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def before(scripts: Sequence[Path], folder: Path) -> dict[str, Run]:
    """Those that ran to their end."""
    found = {it.stem: finished(folder, it.stem) for it in scripts}
    return {
        name: Run(name, f"ok, on {it[0]['at']}, {it[0]['commit']}", it[2]["took_s"], it[1])
        for name, it in found.items()
        if it
    }


def told(goals: Sequence[Line], runs: Sequence[Run], quick: bool) -> list[Line]:
    """*goals*, and of a run of everything at reduced sizes how long it took."""
    if not quick or len(runs) < len(benchmarks([])):
        return list(goals)
    minutes = round(sum(it.took_s for it in runs) / 60, 1)
    late = minutes > QUICK_S / 60 or any(it.failed for it in runs)
    whole = {"goal": "make bench, minutes", "benchmark": "run", "measured": minutes}
    return [*goals, whole | {"bar": "<= 15", "at": "", "verdict": verdict(not late)}]


def sum_up(runs: Sequence[Run], goals: Sequence[Line], into: Path, quick: bool) -> None:
    """What became of each, and of each goal: as lines, as tables, and in files."""
    done = [[it.name, it.outcome, _minutes(it.took_s), len(it.lines)] for it in runs]
    rows = [list(it.values()) for it in goals]
    for it in goals:
        print(json.dumps(it))
    for columns, shown in ((_RUNS, done), (list(goals[0]), rows)):
        print()
        table(columns, shown)
    here = Machine.here()
    machine = f"{here.cores} cores, {here.processor}, {here.memory_gib} GiB, {here.system}"
    tables = [_markdown(_RUNS, done), _markdown(list(goals[0]), rows)]
    text = "\n".join([f"{'Reduced' if quick else 'Full'} sizes. {machine}.\n", *tables])
    (into / "summary.md").write_text(text, "utf-8")
    (into / "goals.jsonl").write_text("".join(json.dumps(it) + "\n" for it in goals), "utf-8")


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    cells = [["" if it is None else str(it).replace("|", "\\|") for it in row] for row in lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--quick", action="store_true", help="at reduced sizes")
    parser.add_argument("--again", action="store_true", help="also what was run before")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    scripts, into = benchmarks(given.names), results(given.quick)
    into.mkdir(parents=True, exist_ok=True)
    had = {} if given.quick or given.again or given.names else before(scripts, into)
    if had:
        print(f"run before, and not again without --again: {', '.join(had)}")
    new = run_all([it for it in scripts if it.stem not in had], quick=given.quick, into=into)
    runs = sorted([*had.values(), *new], key=lambda it: it.name)
    figures = {it.name: it.lines for it in runs if not it.failed}
    sum_up(runs, told(judged(figures, given.quick), runs, given.quick), into, given.quick)
    print(f"{_minutes(sum(it.took_s for it in new))} minutes; every figure: {into}")
    for it in runs:
        if it.failed:
            print(f"{it.name}: {it.outcome}", file=sys.stderr)
    if any(it.outcome == "interrupted" for it in runs):
        sys.exit(130)
    sys.exit(any(it.failed for it in runs))


if __name__ == "__main__":
    main()
