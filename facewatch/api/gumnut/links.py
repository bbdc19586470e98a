"""Links to the picture of a face: they need no key, and expire (docs/decisions/0083).

A link is signed with the org's secret for the key that asked for it, and is as good as that key:
it shows nothing once the key is revoked or has expired, the pixels were erased or the face is gone.
"""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from inspect import getdoc
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

from facewatch import errors
from facewatch.api.audit import concerns
from facewatch.api.deps import Deps
from facewatch.api.family import Family, Refusal, Role, Route, Side, Style
from facewatch.api.gumnut.resource import Call, failure
from facewatch.api.gumnut.style import FailureOut
from facewatch.api.gumnut.wire import AssetUrls, AssetVariant
from facewatch.domain.audit import Action
from facewatch.domain.ids import FaceId, KeyId, from_prefixed, from_ruuid, to_prefixed, to_ruuid
from facewatch.domain.library import LibraryFace
from facewatch.ports import ApiKey

_LIFE_S = 3600
_ALIKE_S = 900
"""Links of the same quarter of an hour are the same, so that a browser keeps what it fetched."""
_PATH = "/media/signed/faces/{face_id}"


class LinkIn(BaseModel):
    """What makes a link ours: until when it is good (Unix seconds), for which key; the proof."""

    until: Annotated[int, Field(ge=0, le=1 << 40)]
    key: str
    signature: str


class Links:
    """Links for whoever asks: one reading of the org's secret for all of them."""

    def __init__(self, call: Call, secret: bytes, now: datetime) -> None:
        self._call = call
        self._secret = secret
        self._until = (int(now.timestamp()) + _LIFE_S) // _ALIKE_S * _ALIKE_S + _ALIKE_S

    def of(self, face: LibraryFace | None) -> AssetUrls | None:
        """None where there are no pixels to show."""
        if face is None or not face.has_pixels:
            return None
        key = self._call.key.id
        signature = _signature(self._secret, face.id, key, self._until)
        query = urlencode({"until": self._until, "key": to_ruuid(key), "signature": signature})
        path = _PATH.format(face_id=to_prefixed("face", face.id))
        url = f"{self._call.origin}{path}?{query}"
        return {"thumbnail": AssetVariant(url=url, mimetype="image/jpeg")}


async def links_for(deps: Deps, call: Call) -> Links:
    return Links(call, await deps.keys.page_secret(call.key.org), deps.clock())


def _signature(secret: bytes, face: UUID, key: UUID, until: int) -> str:
    message = b"thumbnail\0" + face.bytes + key.bytes + until.to_bytes(8, "big")
    return base64.urlsafe_b64encode(hmac.digest(secret, message, "sha256")[:24]).decode()


async def signer(deps: Deps, request: web.Request) -> ApiKey | None:
    """Whose key the link is for, if it is ours and good."""
    try:
        asked = LinkIn.model_validate(dict(request.query))
        face = from_prefixed("face", request.match_info["face_id"])
        key = KeyId(from_ruuid(asked.key))
    except (ValidationError, ValueError):
        return None
    if asked.until <= deps.clock().astimezone(UTC).timestamp():
        return None
    known = await deps.keys.signer(key)
    if known is None:
        return None
    caller, secret = known
    good = _signature(secret, face, key, asked.until)
    return caller if hmac.compare_digest(good.encode(), asked.signature.encode()) else None


async def get_thumbnail(deps: Deps, caller: ApiKey, request: web.Request) -> web.Response:
    """The picture of a face, by a link from *asset_urls*.

    A client may keep it but asks each time whether it may still show it.
    """
    face = FaceId(from_prefixed("face", request.match_info["face_id"]))
    concerns(face)
    body = await deps.cutter.thumbnail(await deps.faces.get(caller.org, face))
    tag = hashlib.sha256(body).hexdigest()[:32]
    response = web.Response(
        headers={"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    )
    response.etag = tag
    if any(theirs.value in (tag, "*") for theirs in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.content_type = "image/jpeg"
    response.body = body
    return response


def _no_secret(request: web.Request) -> str:
    raise errors.Unauthenticated("a link is good by its signature alone")


def _own_name(route: Route, side: Side) -> None:
    return None


FAMILY = Family(
    name="links",
    prefix="/media/signed/",
    routes=[
        Route(
            *("GET", _PATH, get_thumbnail, Role.VIEWER, Action.FACE_IMAGE_VIEWED),
            about=getdoc(get_thumbnail) or "",
            query=LinkIn,
            gives="image/jpeg",
            name="getThumbnail",
        )
    ],
    credential=_no_secret,
    failure=failure,
    style=Style(
        lambda _route: "Pictures",
        _own_name,
        {},
        [
            Refusal(401, "The link is not ours, has expired, or its key was revoked.", FailureOut),
            Refusal(404, "There is no such face, or its pixels were erased.", FailureOut),
            Refusal(429, "The org's requests come too fast.", FailureOut),
            Refusal(503, "A store is down.", FailureOut),
        ],
    ),
    signer=signer,
)
