"""The Rhombus face-recognition contract: POST, camelCase, RUUIDs, milliseconds."""

from facewatch.api.family import Family
from facewatch.api.rhombus import export, face_event, matchmaker, person, similar, upload
from facewatch.api.rhombus.operation import credential, failure
from facewatch.api.rhombus.style import STYLE

FAMILY = Family(
    name="rhombus",
    prefix="/api/faceRecognition/",
    routes=[
        *face_event.ROUTES,
        *export.ROUTES,
        *similar.ROUTES,
        *matchmaker.ROUTES,
        *person.ROUTES,
        *upload.ROUTES,
    ],
    credential=credential,
    failure=failure,
    style=STYLE,
)
