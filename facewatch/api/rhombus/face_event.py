"""/api/faceRecognition/faceEvent."""

from facewatch.api.deps import Deps
from facewatch.api.rhombus.operation import operation
from facewatch.api.rhombus.wire import FaceEventOut, GetFaceEventIn, GetFaceEventOut
from facewatch.domain.ids import EventId, from_ruuid
from facewatch.errors import NotFound
from facewatch.ports import ApiKey


async def get_face_event(deps: Deps, caller: ApiKey, message: GetFaceEventIn) -> GetFaceEventOut:
    """One event, by ``eventUuid``."""
    try:
        event_id = EventId(from_ruuid(message.event_uuid or ""))
        event = await deps.events.get(caller.org, event_id)
    except (ValueError, NotFound):
        # What spells no UUID is the id of no event: a caller cannot tell the two apart.
        raise NotFound("there is no face event with this eventUuid", "check the id") from None
    return GetFaceEventOut(face_event=FaceEventOut.of(event))


_BASE = "/api/faceRecognition/faceEvent"

ROUTES = [
    operation(f"{_BASE}/getFaceEvent", GetFaceEventIn, get_face_event),
]
