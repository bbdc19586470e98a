"""What can be right and wrong about visits, events and names, and how often it was."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from facewatch.evaluate.truth import Sight, Span, Subject, VideoTruth

ALLOWANCE_S = 2.0
"""An event may stick out of its visit by this much on either side."""


class Found(StrEnum):
    """What became of a visit of somebody clearly recognisable."""

    ONCE = "once"
    """Exactly one event is about it."""
    SPLIT = "split"
    """Several are."""
    SWALLOWED = "swallowed"
    """None is, and an event of another visit runs through it."""
    MISSED = "missed"
    """None is."""


class Verdict(StrEnum):
    """What an event is."""

    ONLY = "only"
    """The only one of its visit."""
    PIECE = "piece"
    """One of several of its visit."""
    UNJUDGED = "unjudged"
    """Of somebody hardly recognisable or in the background: neither right nor wrong."""
    FALSE = "false"
    """Of no face."""


class Naming(StrEnum):
    """What an event said about who it is."""

    RIGHT = "right"
    WRONG = "wrong"
    """A name that is not theirs, be it only for a while."""
    WITHHELD = "withheld"
    """No name, though they are clearly recognisable, and enrolled."""
    UNCHECKED = "unchecked"
    """A name on a background face: nobody knows whose that is."""
    UNKNOWN = "unknown"
    """No name, and none was due."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as recognition told it, in the video's own seconds.

    Attributes:
        best: Where its best shot is.
        looks: Where its best looks are, which made its template.
        names: What it was called from the first to the last thing that was said of it; None is
            unknown.
    """

    span: Span
    best: Sight
    looks: tuple[Sight, ...]
    names: tuple[str | None, ...]

    @property
    def name(self) -> str | None:
        """What it is called in the end."""
        return self.names[-1] if self.names else None


@dataclass(frozen=True, slots=True)
class JudgedEvent:
    """An event, whose it is, and what is right and wrong about it.

    Attributes:
        subject: Whose label its best shot hits.
        visit: Which of the subject's visits it is about; only of somebody clearly recognisable.
    """

    seen: Seen
    subject: Subject | None
    visit: Span | None
    verdict: Verdict
    naming: Naming

    @property
    def beyond_s(self) -> float:
        """How far it sticks out of its visit, at the worse end; 0 without one."""
        if self.visit is None:
            return 0.0
        span = self.seen.span
        return max(self.visit.distance_s(span.start_s), self.visit.distance_s(span.end_s))


@dataclass(frozen=True, slots=True)
class JudgedVisit:
    """A visit of somebody clearly recognisable, and what became of it."""

    subject: Subject
    span: Span
    found: Found


@dataclass(frozen=True, slots=True)
class Tally:
    """Visits, events and names, counted.

    Attributes:
        visits: Of clearly recognisable people; once, split, swallowed and missed add up to them.
        false: Events of no face.
        beyond: Events that stick out of their visit by more than `ALLOWANCE_S`.
        unjudged: Events that are neither right nor wrong.
        right, wrong, withheld, unchecked: Names; see `Naming`.
    """

    visits: int = 0
    once: int = 0
    split: int = 0
    swallowed: int = 0
    missed: int = 0
    false: int = 0
    beyond: int = 0
    unjudged: int = 0
    right: int = 0
    wrong: int = 0
    withheld: int = 0
    unchecked: int = 0

    @classmethod
    def of(cls, visits: Iterable[JudgedVisit], events: Iterable[JudgedEvent]) -> "Tally":
        found = [it.found for it in visits]
        events = list(events)
        verdicts = [it.verdict for it in events]
        namings = [it.naming for it in events]
        return cls(
            visits=len(found),
            once=found.count(Found.ONCE),
            split=found.count(Found.SPLIT),
            swallowed=found.count(Found.SWALLOWED),
            missed=found.count(Found.MISSED),
            false=verdicts.count(Verdict.FALSE),
            beyond=sum(it.beyond_s > ALLOWANCE_S for it in events),
            unjudged=verdicts.count(Verdict.UNJUDGED),
            right=namings.count(Naming.RIGHT),
            wrong=namings.count(Naming.WRONG),
            withheld=namings.count(Naming.WITHHELD),
            unchecked=namings.count(Naming.UNCHECKED),
        )

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, it.name) + getattr(other, it.name) for it in fields(self)))

    def json(self) -> dict[str, int]:
        return {it.name: getattr(self, it.name) for it in fields(self)}


@dataclass(frozen=True, slots=True)
class Cost:
    """Embeddings that a video took, and how many it may: 2 + 0.2 a second for each visible face.

    Faces are all that were labelled, weak and background ones too; things are not.
    """

    embeddings: int = 0
    allowed: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.embeddings + other.embeddings, self.allowed + other.allowed)

    def json(self) -> dict[str, float]:
        return {"embeddings": self.embeddings, "embeddings_allowed": round(self.allowed, 1)}


@dataclass(frozen=True, slots=True)
class VideoScore:
    """One video, judged."""

    truth: VideoTruth
    visits: tuple[JudgedVisit, ...]
    events: tuple[JudgedEvent, ...]
    cost: Cost

    @property
    def tally(self) -> Tally:
        return Tally.of(self.visits, self.events)

    def tally_of(self, subject: Subject | None) -> Tally:
        """Of one subject alone; of None: the events that hit no label."""
        return Tally.of(
            (it for it in self.visits if it.subject is subject),
            (it for it in self.events if it.subject is subject),
        )

    def json(self) -> dict[str, Any]:
        return {
            "video": self.truth.file,
            **self.tally.json(),
            **self.cost.json(),
            "visits_judged": [
                {
                    "who": it.subject.called,
                    "start_s": it.span.start_s,
                    "end_s": it.span.end_s,
                    "found": it.found,
                }
                for it in self.visits
            ],
            "events": [_event_json(it) for it in self.events],
        }


def _event_json(event: JudgedEvent) -> dict[str, Any]:
    seen = event.seen
    return {
        "start_s": round(seen.span.start_s, 3),
        "end_s": round(seen.span.end_s, 3),
        "best_s": round(seen.best.t_s, 3),
        "box": list(seen.best.box.rounded()),
        "who": event.subject.called if event.subject else None,
        "kind": event.subject.kind if event.subject else None,
        "verdict": event.verdict,
        "beyond_s": round(event.beyond_s, 2),
        "name": seen.name,
        "naming": event.naming,
    }
