"""Two records of one human become one, and what was wrongly put together comes apart.

Both stand alone behind the org's gate, so that no event is written meanwhile and no two of them
meet; then persons are locked in the order of their ids, then events, then the gallery's revision,
then the change log's counter, as everywhere (docs/decisions/0056).
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from facewatch.domain.ids import EventId, FaceId, OrgId, PersonId, new_id, to_prefixed, to_ruuid
from facewatch.domain.people import Part
from facewatch.errors import NotFound, UnusableValue
from facewatch.store import corrections
from facewatch.store.database import Work
from facewatch.store.people import take_name, tell
from facewatch.store.revision import next_revision

_BATCH = 2000


async def merge(
    work: Work, org: OrgId, into: PersonId, others: Sequence[PersonId], name: str | None
) -> PersonId:
    """`ports.library.Register.merge`, in the transaction of *work*."""
    into, absorbed = await _concerned(work, org, into, others)
    if not absorbed and name is None:
        return into
    if absorbed:
        await _absorb(work, org, into, absorbed)
    called = name or await _name_among(work, org, [into, *absorbed])
    if called:
        await take_name(work, org, called, into)
    await work.fetch("merge_into", into=into, others=absorbed, name=called)
    await tell(work, org, [into, *absorbed])
    return into


async def move_some(
    work: Work, org: OrgId, into: PersonId, others: Sequence[PersonId], name: str | None
) -> bool:
    """A batch of the visits of *others*; whether there may be more. What `merge` refuses, it does.

    Each batch leaves everything consistent, so that a merge that breaks off can be asked for again.
    """
    into, absorbed = await _concerned(work, org, into, others)
    if name is not None:
        await take_name(work, org, name, into, *absorbed)
    (row,) = await work.fetch(
        "merge_some_events", org=org, into=into, others=absorbed, limit=_BATCH
    )
    return bool(row["count"] == _BATCH)


async def split(
    work: Work, org: OrgId, person: PersonId, part: Part, to: PersonId | None, name: str | None
) -> PersonId:
    """`ports.library.Register.split`, in the transaction of *work*."""
    await work.fetch("people_gate", org=org)
    whom = await meant(work, org, [person, to] if to else [person])
    person = whom[person]
    if to is not None and whom[to] == person:
        raise UnusableValue("they are this person's already", "name somebody else in to")
    target = PersonId(new_id()) if to is None else whom[to]
    events = await _events_of(work, org, part, person, target)
    faces = await _faces_of(work, org, part, person, target)
    if part.matched and faces:
        matched = await work.fetch("split_events_matched", org=org, person=person, faces=faces)
        events = sorted({*events, *(row["id"] for row in matched)})
    if to is None:
        if name is not None:
            await take_name(work, org, name)
        await work.fetch("register_add", id=target, org=org, name=name, email=None)
    await work.fetch("thumbnail_face_free", person=person, faces=faces, events=events)
    if faces:
        await work.fetch("enrolled_faces_move", faces=faces, person=target)
        await work.fetch("uploads_move", faces=faces, person=target)
        revision = await next_revision(work, org)
        await work.fetch("matchmakers_move", faces=faces, person=target, revision=revision)
    await corrections.give(work, org, events, target, unnamed=True)
    await work.fetch("log_changes", org=org, kind="event", subjects=events)
    await tell(work, org, [person, target])
    return target


async def meant(work: Work, org: OrgId, people: Iterable[PersonId]) -> dict[PersonId, PersonId]:
    """Whom each id means today, all locked.

    Raises:
        NotFound: *org* has nobody with one of the ids, or they were erased.
    """
    asked = list(people)
    rows = await work.fetch("register_lock", org=org, people=asked)
    found = {row["asked"]: row for row in rows}
    for person in asked:
        if person not in found:
            raise NotFound(f"there is no person {to_ruuid(person)}", "check the id")
        if erased := found[person]["erased_at"]:
            raise NotFound(f"person {to_ruuid(person)} was erased on {erased:%Y-%m-%d}")
    return {person: PersonId(found[person]["id"]) for person in asked}


async def _concerned(
    work: Work, org: OrgId, into: PersonId, others: Sequence[PersonId]
) -> tuple[PersonId, list[PersonId]]:
    """Who the one is today, and who of the others is somebody else; in the order given."""
    if into in others:
        raise UnusableValue("nobody can be merged into themselves", "name somebody else")
    await work.fetch("people_gate", org=org)
    whom = await meant(work, org, [into, *others])
    return whom[into], [it for it in dict.fromkeys(whom[o] for o in others) if it != whom[into]]


async def _absorb(work: Work, org: OrgId, into: PersonId, others: list[PersonId]) -> None:
    await work.fetch("merge_events", org=org, into=into, others=others)
    await work.fetch("merge_faces", into=into, others=others)
    await work.fetch("merge_labels", org=org, into=into, others=others)
    faces = [row["face"] for row in await work.fetch("matchmakers_live_of", people=others)]
    revision = await next_revision(work, org)  # also for what was said of one about the other
    await work.fetch("matchmakers_move", faces=faces, person=into, revision=revision)
    await work.fetch("merge_persons", into=into, others=others)


async def _name_among(work: Work, org: OrgId, people: Sequence[PersonId]) -> str | None:
    """The first that there is, in this order."""
    rows = await work.fetch("names_of", org=org, people=people)
    names = {row["id"]: row["name"] for row in rows}
    return next((name for person in people if (name := names[person])), None)


async def _events_of(
    work: Work, org: OrgId, part: Part, person: PersonId, target: PersonId
) -> list[EventId]:
    rows = await work.fetch("split_events_lock", org=org, events=list(part.events))
    owners = {row["id"]: row["person"] for row in rows}
    for event in part.events:
        if owners.get(event) not in (person, target):
            raise _not_theirs(f"event {to_ruuid(event)}")
    return sorted(event for event, owner in owners.items() if owner == person)


async def _faces_of(
    work: Work, org: OrgId, part: Part, person: PersonId, target: PersonId
) -> list[FaceId]:
    rows = await work.fetch("split_faces_lock", org=org, faces=list(part.faces))
    owners: dict[FaceId, UUID] = {row["face"]: row["person"] for row in rows}
    for face in part.faces:
        if owners.get(face) not in (person, target):
            raise _not_theirs(f"matchmaker {to_prefixed('face', face)}")
    return sorted(face for face, owner in owners.items() if owner == person)


def _not_theirs(what: str) -> NotFound:
    return NotFound(f"{what} is not this person's", "check the ids; nothing was moved")
