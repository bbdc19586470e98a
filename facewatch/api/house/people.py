"""/api/v1/people: persons, named or not; two that are one, and one that is two.

Whose visits they are is asked in findFaceEventsByOrg of the Rhombus contract, with the id that
is given here as one of its *personUuids*.
"""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from facewatch.api.audit import concerns
from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import FaceRef, Id, Name, Page, PageIn, Shape, Thing
from facewatch.domain.audit import Action
from facewatch.domain.ids import EventId, FaceId, PersonId
from facewatch.domain.people import LastSeen, Part, Profile
from facewatch.errors import InvalidRequest
from facewatch.people.forget import erase
from facewatch.people.words import composed
from facewatch.ports.access import ApiKey
from facewatch.ports.library import ProfileChanges

MOST_AT_ONCE = 1000

Labels = Annotated[list[Name], Field(max_length=100)]


class PeopleIn(PageIn):
    """Which persons: those who have a name, or those who have none.

    *prefix* is how the name begins, whatever its case.
    """

    named: bool = True
    prefix: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class PersonIn(Shape):
    """Which one; an id that was merged means the person that it was merged into."""

    person: Id


class NewPersonIn(Shape):
    """Somebody who has a name."""

    name: Name
    email: Name | None = None
    labels: Labels = Field(default_factory=list)


class PersonChangesIn(PersonIn):
    """What changes: a field that is not there is left alone, null clears; *labels* are then all."""

    name: Name | None = None
    email: Name | None = None
    labels: Labels = Field(default_factory=list)


class MergeIn(PersonIn):
    """Who else *person* is, and what to call them: else as *person* is called, or the first."""

    others: Annotated[list[Id], Field(min_length=1, max_length=100)]
    name: Name | None = None


class SplitIn(PersonIn):
    """What of *person* is somebody else's: visits, enrolled faces, and the visits matched by these.

    It goes to the person *to*, else to somebody new, called *name* or nothing.
    """

    events: Annotated[list[Id], Field(max_length=MOST_AT_ONCE)] = Field(default_factory=list)
    faces: Annotated[list[FaceRef], Field(max_length=MOST_AT_ONCE)] = Field(default_factory=list)
    matched_events: bool = False
    to: Id | None = None
    name: Name | None = None

    @model_validator(mode="after")
    def _says_what(self) -> Self:
        if not self.events and not self.faces:
            raise ValueError("name at least one of events and faces")
        if self.to is not None and self.name is not None:
            raise ValueError("name is for somebody new: leave out either to or name")
        return self


class LastSeenOut(Shape):
    """The newest visit, and when it ended."""

    event: Id
    camera: Id
    at: datetime

    @classmethod
    def of(cls, seen: LastSeen) -> "LastSeenOut":
        return cls(event=seen.event, camera=seen.camera, at=seen.at)


class PersonOut(Thing):
    """Somebody; *events* are counted to ten thousand."""

    name: str | None
    email: str | None
    labels: list[str]
    matchmakers: int
    events: int
    last_seen: LastSeenOut | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, profile: Profile) -> "PersonOut":
        seen = profile.last_seen
        return cls(
            id=profile.id,
            name=profile.name,
            email=profile.email,
            labels=list(profile.labels),
            matchmakers=profile.matchmakers,
            events=profile.events,
            last_seen=LastSeenOut.of(seen) if seen else None,
            created_at=profile.created_at,
            updated_at=profile.updated_at,
        )


async def list_people(deps: Deps, caller: ApiKey, asked: PeopleIn) -> Page[PersonOut]:
    """Persons, newest first, with how often and where they were seen."""
    before = PersonId(asked.cursor) if asked.cursor else None
    if asked.named:
        prefix = asked.prefix and composed(asked.prefix)
        found = await deps.register.named(caller.org, asked.limit + 1, before, prefix)
    elif asked.prefix is None:
        found = await deps.register.unnamed(caller.org, asked.limit + 1, before)
    else:
        raise InvalidRequest("whoever has no name has no prefix", "leave out named or prefix")
    return Page[PersonOut].of([PersonOut.of(it) for it in found], asked.limit)


async def add_person(deps: Deps, caller: ApiKey, asked: NewPersonIn) -> PersonOut:
    """Somebody new; a name that somebody has already is refused."""
    made = await deps.register.create(caller.org, asked.name, asked.email, asked.labels)
    return await _shown(deps, caller, made)


async def show_person(deps: Deps, caller: ApiKey, asked: PersonIn) -> PersonOut:
    """One person."""
    return await _shown(deps, caller, PersonId(asked.person))


async def change_person(deps: Deps, caller: ApiKey, asked: PersonChangesIn) -> PersonOut:
    """Change what is given. Without a name somebody is not shown to Rhombus' clients."""
    changes: ProfileChanges = {}
    if "name" in asked.model_fields_set:
        changes["name"] = asked.name
    if "email" in asked.model_fields_set:
        changes["email"] = asked.email
    if "labels" in asked.model_fields_set:
        changes["labels"] = asked.labels
    await deps.register.change(caller.org, PersonId(asked.person), changes)
    return await _shown(deps, caller, PersonId(asked.person))


async def forget_person(deps: Deps, caller: ApiKey, asked: PersonIn) -> None:
    """Forget somebody: pictures and templates go, visits stay without them (docs/deletion.md)."""
    await erase(deps.people, deps.blobs, deps.remains, caller.org, PersonId(asked.person))


async def merge_people(deps: Deps, caller: ApiKey, asked: MergeIn) -> PersonOut:
    """Several records of one human become *person*; the others' ids mean *person* from then on."""
    concerns(*asked.others)
    others = [PersonId(it) for it in asked.others]
    merged = await deps.register.merge(caller.org, PersonId(asked.person), others, asked.name)
    return await _shown(deps, caller, merged)


async def split_person(deps: Deps, caller: ApiKey, asked: SplitIn) -> PersonOut:
    """What is somebody else's goes to them, who are the answer; no machine takes it back."""
    concerns(*asked.events, *asked.faces)
    part = Part(
        tuple(EventId(it) for it in asked.events),
        tuple(FaceId(it) for it in asked.faces),
        asked.matched_events,
    )
    to = PersonId(asked.to) if asked.to else None
    whose = await deps.register.split(caller.org, PersonId(asked.person), part, to, asked.name)
    return await _shown(deps, caller, whose)


async def _shown(deps: Deps, caller: ApiKey, person: PersonId) -> PersonOut:
    return PersonOut.of(await deps.register.get(caller.org, person))


_ONE = "/api/v1/people/{person}"

ROUTES = [
    resource("GET", "/api/v1/people", list_people, action=Action.FACE_PEOPLE_VIEWED),
    resource(
        "POST",
        "/api/v1/people",
        add_person,
        Role.OPERATOR,
        action=Action.FACE_PERSON_CREATED,
        status=201,
    ),
    resource("GET", _ONE, show_person, action=Action.FACE_PERSON_VIEWED),
    resource("PATCH", _ONE, change_person, Role.OPERATOR, action=Action.FACE_PERSON_UPDATED),
    resource("DELETE", _ONE, forget_person, Role.OPERATOR, action=Action.FACE_PERSON_DELETED),
    resource(
        "POST", f"{_ONE}/merge", merge_people, Role.OPERATOR, action=Action.FACE_PERSON_MERGED
    ),
    resource("POST", f"{_ONE}/split", split_person, Role.OPERATOR, action=Action.FACE_PERSON_SPLIT),
]
