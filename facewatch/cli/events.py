"""Finished events as JSON lines or a table, in order of their beginning."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from facewatch.cli.output import table
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import CameraId, EventId, PersonId, to_ruuid
from facewatch.pipeline.visit import Visit

Line = dict[str, Any]

_REMEMBERED = 10_000


class FinishedEvents:
    """Holds a finished event back while one that began earlier goes on.

    Attributes:
        lines: The newest of those that were said.
    """

    def __init__(
        self,
        names: Mapping[PersonId, str | None],
        cameras: Mapping[CameraId, str],
        say: Callable[[Line], None],
    ) -> None:
        self._names = names
        self._cameras = cameras
        self._say = say
        self._open: dict[EventId, float] = {}
        self._finished: list[tuple[float, Line]] = []
        self.lines: deque[Line] = deque(maxlen=_REMEMBERED)

    def written(self, visit: Visit, record: EventRecord) -> None:
        """A version is durable; see `app.Written`."""
        if not record.closed:
            self._open[record.id] = record.first_seen.timestamp()
            return
        self._open.pop(record.id, None)
        began = record.first_seen.timestamp()
        self._finished.append((began, describe(visit, record, self._names, self._cameras)))
        self._release(min(self._open.values(), default=float("inf")))

    def name(self, person: PersonId | None) -> str | None:
        return self._names.get(person) if person else None

    def camera(self, camera: CameraId) -> str:
        return self._cameras.get(camera, to_ruuid(camera))

    def end(self) -> None:
        """Nothing more will come: say what is still held back."""
        self._open.clear()
        self._release(float("inf"))

    def _release(self, before: float) -> None:
        self._finished.sort(key=lambda it: it[0])
        while self._finished and self._finished[0][0] <= before:
            _, line = self._finished.pop(0)
            self.lines.append(line)
            self._say(line)


def describe(
    visit: Visit,
    record: EventRecord,
    names: Mapping[PersonId, str | None],
    cameras: Mapping[CameraId, str],
) -> Line:
    """One event as `replay --json` prints it; seconds are the video's own, boxes pixels."""
    decision, best = record.decision, visit.best.look
    person = decision.person if decision else None
    return {
        "event": to_ruuid(record.id),
        "camera": cameras.get(record.camera, to_ruuid(record.camera)),
        "first_seen": record.first_seen.isoformat(timespec="milliseconds"),
        "first_seen_s": round(visit.first_seen_s, 3),
        "last_seen_s": round(visit.last_seen_s, 3),
        "best_s": round(best.t_s, 3),
        "box": list(best.box.rounded()),
        "frames": record.looks,
        "tracks": record.tracks,
        "person": names.get(person) if person else None,
        "confidence": _rounded(decision.confidence if decision else None),
        "candidates": [
            {
                "name": names.get(it.person),
                "confidence": _rounded(it.confidence),
                "similarity": _rounded(it.similarity),
            }
            for it in (decision.candidates if decision else ())
        ],
        "quality": _rounded(best.quality.overall),
        "why_unknown": (decision.reason if decision else "no look was fit to be compared") or None,
        "time_source": record.time_source,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def show(lines: Iterable[Line]) -> None:
    """The table of events that people read."""
    table(
        ["camera", "from s", "to s", "who", "confidence", "frames", "quality", "event"],
        [
            [
                it["camera"],
                f"{it['first_seen_s']:.1f}",
                f"{it['last_seen_s']:.1f}",
                it["person"] or "unknown",
                "" if it["person"] is None else f"{it['confidence']:.2f}",
                it["frames"],
                f"{it['quality']:.2f}",
                it["event"],
            ]
            for it in lines
        ],
    )
