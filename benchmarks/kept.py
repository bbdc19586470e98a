"""Where the figures of `run.py` lie: a file a script, at reduced and at full sizes.

line 1   script, machine, commit, when it began, load of the machine just before
...      what the script printed
last     outcome, seconds
"""

import json
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from facewatch.app.machine import Machine

_ROOT = Path(__file__).parent.parent
Line = dict[str, Any]


def results(quick: bool) -> Path:
    """The folder: in FACEWATCH_HOME, or `.home` beside the scripts."""
    home = Path(os.environ.get("FACEWATCH_HOME") or _ROOT / ".home")
    return home / "benchmarks" / ("quick" if quick else "full")


def head(script: str) -> Line:
    return {
        "script": script,
        "machine": Machine.here().shown(),
        "commit": _commit(),
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "load": round(os.getloadavg()[0], 1),
    }


def tail(outcome: str, took_s: float) -> Line:
    return {"outcome": outcome, "took_s": round(took_s, 1)}


def finished(folder: Path, script: str) -> tuple[Line, list[Line], Line] | None:
    """Head, figures and tail, if it ran to its end on this machine."""
    try:
        text = (folder / f"{script}.jsonl").read_text("utf-8")
    except FileNotFoundError:
        return None
    first, *said = map(json.loads, text.splitlines())
    if not said or said[-1].get("outcome") != "ok" or first["machine"] != Machine.here().shown():
        return None
    return first, said[:-1], said[-1]


def figures(folder: Path, script: str) -> Sequence[Line]:
    """What it measured, if it ran to its end on this machine; else nothing."""
    found = finished(folder, script)
    return found[1] if found else []


def _commit() -> str:
    """Of the code; empty where it is no checkout."""
    asked = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(asked, cwd=_ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
