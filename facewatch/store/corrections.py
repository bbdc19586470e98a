"""What an operator says about a recorded visit: whose it is, or that it is to go."""

import unicodedata
from collections.abc import Sequence

from facewatch.domain.ids import EventId, OrgId, PersonId, new_id, to_ruuid
from facewatch.errors import InvalidRequest, NotFound, UnusableValue
from facewatch.store.database import Row, Work
from facewatch.store.revision import next_revision

_LONGEST_NAME = 200


async def assign(
    work: Work, org: OrgId, event: EventId, person: PersonId | None, name: str
) -> None:
    """`ports.events.FaceEvents.assign`, in the transaction of *work*."""
    name = unicodedata.normalize("NFC", name).strip()  # as every name is kept
    whose = await _meant(work, org, event, person, name)
    await _lock(work, org, event)
    await give(work, org, [event], whose and whose["id"])
    if whose and whose["made"]:
        await work.fetch("log_changes", org=org, kind="person", subjects=[whose["id"]])
    await work.fetch("log_changes", org=org, kind="event", subjects=[event])


async def remove(work: Work, org: OrgId, event: EventId) -> None:
    """`ports.events.FaceEvents.remove`, in the transaction of *work*."""
    await _erase(work, org, event)
    await work.fetch("log_changes", org=org, kind="event_removed", subjects=[event])


async def _erase(work: Work, org: OrgId, event: EventId) -> None:
    gone = await _lock(work, org, event)
    await work.fetch("face_event_remove", org=org, event=event)
    await work.fetch("superseded_assets_delete", assets=[gone["asset"]])
    await work.fetch("brought_faces_erase", event=event)
    left = await work.fetch("face_event_faces_detach", event=event)
    await work.fetch("templates_delete", faces=[face["id"] for face in left])
    shown = {row["key"] for row in await work.fetch("frame_keys", asset=gone["asset"])}
    keys = {gone["frame_key"], gone["thumbnail_key"], *gone["look_keys"]} - shown
    await work.fetch("garbage_add", keys=sorted(keys), orgs=[org] * len(keys))


async def deny(work: Work, org: OrgId, event: EventId, person: PersonId | None) -> None:
    """`ports.events.FaceEvents.deny`, in the transaction of *work*."""
    await _lock(work, org, event)
    shown = await work.row("shown_by", event=event)
    assert shown is not None
    asked = person or shown["person"]
    if asked is None:
        raise UnusableValue("this event is nobody's already", "name the person whose it is not")
    whose = await work.row("register_meant", org=org, person=asked)
    if whose is None:
        raise NotFound(f"there is no person {to_ruuid(asked)}", "check the id")
    if shown["person"] == whose["id"]:
        await give(work, org, [event], None, unnamed=True)
        await work.fetch("log_changes", org=org, kind="event", subjects=[event])
    elif await work.fetch("dismiss", org=org, kind="name", one=event, other=whose["id"]):
        await next_revision(work, org)


async def no_face(work: Work, org: OrgId, event: EventId) -> None:
    """`ports.events.FaceEvents.no_face`, in the transaction of *work*."""
    if await work.row("not_a_face_known", org=org, event=event):
        return
    await _lock(work, org, event)
    told = await work.fetch("not_a_face_add", event=event)
    await _erase(work, org, event)
    if told:
        await next_revision(work, org)
    await work.fetch("log_changes", org=org, kind="event_removed", subjects=[event])


async def face_after_all(work: Work, org: OrgId, event: EventId) -> None:
    """`ports.events.FaceEvents.face_after_all`, in the transaction of *work*."""
    if not await work.fetch("not_a_face_delete", org=org, event=event):
        raise NotFound(f"nothing is remembered of event {to_ruuid(event)}", "check the id")
    await next_revision(work, org)


async def give(
    work: Work,
    org: OrgId,
    events: Sequence[EventId],
    person: PersonId | None,
    *,
    unnamed: bool = False,
) -> None:
    """An operator says that these, which are locked, are *person*'s; no machine overwrites it.

    So they are not whose they were. Of somebody without a name that follows only if *unnamed*:
    nobody may have seen them.
    """
    said = await work.fetch(
        "denials_of_assign", events=events, person=person, unnamed=unnamed
    ) + await work.fetch("denials_taken_back", events=events, person=person)
    await work.fetch("face_events_assign", events=events, person=person)
    await work.fetch("face_events_faces_assign", events=events, person=person)
    if said:
        await next_revision(work, org)


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
