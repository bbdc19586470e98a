"""What an operator says about a recorded visit: whose it is, or that it is to go."""

import unicodedata
from collections.abc import Sequence

from facewatch.domain.ids import EventId, OrgId, PersonId, new_id
from facewatch.errors import InvalidRequest, NotFound
from facewatch.store.database import Row, Work

_LONGEST_NAME = 200


async def assign(
    work: Work, org: OrgId, event: EventId, person: PersonId | None, name: str
) -> None:
    """`ports.FaceEvents.assign`, in the transaction of *work*."""
    name = unicodedata.normalize("NFC", name).strip()  # as every name is kept
    whose = await _meant(work, org, event, person, name)
    await _lock(work, org, event)
    await give(work, [event], whose and whose["id"])
    if whose and whose["made"]:
        await work.fetch("log_changes", org=org, kind="person", subjects=[whose["id"]])
    await work.fetch("log_changes", org=org, kind="event", subjects=[event])


async def remove(work: Work, org: OrgId, event: EventId) -> None:
    """`ports.FaceEvents.remove`, in the transaction of *work*."""
    gone = await _lock(work, org, event)
    await work.fetch("face_event_remove", org=org, event=event)
    await work.fetch("superseded_assets_delete", assets=[gone["asset"]])
    left = await work.fetch("face_event_faces_detach", event=event)
    await work.fetch("templates_delete", faces=[face["id"] for face in left])
    shown = {row["key"] for row in await work.fetch("frame_keys", asset=gone["asset"])}
    keys = {gone["frame_key"], gone["thumbnail_key"], *gone["look_keys"]} - shown
    await work.fetch("garbage_add", keys=sorted(keys), orgs=[org] * len(keys))
    await work.fetch("log_changes", org=org, kind="event_removed", subjects=[event])


async def give(work: Work, events: Sequence[EventId], person: PersonId | None) -> None:
    """An operator says that these, which are locked, are *person*'s; no machine overwrites it."""
    await work.fetch("face_events_assign", events=events, person=person)
    await work.fetch("face_events_faces_assign", events=events, person=person)


async def _lock(work: Work, org: OrgId, event: EventId) -> Row:
    row = await work.row("face_event_lock", org=org, event=event)
    if row is None:
        raise NotFound(f"there is no face event {event}")
    return row


async def _meant(
    work: Work, org: OrgId, event: EventId, person: PersonId | None, name: str
) -> Row | None:
    """Whom an operator means. Persons are locked before events, as everywhere."""
    if person is None:
        return await _called(work, org, name, event) if name else None
    known = await work.row("person_of_id", org=org, person=person)
    if known is None:
        raise NotFound(f"there is no person {person}")
    if name in ("", known["name"]):
        return known
    if await work.row("face_event_resembles", event=event, person=known["id"]):
        return known
    return await _called(work, org, name, event)


async def _called(work: Work, org: OrgId, name: str, event: EventId) -> Row:
    """The person of this name; if there is none, whoever the visit is of without a name takes it.

    Else somebody is made.
    """
    if "\0" in name or len(name) > _LONGEST_NAME:
        raise InvalidRequest(
            f"a person's name has at most {_LONGEST_NAME} characters and no NUL", "shorten it"
        )
    if known := await work.row("person_of_name", org=org, name=name):
        return known
    await work.fetch("person_name_lock", org=org, name=name)
    if known := await work.row("person_of_name", org=org, name=name):
        return known
    if unnamed := await work.row("unnamed_of_event", org=org, event=event):
        made = await work.row("unnamed_called", person=unnamed["id"], name=name)
    else:
        made = await work.row("person_made", id=new_id(), org=org, name=name)
    assert made is not None
    return made
