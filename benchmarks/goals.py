"""What facewatch is meant to reach, and whether the figures of a run say that it does."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Line = dict[str, Any]
Found = tuple[float, str] | None
"""A figure and what it was measured at; None where nobody measured it."""


@dataclass(frozen=True)
class Goal:
    """One bar.

    Attributes:
        script: The benchmark whose lines tell.
        at_most: Whether less is better.
        full: Only full sizes say whether it is reached.
    """

    what: str
    script: str
    bar: float
    find: Callable[[Sequence[Line]], Found]
    at_most: bool = True
    full: bool = False

    def told(self, lines: Sequence[Line] | None, quick: bool) -> Line:
        """The goal with what *lines* of its script say; None if it did not run to its end."""
        found = self.find(lines) if lines is not None else None
        value, at = found or (None, "")
        met = value is not None and (value <= self.bar if self.at_most else value >= self.bar)
        return {
            "goal": self.what,
            "benchmark": self.script,
            "measured": value,
            "bar": f"{'<=' if self.at_most else '>='} {self.bar:g}",
            "at": at,
            "verdict": self._verdict(value, met, quick),
        }

    def _verdict(self, value: float | None, met: bool, quick: bool) -> str:
        if value is None:
            return "not run"
        if self.full and quick:
            return "full size tells"
        return verdict(met)


def verdict(met: bool) -> str:
    return "reached" if met else "NOT REACHED"


def _last(key: str, **where: Any) -> Callable[[Sequence[Line]], Found]:
    """*key* of the last line that has it, and has what *where* says."""

    def find(lines: Sequence[Line]) -> Found:
        for line in reversed(lines):
            if isinstance(line.get(key), int | float) and where.items() <= line.items():
                return line[key], _size(line)
        return None

    return find


def _most(of: str, size: str) -> Callable[[Sequence[Line]], Found]:
    """The largest *size* at which the growth *of* something was measured."""

    def find(lines: Sequence[Line]) -> Found:
        sizes = [line[size] for line in lines if line.get("of") == of]
        return (max(sizes), f"{len(set(sizes))} sizes") if sizes else None

    return find


def _stored(lines: Sequence[Line]) -> Found:
    for line in lines:
        if line.get("measured") == "sustained":
            at = f"{line['offered_per_s']:.1f}/s offered, {line['refused']} refused"
            return round(line["stored_per_s"], 1), at
    return None


def _lost(lines: Sequence[Line]) -> Found:
    """Over all parts that count them."""
    counted = [line for line in lines if "lost" in line]
    if not counted:
        return None
    at = f"{sum(it['acknowledged'] for it in counted)} acknowledged"
    return sum(it["lost"] + it["torn"] for it in counted), at


def _size(line: Line) -> str:
    for key in ("templates", "cameras"):
        if key in line:
            return f"{line[key]:,} {key}"
    return ""


_B_PICTURES = "720p, B-pictures, 1/5"
_SUB_STREAM = "1080p, P only, sub-stream 640 x 360, 1/5"

GOALS = [
    Goal("whole pipeline's CPU / decode + models", "pipeline", 1.10, _last("ratio")),
    Goal("throughput / the user's loop, by CPU", "pipeline", 3, _last("times_loop"), at_most=False),
    Goal(
        "visits found / the user's loop's", "pipeline", 0.98, _last("of_its_visits"), at_most=False
    ),
    Goal(
        "decode CPU at 1/5 of the rate, B-pictures", "decode", 0.4, _last("ratio", case=_B_PICTURES)
    ),
    Goal(
        "decode CPU at 1/5 of the rate, sub-stream", "decode", 0.3, _last("ratio", case=_SUB_STREAM)
    ),
    Goal(
        "half load: capture to API p95, s",
        "latency",
        1,
        _last("shown_p95_s", load="half"),
        full=True,
    ),
    Goal(
        "twice the load: capture to API p95, s",
        "latency",
        2,
        _last("shown_p95_s", load="twice"),
        full=True,
    ),
    Goal(
        "twice the load: most / least looks of a camera",
        "latency",
        1.5,
        _last("most_by_least", load="twice"),
        full=True,
    ),
    Goal(
        "twice the load: memory, last third / the one before",
        "latency",
        1.05,
        _last("memory_growth", load="twice"),
        full=True,
    ),
    Goal("gallery: ready after a restart, s", "gallery", 60, _last("ready_s"), full=True),
    Goal("gallery: process at its peak, MiB", "gallery", 1228.8, _last("peak_mib"), full=True),
    Goal("the same at a first start", "gallery", 1228.8, _last("first_peak_mib"), full=True),
    Goal(
        "gallery: nearest as exact", "gallery", 0.999, _last("recall_1"), at_most=False, full=True
    ),
    Goal("events stored/s of 500", "writing", 495, _stored, at_most=False, full=True),
    Goal("an event is durable, p95 ms", "writing", 100, _last("durable_p95_ms")),
    Goal("events lost or torn by kill -9", "writing", 0, _lost),
    Goal(
        "cost grows: cameras", "growth", 32, _most("cameras", "cameras"), at_most=False, full=True
    ),
    Goal(
        "cost grows: templates",
        "growth",
        1e6,
        _most("gallery", "templates"),
        at_most=False,
        full=True,
    ),
    Goal("cost grows: events", "growth", 1e7, _most("events", "events"), at_most=False, full=True),
    Goal("GPU: detector + embedder / bare kernels", "gpu", 0.8, _last("ratio"), at_most=False),
]


def judged(figures: Mapping[str, Sequence[Line]], quick: bool) -> list[Line]:
    """Each goal, by the lines of the scripts that ran to their end."""
    return [goal.told(figures.get(goal.script), quick) for goal in GOALS]
