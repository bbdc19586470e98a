"""This machine, and what runs on it uses; by /proc, where there is one."""

import contextlib
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_PROC = Path("/proc")
_HAS_PROC = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures were measured on.

    Attributes:
        cores: That this process may use.
    """

    system: str
    processor: str
    cores: int
    memory_gib: float

    @classmethod
    def here(cls) -> "Machine":
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return cls(platform.platform(), _processor(), cores(), round(memory / 2**30, 1))

    def shown(self) -> dict[str, object]:
        return asdict(self)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if _HAS_PROC else os.cpu_count() or 1


def own_cpu_s(home: Path) -> tuple[float, float]:
    """Processor seconds of this process with the Postgres that works below *home*, and of its
    other children."""
    own, others = time.process_time(), 0.0
    if _HAS_PROC:
        ticks, me = os.sysconf("SC_CLK_TCK"), os.getpid()
        for process in _PROC.glob("[0-9]*"):
            with contextlib.suppress(OSError):
                told = (process / "stat").read_text().rsplit(")", 1)[1].split()
                spent = sum(map(int, told[11:15])) / ticks
                if home in (process / "cwd").resolve().parents:
                    own += spent
                elif int(told[1]) == me:
                    others += spent
    return own, others


def machine_cpu_s() -> float | None:
    """Processor seconds of everything on this machine since it started; None if it does not say."""
    if not _HAS_PROC:
        return None
    user, nice, system, _idle, _iowait, *rest = map(
        int, (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def resident_mib() -> float:
    """Memory of this process that is in use; 0 where the system does not say."""
    if not _HAS_PROC:
        return 0.0
    pages = int((_PROC / "self" / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _processor() -> str:
    if _HAS_PROC:
        for line in (_PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
