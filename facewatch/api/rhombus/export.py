"""/api/faceRecognition/faceEvent/exportFaceEventsByOrg: a list of events as a table."""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC
from inspect import getdoc

from aiohttp import web
from pydantic import ValidationError

from facewatch.api.audit import concerns_asked
from facewatch.api.deps import Deps
from facewatch.api.family import Role, Route, body_of, refused
from facewatch.api.rhombus import lists
from facewatch.api.rhombus.wire import ExportFaceEventsByOrgIn, FaceEventOut, FaceEventSearchFilter
from facewatch.domain.audit import Action
from facewatch.domain.events import EventFilter, FaceEvent
from facewatch.domain.ids import OrgId
from facewatch.ports.access import ApiKey
from facewatch.ports.events import FaceEvents

_BATCH = 500
_FORMULAS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # and the wide ones
_COLUMNS = (
    "uuid",
    "eventTimestamp",
    "eventTime",
    "deviceUuid",
    "locationUuid",
    "subLocationsHierarchyKey",
    "faceName",
    "personUuid",
    "matchConfidence",
    "detectionConfidence",
    "embeddingConfidence",
    "hasEmbedding",
    "imageS3Key",
    "thumbnailS3Key",
)


async def export_face_events_by_org(
    deps: Deps, caller: ApiKey, request: web.Request
) -> web.Response:
    """What findFaceEventsByOrg finds, whole, as CSV: a row an event, newest first.

    It is read and sent in batches, as fast as the caller takes them; one who goes away ends it. A
    store that fails on the way breaks the answer off: its last chunk is missing.
    """
    try:
        message = ExportFaceEventsByOrgIn.model_validate_json(await body_of(request))
    except ValidationError as error:
        raise refused(error) from None
    concerns_asked(message)
    asked = lists.wanted(message.search_filter or FaceEventSearchFilter())
    wanted = lists.lately(asked, deps.clock())
    # before the answer begins: a store that is down can still be said in its head
    first = await deps.events.find(caller.org, wanted, _BATCH)
    return web.Response(
        body=_written(deps.events, caller.org, wanted, first),
        content_type="text/csv",
        charset="UTF-8",
        headers={
            "Content-Disposition": 'attachment; filename="face-events.csv"',
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _written(
    events: FaceEvents, org: OrgId, wanted: EventFilter, batch: Sequence[FaceEvent]
) -> AsyncIterator[bytes]:
    yield _lines([_COLUMNS])
    while batch:
        yield _lines([_row(event) for event in batch])
        if len(batch) < _BATCH:
            return
        batch = await events.find(org, wanted, _BATCH, batch[-1].id)


def _row(event: FaceEvent) -> Sequence[object]:
    shown = FaceEventOut.of(event)
    match = shown.selected_person_match
    return (
        shown.uuid,
        shown.event_timestamp,
        event.first_seen.astimezone(UTC).isoformat(timespec="milliseconds"),
        shown.device_uuid,
        shown.location_uuid,
        shown.sub_locations_hierarchy_key,
        inert(shown.face_name or ""),
        shown.person_uuid,
        match and match.confidence,
        shown.detection_confidence,
        shown.embedding_confidence,
        "true" if shown.has_embedding else "false",
        shown.image_s3_key,
        shown.thumbnail_s3_key,
    )


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    """As RFC 4180 writes them."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def inert(text: str) -> str:
    """*text* as no spreadsheet computes it: a name must not be a formula.

    >>> inert("=1+1"), inert("Ann")
    ("'=1+1", 'Ann')
    """
    return f"'{text}" if text.lstrip().startswith(_FORMULAS) else text


ROUTES = [
    Route(
        "POST",
        "/api/faceRecognition/faceEvent/exportFaceEventsByOrg",
        export_face_events_by_org,
        Role.VIEWER,
        Action.FACE_EVENTS_EXPORTED,
        about=getdoc(export_face_events_by_org) or "",
        takes=ExportFaceEventsByOrgIn,
        gives="text/csv",
    )
]
