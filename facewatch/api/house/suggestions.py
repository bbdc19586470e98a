"""/api/v1/suggestions: what an operator might want to put right, and their "no" to it.

A suggestion is worked out when it is asked for, and changes nothing.
"""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from facewatch.api.audit import concerns
from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import FaceRef, Id, Page, Shape, Thing, Time
from facewatch.domain.audit import Action
from facewatch.domain.ids import EventId, PersonId
from facewatch.domain.people import Likeness, NearMiss
from facewatch.people.additions import Addition
from facewatch.people.checkup import Finding
from facewatch.ports.access import ApiKey

_WINDOW = timedelta(days=7)
_MONTH = timedelta(days=30)
_NEAR = 0.2

Confidence = Annotated[float, Field(ge=0.4, le=0.999)]


class MergesIn(Shape):
    """From which confidence on; without it the threshold in force."""

    min_confidence: Confidence | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class NamesIn(Shape):
    """From when on (7 days), and from which confidence on (0.2 below the threshold in force)."""

    since: Time | None = None
    min_confidence: Confidence | None = None
    cursor: Id | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class TwoIn(Shape):
    """They are two."""

    people: Annotated[list[Id], Field(min_length=2, max_length=2)]


class NotTheirsIn(Shape):
    """The visit is not this person's."""

    event: Id
    person: Id


class NotToAddIn(NotTheirsIn):
    """The visit makes no good matchmaker of this person."""


class LookalikeOut(Shape):
    """One of two who may be one, and their face that says so."""

    person: Id
    name: str | None
    face: FaceRef


class MergeOut(Shape):
    """Two who may be one.

    *confidence* is that of naming the one for the other, *similarity* the cosine of the two faces.
    """

    people: list[LookalikeOut]
    confidence: float
    similarity: float

    @classmethod
    def of(cls, likeness: Likeness) -> "MergeOut":
        shown = zip(likeness.people, likeness.names, likeness.faces, strict=True)
        return cls(
            people=[LookalikeOut(person=it, name=name, face=face) for it, name, face in shown],
            confidence=likeness.confidence,
            similarity=likeness.similarity,
        )


class MergesOut(Shape):
    """The most alike first; *faces_compared* are the newest ten thousand at most."""

    items: list[MergeOut]
    faces_compared: int


class NameOut(Thing):
    """A visit of nobody (its *id*), whose it may be, and why it was not named."""

    at: datetime
    camera: Id
    thumbnail_s3_key: str
    person: Id
    name: str
    face: FaceRef
    confidence: float
    similarity: float
    reason: str

    @classmethod
    def of(cls, near: NearMiss) -> "NameOut":
        return cls(
            id=near.event,
            at=near.at,
            camera=near.camera,
            thumbnail_s3_key=near.thumbnail_key,
            person=near.person,
            name=near.name,
            face=near.face,
            confidence=near.confidence,
            similarity=near.similarity,
            reason=near.reason,
        )


class AdditionsIn(Shape):
    """From when on: 30 days ago where it is not said."""

    since: Time | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class AdditionOut(Thing):
    """A visit (its *id*) that would make a good matchmaker of *person*, and why.

    Attributes:
        kind: first, far, angle, grey or light.
        similarity: Cosine to the nearest of their matchmakers; null where they have none.
        confirmed: An operator said whose it is; else the machine did, far beyond its threshold.
    """

    at: datetime
    camera: Id
    thumbnail_s3_key: str
    person: Id
    name: str
    kind: str
    reason: str
    similarity: float | None
    quality: float
    confirmed: bool

    @classmethod
    def of(cls, it: Addition) -> "AdditionOut":
        seen = it.sighting
        return cls(
            id=seen.event,
            at=seen.at,
            camera=seen.camera,
            thumbnail_s3_key=seen.thumbnail_key,
            person=seen.person,
            name=seen.name,
            kind=it.kind,
            reason=it.reason,
            similarity=it.similarity,
            quality=seen.view.quality.overall,
            confirmed=seen.confirmed,
        )


class AdditionsOut(Shape):
    """The confirmed first, then the best; *sightings_compared* are a thousand at most."""

    items: list[AdditionOut]
    sightings_compared: int


