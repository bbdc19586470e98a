"""/api/v1/events: what the answer who a visit is rested on."""

from facewatch.api.deps import Deps
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import FaceRef, Id, Shape, Thing, Time
from facewatch.domain.audit import Action
from facewatch.domain.events import AssignedBy, Compared, Explained
from facewatch.domain.faces import Quality
from facewatch.domain.ids import EventId
from facewatch.domain.people import Decision, SettledBy
from facewatch.ports.access import ApiKey


class EventIn(Shape):
    event: Id


class QualityOut(Shape):
    """How much a look is worth comparing, every part and the whole in 0..1."""

    overall: float
    size: float
    sharpness: float
    pose: float
    exposure: float
    score: float
    telling: float

    @classmethod
    def of(cls, quality: Quality) -> "QualityOut":
        return cls(
            overall=quality.overall,
            size=quality.size,
            sharpness=quality.sharpness,
            pose=quality.pose,
            exposure=quality.exposure,
            score=quality.score,
            telling=quality.telling,
        )


class CandidateOut(Shape):
    """One whom the visitor was compared with.

    Attributes:
        name: Today's; null for somebody without one, and for who was erased.
        now: Who they are today, where they were merged into somebody else.
        face: Their matchmaker that was most like the visitor.
        similarity: Their score as a cosine, by all of their matchmakers.
        best: Cosine of *face* alone.
        matchmakers: How many they had.
        erased_at: When the person was forgotten; ids and scores are all that is left.
        face_removed_at: When that matchmaker was removed.
    """

    person: Id
    name: str | None
    now: Id
    face: FaceRef
    similarity: float
    best: float | None
    matchmakers: int | None
    confidence: float
    erased_at: Time | None
    face_removed_at: Time | None

    @classmethod
    def of(cls, it: Compared) -> "CandidateOut":
        return cls(
            person=it.candidate.person,
            name=it.name,
            now=it.stands_for,
            face=it.candidate.face,
            similarity=it.candidate.similarity,
            best=it.candidate.best,
            matchmakers=it.candidate.matchmakers,
            confidence=it.candidate.confidence,
            erased_at=it.erased_at,
            face_removed_at=it.removed_at,
        )


class DecisionOut(Shape):
    """What the machine answered, on the day and with the gallery of that moment.

    Attributes:
        person: Whom it named; null is nobody.
        reason: Why it named nobody; empty where it did.
        margin: Cosine between the first candidate and the second.
        threshold: The confidence in force; *threshold_similarity* is that as a cosine.
        settled_by: Whose threshold that was.
        model: sha256 of the embedder's file.
        calibration: Version of what turned cosines into confidences.
        grey: The visitor was seen without colour.
        quality: Of the best look that was compared.
        candidates: The best first.
        denied: Struck out: the visitor was at least as like to a face that an operator said is
            not theirs.
    """

    person: Id | None
    reason: str
    confidence: float | None
    margin: float | None
    threshold: float
    threshold_similarity: float
    settled_by: SettledBy | None
    model: str
    calibration: str
    gallery_revision: int
    gallery_people: int
    grey: bool | None
    quality: QualityOut | None
    candidates: list[CandidateOut]
    denied: list[CandidateOut]

    @classmethod
    def of(
        cls, decision: Decision, compared: tuple[Compared, ...], denied: tuple[Compared, ...]
    ) -> "DecisionOut":
        return cls(
            person=decision.person,
            reason=decision.reason,
            confidence=decision.confidence,
            margin=decision.margin,
            threshold=decision.threshold,
            threshold_similarity=decision.threshold_similarity,
            settled_by=decision.settled_by,
            model=decision.model,
            calibration=decision.calibration,
            gallery_revision=decision.gallery_revision,
            gallery_people=decision.gallery_people,
            grey=decision.grey,
            quality=QualityOut.of(decision.quality) if decision.quality else None,
            candidates=[CandidateOut.of(it) for it in compared],
            denied=[CandidateOut.of(it) for it in denied],
        )


class ExplainedOut(Thing):
    """Why a visit has the name that it has, or none.

    Attributes:
        person: Whose it is today, and *name* what they are called.
        assigned_by: Who said so: *operator* is a person, whom no machine overwrites; null with
            *assigned_at* unset says that nobody was named.
        erased_at: When the visit's person was forgotten.
        best_shot: Quality of the look that the pictures show.
        decision: Null while no look was fit to compare.
    """

    camera: Id
    first_seen: Time
    last_seen: Time
    best_at: Time
    version: int
    closed: bool
    person: Id | None
    name: str | None
    assigned_by: AssignedBy | None
    assigned_at: Time | None
    erased_at: Time | None
    best_shot: QualityOut
    decision: DecisionOut | None

    @classmethod
    def of(cls, it: Explained) -> "ExplainedOut":
        event = it.event
        return cls(
            id=event.id,
            camera=event.camera,
            first_seen=event.first_seen,
            last_seen=event.last_seen,
            best_at=event.best_at,
            version=event.version,
            closed=event.closed,
            person=event.person,
            name=event.person_name,
            assigned_by=event.assigned_by,
            assigned_at=it.assigned_at,
            erased_at=it.erased_at,
            best_shot=QualityOut.of(event.quality),
            decision=(DecisionOut.of(it.decision, it.compared, it.denied) if it.decision else None),
        )


async def explain_event(deps: Deps, caller: ApiKey, asked: EventIn) -> ExplainedOut:
    """Who it is, and what that rests on: scores, threshold, quality, model and gallery."""
    return ExplainedOut.of(await deps.decisions.explain(caller.org, EventId(asked.event)))


ROUTES = [
    resource(
        "GET", "/api/v1/events/{event}/decision", explain_event, action=Action.FACE_EVENT_VIEWED
    ),
]
