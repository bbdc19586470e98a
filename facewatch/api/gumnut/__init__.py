"""The Gumnut contract of May 2026: REST, snake_case, prefixed ids, cursors."""

from facewatch.api.family import Family
from facewatch.api.gumnut import assets, faces, people, search, upload
from facewatch.api.gumnut.resource import failure
from facewatch.api.gumnut.style import STYLE
from facewatch.api.house.resource import credential

FAMILY = Family(
    name="gumnut",
    prefix=("/api/faces", "/api/people", "/api/assets", "/api/search"),
    routes=[*faces.ROUTES, *people.ROUTES, *assets.ROUTES, *upload.ROUTES, *search.ROUTES],
    credential=credential,
    failure=failure,
    style=STYLE,
)
