"""/api/faceRecognition/faceEvent."""

from functools import partial

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.rhombus import lists
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
    UpdateFaceEventIn,
    UpdateFaceEventOut,
)
from facewatch.domain.audit import Action
from facewatch.domain.ids import EventId, PersonId, from_ruuid
from facewatch.errors import NotFound
from facewatch.ports.access import ApiKey


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
    asked = lists.wanted(message.search_filter or FaceEventSearchFilter())
    events, key = await lists.page(
        deps,
        caller.org,
        message.page_request,
        lists.question(asked),
        lists.lately(asked, deps.clock()),
        partial(deps.events.find, caller.org),
        lambda event: event.id,
    )
    return FindFaceEventsByOrgOut(
        face_events=[FaceEventOut.of(event) for event in events], last_evaluated_key=key
    )


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


_BASE = "/api/faceRecognition/faceEvent"

ROUTES = [
    operation(
        f"{_BASE}/getFaceEvent", GetFaceEventIn, get_face_event, action=Action.FACE_EVENT_VIEWED
    ),
    operation(
        f"{_BASE}/findFaceEventsByOrg",
        FindFaceEventsByOrgIn,
        find_face_events_by_org,
        action=Action.FACE_EVENTS_SEARCHED,
    ),
    operation(
        f"{_BASE}/updateFaceEvent",
        UpdateFaceEventIn,
        update_face_event,
        Role.OPERATOR,
        action=Action.FACE_EVENT_UPDATED,
    ),
    operation(
        f"{_BASE}/deleteFaceEvent",
        DeleteFaceEventIn,
        delete_face_event,
        Role.OPERATOR,
        action=Action.FACE_EVENT_DELETED,
    ),
]