class DoctorIn(Shape):
    """How many findings at most."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class FindingOut(Shape):
    """What is wrong with an enrolled face, and what to do."""

    kind: str
    person: Id
    face: FaceRef
    other: Id | None
    reason: str
    remedy: str

    @classmethod
    def of(cls, it: Finding) -> "FindingOut":
        return cls(
            kind=it.kind,
            person=it.person,
            face=it.face,
            other=it.other,
            reason=it.reason,
            remedy=it.remedy,
        )


class DoctorOut(Shape):
    """The worst kind first; *faces_examined* are the newest ten thousand at most."""

    findings: list[FindingOut]
    faces_examined: int


async def gallery_doctor(deps: Deps, caller: ApiKey, asked: DoctorIn) -> DoctorOut:
    """Enrolled faces that attract others, were corrected, are poor, twice there, or alone."""
    found, examined = await deps.suggester.findings(caller.org)
    shown = [FindingOut.of(it) for it in found[: asked.limit]]
    return DoctorOut(findings=shown, faces_examined=examined)


async def suggest_merges(deps: Deps, caller: ApiKey, asked: MergesIn) -> MergesOut:
    """Pairs of enrolled persons who look alike enough to be one."""
    least = asked.min_confidence or max(0.4, min(0.999, await _threshold(deps, caller)))
    found, compared = await deps.suggester.same_people(caller.org, least, asked.limit)
    return MergesOut(items=[MergeOut.of(it) for it in found], faces_compared=compared)


async def dismiss_merge(deps: Deps, caller: ApiKey, asked: TwoIn) -> None:
    """They are two: they are not suggested again."""
    concerns(*asked.people)
    one, other = map(PersonId, asked.people)
    await deps.register.dismiss_pair(caller.org, one, other)


async def suggest_names(deps: Deps, caller: ApiKey, asked: NamesIn) -> Page[NameOut]:
    """Visits of nobody that nearly were somebody's, newest first, as they were compared then."""
    least = asked.min_confidence or await _threshold(deps, caller) - _NEAR
    since = asked.since or deps.clock() - _WINDOW
    before = EventId(asked.cursor) if asked.cursor else None
    found = await deps.register.near_misses(caller.org, least, since, asked.limit + 1, before)
    return Page[NameOut].of([NameOut.of(it) for it in found], asked.limit)


async def dismiss_name(deps: Deps, caller: ApiKey, asked: NotTheirsIn) -> None:
    """The visit is not theirs: this is not suggested again."""
    await deps.register.dismiss_name(caller.org, EventId(asked.event), PersonId(asked.person))


async def suggest_matchmakers(deps: Deps, caller: ApiKey, asked: AdditionsIn) -> AdditionsOut:
    """Visits worth adding as a matchmaker: createFaceMatchmakerFromSighting does; nothing else."""
    since = asked.since or deps.clock() - _MONTH
    found, compared = await deps.suggester.additions(caller.org, since, asked.limit)
    concerns(*(it.sighting.event for it in found))
    return AdditionsOut(items=[AdditionOut.of(it) for it in found], sightings_compared=compared)


async def dismiss_matchmaker(deps: Deps, caller: ApiKey, asked: NotToAddIn) -> None:
    """The visit makes no good matchmaker of theirs: it is not suggested again."""
    event, person = EventId(asked.event), PersonId(asked.person)
    await deps.register.dismiss_teacher(caller.org, event, person)


async def _threshold(deps: Deps, caller: ApiKey) -> float:
    settled = await deps.orgs.match_threshold(caller.org)
    return deps.threshold if settled is None else settled


_MERGES, _NAMES = "/api/v1/suggestions/merges", "/api/v1/suggestions/names"
_MATCHMAKERS = "/api/v1/suggestions/matchmakers"

ROUTES = [
    resource(
        "GET", "/api/v1/gallery/doctor", gallery_doctor, action=Action.FACE_SUGGESTIONS_VIEWED
    ),
    resource("GET", _MERGES, suggest_merges, action=Action.FACE_SUGGESTIONS_VIEWED),
    resource(
        "POST",
        f"{_MERGES}/dismiss",
        dismiss_merge,
        Role.OPERATOR,
        action=Action.FACE_SUGGESTION_SETTLED,
    ),
    resource("GET", _NAMES, suggest_names, action=Action.FACE_SUGGESTIONS_VIEWED),
    resource(
        "POST",
        f"{_NAMES}/dismiss",
        dismiss_name,
        Role.OPERATOR,
        action=Action.FACE_SUGGESTION_SETTLED,
    ),
    resource("GET", _MATCHMAKERS, suggest_matchmakers, action=Action.FACE_SUGGESTIONS_VIEWED),
    resource(
        "POST",
        f"{_MATCHMAKERS}/dismiss",
        dismiss_matchmaker,
        Role.OPERATOR,
        action=Action.FACE_SUGGESTION_SETTLED,
    ),
]
