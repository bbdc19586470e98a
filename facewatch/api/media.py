"""The pixels behind ``imageS3Key`` and ``thumbnailS3Key``."""

from inspect import getdoc
from pathlib import PurePosixPath

from aiohttp import web
from pydantic import BaseModel, Field

from facewatch import errors
from facewatch.api.audit import concerns
from facewatch.api.deps import Deps
from facewatch.api.family import API_KEY, Family, Refusal, Role, Route, Side, Style, picture
from facewatch.api.rhombus import operation
from facewatch.api.rhombus.style import REFUSALS, SCHEME, RefusedOut
from facewatch.domain.audit import Action
from facewatch.domain.keys import org_of, subject_of
from facewatch.ports.access import ApiKey

_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


class PictureIn(BaseModel):
    """Which picture: ``s3ObjectKey`` is the ``imageS3Key`` or ``thumbnailS3Key`` of an event."""

    s3_object_key: str = Field("", alias="s3ObjectKey")


async def get_picture(deps: Deps, caller: ApiKey, request: web.Request) -> web.Response:
    """The object of ``s3ObjectKey``; one of another org is not there.

    A client may keep it but asks each time whether it may still show it: pixels can be erased
    and keys revoked.
    """
    key = PictureIn.model_validate(request.query).s3_object_key
    if org_of(key) != caller.org:
        raise errors.NotFound("there is no picture with this key")
    if subject := subject_of(key):
        concerns(subject)
    body = await deps.blobs.get(key)
    kind = _TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
    return picture(request, body, kind)


def _failure(request: web.Request, error: Exception) -> web.Response:
    """As the operations say it, but what is absent is 404: a picture has no room for words."""
    if isinstance(error, errors.NotFound):
        said = {"error": "Not Found", "msg": "there is no picture with this s3ObjectKey"}
        return web.json_response(said, status=404)
    return operation.failure(request, error)


def _own_name(route: Route, side: Side) -> None:
    return None


FAMILY = Family(
    name="media",
    prefix="/media/",
    routes=[
        Route(
            *("GET", "/media/faces", get_picture, Role.VIEWER, Action.FACE_IMAGE_VIEWED),
            about=getdoc(get_picture) or "",
            query=PictureIn,
            gives="image/*",
            name="getPicture",
        )
    ],
    credential=operation.credential,
    failure=_failure,
    style=Style(
        lambda _route: "Pictures",
        _own_name,
        {"ApiKeyAuth": API_KEY},
        [*REFUSALS, Refusal(404, "There is no such picture, or it was erased.", RefusedOut)],
        parameters=[SCHEME],
    ),
)
