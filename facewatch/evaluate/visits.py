"""Events against the truth: was every visit found exactly once, and under the right name?"""

from collections.abc import Collection, Sequence

from facewatch.evaluate.score import (
    Cost,
    Found,
    JudgedEvent,
    JudgedVisit,
    Naming,
    Seen,
    Verdict,
    VideoScore,
)
from facewatch.evaluate.truth import Kind, Span, Subject, VideoTruth


def judge(
    truth: VideoTruth,
    seen: Sequence[Seen],
    *,
    embeddings: int,
    gap_s: float,
    enrolled: Collection[str],
) -> VideoScore:
    """Hold what was *seen* against the *truth*.

    Args:
        gap_s: Somebody away for longer than this comes back as another visit.
        enrolled: Names that may be given: whoever is not among them must stay unknown.
    """
    owned = [(it, *_owner(truth, it, gap_s)) for it in seen]
    places = [(subject, visit) for _, subject, visit in owned if visit is not None]
    events = tuple(
        JudgedEvent(
            it,
            subject,
            visit,
            _verdict(subject, visit is not None and places.count((subject, visit)) > 1),
            _naming(it, subject, enrolled),
        )
        for it, subject, visit in owned
    )
    visits = tuple(
        JudgedVisit(subject, span, _found(truth, subject, span, events))
        for subject in truth.subjects
        if subject.kind is Kind.CLEAR
        for span in subject.visits(gap_s)
    )
    return VideoScore(truth, visits, events, Cost(embeddings, _allowed(truth, gap_s)))


def _owner(truth: VideoTruth, seen: Seen, gap_s: float) -> tuple[Subject | None, Span | None]:
    """Whose box the best shot hits, and the visit of theirs that it is nearest to."""
    subject = truth.hit(seen.best)
    if subject is None or subject.kind is not Kind.CLEAR:
        return subject, None
    visits = subject.visits(gap_s)
    return subject, min(visits, key=lambda it: it.distance_s(seen.best.t_s), default=None)


def _verdict(subject: Subject | None, one_of_several: bool) -> Verdict:
    if subject is None or subject.kind is Kind.THING:
        return Verdict.FALSE
    if subject.kind is not Kind.CLEAR:
        return Verdict.UNJUDGED
    return Verdict.PIECE if one_of_several else Verdict.ONLY


def _naming(seen: Seen, subject: Subject | None, enrolled: Collection[str]) -> Naming:
    said = {name for name in seen.names if name is not None}
    kind = subject.kind if subject else Kind.THING
    if kind is Kind.BACKGROUND:
        return Naming.UNCHECKED if said else Naming.UNKNOWN
    theirs = subject.enrolled_as if subject else None
    if theirs not in enrolled:
        theirs = None
    if said - {theirs}:
        return Naming.WRONG
    if seen.name is not None:
        return Naming.RIGHT
    return Naming.WITHHELD if theirs and kind is Kind.CLEAR else Naming.UNKNOWN


def _found(
    truth: VideoTruth, subject: Subject, visit: Span, events: Sequence[JudgedEvent]
) -> Found:
    theirs = [it for it in events if it.subject is subject and it.visit == visit]
    if theirs:
        return Found.ONCE if len(theirs) == 1 else Found.SPLIT
    through = any(_runs_through(truth, subject, visit, it) for it in events)
    return Found.SWALLOWED if through else Found.MISSED


def _runs_through(truth: VideoTruth, subject: Subject, visit: Span, event: JudgedEvent) -> bool:
    """Whether *event*, of another visit, took this one in.

    One of its best looks shows *subject* in this visit; or what sticks out of its own visit
    covers at least half of this one.
    """
    if any(visit.distance_s(it.t_s) == 0 and truth.hit(it) is subject for it in event.seen.looks):
        return True
    if event.visit is None:
        return False
    covered = event.seen.span.common(visit)
    outside_s = covered.length_s - covered.common(event.visit).length_s
    return 0 < visit.length_s <= 2 * outside_s


def _allowed(truth: VideoTruth, gap_s: float) -> float:
    spans = (
        span
        for subject in truth.subjects
        if subject.kind is not Kind.THING
        for span in subject.visits(gap_s)
    )
    return sum(2 + 0.2 * span.length_s for span in spans)
