"""What work took: processor time of processes and threads, bytes to the disk."""

import contextlib
import json
import os
import resource
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_TICKS_A_S = os.sysconf("SC_CLK_TCK")


def process_cpu_s(pid: int) -> float:
    """Of a process and the children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_A_S


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("PPid:")[2].split()[0])


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def family_cpu_s(pid: int) -> float:
    total = 0.0
    for each in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += process_cpu_s(each)
    return total


def own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def threads_cpu_s() -> dict[str, float]:
    """By kind of thread: the loop, the spool's, those that write files."""
    found: dict[str, float] = {}
    for thread in threading.enumerate():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
            ticks = sum(map(int, text.rpartition(")")[2].split()[11:13]))
            kind = thread.name.split("_")[0]
            found[kind] = found.get(kind, 0.0) + ticks / _TICKS_A_S
    return found


def written_bytes() -> int:
    """What this process sent towards the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def say(kind: str, **found: Any) -> dict[str, Any]:
    """A line of JSON on stdout, floats at three digits."""
    line = {"measured": kind} | {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in found.items()
    }
    print(json.dumps(line), flush=True)
    return line
