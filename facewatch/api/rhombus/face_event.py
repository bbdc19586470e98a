"""/api/faceRecognition/faceEvent."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TypeVar
from uuid import UUID

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.rhombus import paging
from facewatch.api.rhombus.operation import operation
from facewatch.api.rhombus.wire import (
    DeleteFaceEventIn,
    DeleteFaceEventOut,
    FaceEventOut,
    FaceEventSearchFilter,
    FindFaceEventsByOrgIn,
    FindFaceEventsByOrgOut,
    GetFaceEventIn,
    GetFaceEventOut,
    PageRequest,
    TimestampFilter,
    UpdateFaceEventIn,
    UpdateFaceEventOut,
    milliseconds,
    moment,
)
from facewatch.domain.events import EventFilter
from facewatch.domain.ids import CameraId, EventId, LocationId, PersonId, from_ruuid
from facewatch.errors import NotFound
from facewatch.ports import ApiKey

_DEFAULT_WINDOW = timedelta(days=7)
_DEFAULT_PAGE = 100
_SHORTEST_PART = 3
_FACET = re.compile(r"\.v[0-9]+\Z")

Id = TypeVar("Id", bound=UUID)


async def get_face_event(deps: Deps, caller: ApiKey, message: GetFaceEventIn) -> GetFaceEventOut:
    """One event, by ``eventUuid``."""
    try:
        event_id = EventId(from_ruuid(message.event_uuid or ""))
        event = await deps.events.get(caller.org, event_id)
    except (ValueError, NotFound):
        # What spells no UUID is the id of no event: a caller cannot tell the two apart.
        raise NotFound("there is no face event with this eventUuid", "check the id") from None
    return GetFaceEventOut(face_event=FaceEventOut.of(event))


async def find_face_events_by_org(
    deps: Deps, caller: ApiKey, message: FindFaceEventsByOrgIn
) -> FindFaceEventsByOrgOut:
    """Newest first; pages neither skip, repeat nor end early while new events arrive."""
    page = message.page_request or PageRequest()
    size = page.max_page_size or _DEFAULT_PAGE
    wanted = _wanted(message.search_filter or FaceEventSearchFilter())
    question = _question(wanted)
    before = None
    since = wanted.since
    if page.last_evaluated_key:
        secret = await deps.keys.page_secret(caller.org)
        last, since_ms = paging.opened(secret, question, page.last_evaluated_key)
        before, since = EventId(last), moment(since_ms)
    elif wanted.since is None and wanted.until is None:
        since = deps.clock() - _DEFAULT_WINDOW
    # One more than asked for tells whether this page is the last.
    events = await deps.events.find(caller.org, replace(wanted, since=since), size + 1, before)
    answer = FindFaceEventsByOrgOut(face_events=[FaceEventOut.of(event) for event in events[:size]])
    if len(events) <= size:
        return answer
    secret = await deps.keys.page_secret(caller.org)
    key = paging.sealed(secret, question, events[size - 1].id, milliseconds(since) if since else 0)
    return answer.model_copy(update={"last_evaluated_key": key})


async def update_face_event(
    deps: Deps, caller: ApiKey, message: UpdateFaceEventIn
) -> UpdateFaceEventOut:
    """Whose face it is, as an operator says: *personUuid*, else *personName*, else nobody's."""
    try:
        event_id = EventId(from_ruuid(message.event_uuid or ""))
        person = PersonId(from_ruuid(message.person_uuid)) if message.person_uuid else None
        await deps.events.assign(caller.org, event_id, person, message.person_name or "")
        event = await deps.events.get(caller.org, event_id)
    except (ValueError, NotFound):
        raise NotFound(
            "there is no face event with this eventUuid, or no person with this personUuid",
            "check the ids",
        ) from None
    return UpdateFaceEventOut(face_event=FaceEventOut.of(event))


async def delete_face_event(
    deps: Deps, caller: ApiKey, message: DeleteFaceEventIn
) -> DeleteFaceEventOut:
    """The event and its pixels go; who it showed, and matchmakers made from it, stay."""
    try:
        await deps.events.remove(caller.org, EventId(from_ruuid(message.event_uuid or "")))
    except (ValueError, NotFound):
        raise NotFound("there is no face event with this eventUuid", "check the id") from None
    return DeleteFaceEventOut()


def _wanted(asked: FaceEventSearchFilter) -> EventFilter:
    """What is asked for, in the house's words."""
    window = asked.timestamp_filter or TimestampFilter()
    part = (asked.face_name_contains or "").strip()
    return EventFilter(
        since=window.range_start,
        until=window.range_end,
        cameras=_ids(CameraId, [id and _FACET.sub("", id) for id in asked.device_uuids or ()]),
        locations=_ids(LocationId, asked.location_uuids),
        people=_ids(PersonId, asked.person_uuids),
        names=_given(asked.face_names),
        name_part=part if len(part) >= _SHORTEST_PART else None,
        labels=_given(asked.labels),
        has_template=asked.has_embedding,
        has_name=asked.has_name,
    )


def _given(texts: Sequence[str | None] | None) -> frozenset[str] | None:
    """None for a list that is empty, which filters nothing."""
    return frozenset(text for text in texts or () if text is not None) or None


def _ids(kind: Callable[[UUID], Id], texts: Sequence[str | None] | None) -> frozenset[Id] | None:
    """What spells no UUID is the id of nothing; a list of such finds nothing."""
    given = _given(texts)
    return None if given is None else frozenset(map(kind, _spelled(given)))


def _spelled(texts: Iterable[str]) -> Iterator[UUID]:
    for text in texts:
        with suppress(ValueError):
            yield from_ruuid(text)


def _question(wanted: EventFilter) -> str:
    """*wanted* as text: the same for the same filter, in whatever order its lists come."""
    return json.dumps({name: _plain(value) for name, value in asdict(wanted).items()})


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return None if value is None else str(value)


_BASE = "/api/faceRecognition/faceEvent"

ROUTES = [
    operation(f"{_BASE}/getFaceEvent", GetFaceEventIn, get_face_event),
    operation(f"{_BASE}/findFaceEventsByOrg", FindFaceEventsByOrgIn, find_face_events_by_org),
    operation(f"{_BASE}/updateFaceEvent", UpdateFaceEventIn, update_face_event, Role.OPERATOR),
    operation(f"{_BASE}/deleteFaceEvent", DeleteFaceEventIn, delete_face_event, Role.OPERATOR),
]
