"""/api/faceRecognition/faceEvent."""

from facewatch.api.deps import Deps
from facewatch.api.rhombus.operation import operation
from facewatch.api.rhombus.wire import FaceEventOut, GetFaceEventIn, GetFaceEventOut
from facewatch.domain.ids import EventId, from_ruuid
from facewatch.errors import NotFound
from facewatch.ports import ApiKey


async def get_face_event(deps: Deps, caller: ApiKey, message: GetFaceEventIn) -> GetFaceEventOut:
    """One event, by ``eventUuid``."""
    event = await deps.events.get(caller.org, _event_id(message.event_uuid))
    return GetFaceEventOut(face_event=FaceEventOut.of(event))


def _event_id(text: str | None) -> EventId:
    """The id that *text* spells; what spells none is the id of no event."""
    try:
        return EventId(from_ruuid(text or ""))
    except ValueError as error:
        raise NotFound(f"eventUuid is {error}", "take the uuid of a face event") from error


_BASE = "/api/faceRecognition/faceEvent"

ROUTES = [
    operation(f"{_BASE}/getFaceEvent", GetFaceEventIn, get_face_event),
]
