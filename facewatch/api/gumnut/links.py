"""Links to the picture of a face: they need no key, and expire (docs/decisions/0083).

A link is signed with the org's secret for the key that asked for it, and is as good as that key:
it shows nothing once the key is revoked or has expired, the pixels were erased or the face is gone.
"""

import base64
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
from facewatch.api.family import Family, Refusal, Role, Route, Side, Style, picture
from facewatch.api.gumnut.resource import Call, failure
from facewatch.api.gumnut.style import FailureOut
from facewatch.api.gumnut.video import video
from facewatch.api.gumnut.wire import VARIANTS, AssetUrls, AssetVariant, AssetVariants
from facewatch.domain.audit import Action
from facewatch.domain.ids import (
    AssetId,
    FaceId,
    KeyId,
    from_prefixed,
    from_ruuid,
    to_prefixed,
    to_ruuid,
)
from facewatch.domain.library import Asset, AssetKind, LibraryFace
from facewatch.ports.access import ApiKey

_LIFE_S = 3600
_ALIKE_S = 900
"""Links of the same quarter of an hour are the same, so that a browser keeps what it fetched."""
_FACE = "/media/signed/faces/{face_id}"
_ASSET = "/media/signed/assets/{asset_id}/{variant}"
_LONGEST_PX = {"thumbnail": 320, "preview": 1440}


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
        path = _FACE.format(face_id=to_prefixed("face", face.id))
        url = self._signed(path, "face", face.id)
        return {"thumbnail": AssetVariant(url=url, mimetype="image/jpeg")}

    def of_asset(self, asset: Asset) -> AssetVariants | None:
        """None where there are no pixels to show."""
        if not asset.key:
            return None
        found: AssetVariants = {}
        for variant in VARIANTS:
            path = _ASSET.format(asset_id=to_prefixed("asset", asset.id), variant=variant)
            url = self._signed(path, variant, asset.id)
            most = _LONGEST_PX.get(variant, asset.width)
            width = round(asset.width * min(1.0, most / max(asset.width, asset.height)))
            whole = variant == "original"
            found[variant] = AssetVariant(
                url=url,
                mimetype=asset.mime if whole else "image/jpeg",
                width=asset.width if whole else width,
            )
        return found

    def _signed(self, path: str, what: str, subject: UUID) -> str:
        key = self._call.key.id
        signature = _signature(self._secret, what, subject, key, self._until)
        query = urlencode({"until": self._until, "key": to_ruuid(key), "signature": signature})
        return f"{self._call.origin}{path}?{query}"


async def links_for(deps: Deps, call: Call) -> Links:
    return Links(call, await deps.keys.page_secret(call.key.org), deps.clock())


def _signature(secret: bytes, what: str, subject: UUID, key: UUID, until: int) -> str:
    message = f"{what}\0".encode() + subject.bytes + key.bytes + until.to_bytes(8, "big")
    return base64.urlsafe_b64encode(hmac.digest(secret, message, "sha256")[:24]).decode()


async def signer(deps: Deps, request: web.Request) -> ApiKey | None:
    """Whose key the link is for, if it is ours and good."""
    try:
        asked = LinkIn.model_validate(dict(request.query))
        what, subject = _subject(request)
        key = KeyId(from_ruuid(asked.key))
    except (ValidationError, ValueError):
        return None
    if asked.until <= deps.clock().astimezone(UTC).timestamp():
        return None
    known = await deps.keys.signer(key)
    if known is None:
        return None
    caller, secret = known
    good = _signature(secret, what, subject, key, asked.until)
    return caller if hmac.compare_digest(good.encode(), asked.signature.encode()) else None


def _subject(request: web.Request) -> tuple[str, UUID]:
    """What a link shows, and of which face or asset; raises ValueError."""
    names = request.match_info
    if "face_id" in names:
        return "face", from_prefixed("face", names["face_id"])
    return names["variant"], from_prefixed("asset", names["asset_id"])


async def get_thumbnail(deps: Deps, caller: ApiKey, request: web.Request) -> web.Response:
    """The picture of a face, by a link from *asset_urls*.

    A client may keep it but asks each time whether it may still show it.
    """
    face = FaceId(from_prefixed("face", request.match_info["face_id"]))
    concerns(face)
    body = await deps.cutter.thumbnail(await deps.faces.get(caller.org, face))
    return picture(request, body, "image/jpeg")


async def get_asset_picture(deps: Deps, caller: ApiKey, request: web.Request) -> web.Response:
    """An asset's *thumbnail*, *preview* or *original*, by a link from *asset_urls*.

    Of a clip the first two are pictures; of the last a client may ask for a range of bytes.

    A client may keep it but asks each time whether it may still show it.
    """
    variant, subject = _subject(request)
    concerns(subject)
    asset = await deps.assets.get(caller.org, AssetId(subject))
    if variant in _LONGEST_PX:
        body = await deps.cutter.scaled(asset, _LONGEST_PX[variant])
        return picture(request, body, "image/jpeg")
    if asset.kind is AssetKind.CLIP:
        return await video(request, deps.blobs, asset)
    return picture(request, await deps.cutter.whole(asset), asset.mime)


def _no_secret(request: web.Request) -> str:
    raise errors.Unauthenticated("a link is good by its signature alone")


def _own_name(route: Route, side: Side) -> None:
    return None


FAMILY = Family(
    name="links",
    prefix="/media/signed/",
    routes=[
        Route(
            *("GET", _FACE, get_thumbnail, Role.VIEWER, Action.FACE_IMAGE_VIEWED),
            about=getdoc(get_thumbnail) or "",
            query=LinkIn,
            gives="image/jpeg",
            name="getThumbnail",
        ),
        Route(
            *("GET", _ASSET, get_asset_picture, Role.VIEWER, Action.FACE_IMAGE_VIEWED),
            about=getdoc(get_asset_picture) or "",
            query=LinkIn,
            gives="image/*",
            name="getAssetPicture",
        ),
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
