"""Every benchmark of this folder in turn, their figures in one file, and a table at the end.

A script that takes ``--quick`` is a benchmark; a new one needs no entry anywhere. Its standard
output is JSON lines, then a table. One that says ``{"skipped": "why"}`` was not run. Nothing else
should use the machine meanwhile.

    .venv/bin/python benchmarks/run.py [--quick] [NAME ...]

With --quick all of them take less than 15 minutes; one that takes longer than its share is ended
and counts as failed. Ctrl-C ends the one that runs, and shows what there is.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from facewatch.app.machine import Machine
from facewatch.cli.output import table

_HERE = Path(__file__).parent
_QUICK_S = 15 * 60.0
_ONE_QUICK_S = 150.0
_ENDING_S = 30.0
"""A script may take so long to stop its servers and delete its folders."""
_WIDEST = 90


@dataclass
class Run:
    """One script, and what became of it."""

    name: str
    outcome: str = "ok"
    took_s: float = 0.0
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return not (self.outcome == "ok" or self.outcome.startswith("skipped"))

    def row(self) -> list[object]:
        last = self.lines[-1] if self.lines else {}
        figures = ", ".join(f"{key} {value}" for key, value in last.items() if _is_figure(value))
        return [self.name, self.outcome, f"{self.took_s:.0f} s", len(self.lines), figures[:_WIDEST]]


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def benchmarks(names: Sequence[str]) -> list[Path]:
    """The scripts, or those of *names*."""
    found = [
        path
        for path in sorted(_HERE.glob("*.py"))
        if path != Path(__file__) and '"--quick"' in path.read_text("utf-8")
    ]
    if unknown := set(names) - {path.stem for path in found}:
        sys.exit(f"no benchmark: {', '.join(sorted(unknown))}; there are: {_listed(found)}")
    return [path for path in found if not names or path.stem in names]


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(path.stem for path in paths)


def run(script: Path, *, quick: bool, most_s: float | None, results: TextIO) -> Run:
    """Run *script*; its output is shown, and its figures go to *results* as they come."""
    done, began = Run(script.stem), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(script), *(["--quick"] if quick else [])],
        stdout=subprocess.PIPE,
        text=True,
        cwd=_HERE.parent,
        env={**os.environ, "PYTHONPATH": str(_HERE.parent)},
        start_new_session=True,
    )
    late = threading.Event()
    clock = threading.Timer(most_s or threading.TIMEOUT_MAX, _end, (process, late))
    clock.daemon = True
    clock.start()
    try:
        assert process.stdout is not None
        for text in process.stdout:
            print(text, end="", flush=True)
            if (line := _figures(text)) is not None:
                done.lines.append(line)
                results.write(json.dumps({"script": done.name, **line}) + "\n")
                results.flush()
        status = process.wait()
        done.outcome = "ok" if status == 0 else f"failed with status {status}"
        if late.is_set():
            done.outcome = f"ended after {most_s:.0f} s"
        elif done.lines and (why := done.lines[-1].get("skipped")):
            done.outcome = f"skipped: {why}"
    except KeyboardInterrupt:
        done.outcome = "interrupted"
    finally:
        clock.cancel()
        if process.poll() is None:
            _end(process, late)
        done.took_s = time.monotonic() - began
    return done


def _figures(text: str) -> dict[str, Any] | None:
    """The JSON object that *text* is, if it is one."""
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _end(process: "subprocess.Popen[str]", late: threading.Event) -> None:
    """Ask *process* to end as Ctrl-C does; kill it and its children if it does not."""
    late.set()
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_ENDING_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def run_all(scripts: Sequence[Path], *, quick: bool, into: Path) -> list[Run]:
    """Run *scripts* in turn; an interrupted one is the last."""
    runs: list[Run] = []
    began = time.monotonic()
    with into.open("w", encoding="utf-8") as results:
        start = {"machine": Machine.here().shown(), "quick": quick, "at": _now()}
        results.write(json.dumps(start) + "\n")
        for script in scripts:
            left = _QUICK_S - (time.monotonic() - began)
            if quick and left <= 0:
                runs.append(Run(script.stem, "no time left"))
                continue
            print(f"\n== {script.stem}", flush=True)
            most_s = min(_ONE_QUICK_S, left) if quick else None
            runs.append(run(script, quick=quick, most_s=most_s, results=results))
            if runs[-1].outcome == "interrupted":
                break
    return runs


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--quick", action="store_true", help="at reduced sizes")
    home = Path(os.environ.get("FACEWATCH_HOME") or _HERE.parent / ".home")
    parser.add_argument("--results", type=Path, default=home / "benchmarks" / "results")
    given = parser.parse_args()
    scripts = benchmarks(given.names)
    given.results.mkdir(parents=True, exist_ok=True)
    into = given.results / f"{_now()}.jsonl"
    runs = run_all(scripts, quick=given.quick, into=into)
    print()
    table(["benchmark", "outcome", "took", "lines", "last figures"], [it.row() for it in runs])
    print(f"{sum(it.took_s for it in runs) / 60:.1f} minutes; every figure: {into}")
    if any(it.outcome == "interrupted" for it in runs):
        sys.exit(130)
    sys.exit(any(it.failed for it in runs))


if __name__ == "__main__":
    main()
