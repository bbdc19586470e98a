"""POST /api/assets: a picture or clip is kept, and looked at when its turn comes."""

from collections.abc import Mapping
from inspect import getdoc
from typing import Annotated

from aiohttp import web
from pydantic import Field, WithJsonSchema

from facewatch.api.audit import concerns
from facewatch.api.deps import Deps
from facewatch.api.family import Role, Route, origin
from facewatch.api.gumnut.assets import AssetResponse
from facewatch.api.gumnut.links import links_for
from facewatch.api.gumnut.resource import Call, Unprocessable, read, wrong
from facewatch.api.gumnut.wire import InLibrary, Moment
from facewatch.api.multipart import Streamed, streamed
from facewatch.domain.audit import Action
from facewatch.domain.ids import to_prefixed
from facewatch.people.intake import Parcel
from facewatch.ports.access import ApiKey

_FILE = "asset_data"
_LONGEST = 1024

Told = Annotated[str, Field(max_length=_LONGEST, pattern=r"^[^\x00]*$")]


class NewAssetFields(InLibrary):
    """What is told of a file.

    Attributes:
        device_asset_id: In the sender's own words.
        device_id: Likewise; the id of a camera of the org makes it what that camera saw.
        file_created_at: When it was captured, or a clip begins; without an offset by the clock of
            the place.
    """

    device_asset_id: Told
    device_id: Told
    file_created_at: Moment
    file_modified_at: Moment


class NewAssetIn(NewAssetFields):
    """A picture (JPEG, PNG, WebP, BMP, GIF) or a clip.

    Attributes:
        asset_data: The file, with its name.
    """

    asset_data: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})]


async def create_asset(deps: Deps, key: ApiKey, request: web.Request) -> web.Response:
    """Bring a picture or clip: it is looked at as what a camera sees, and found like that.

    What is answered with 201 is kept; *ingest* tells how far it has been looked at. The same bytes
    again are what was brought before: 200.
    """
    asked_library = read(InLibrary, _library(request), {"library_id": "query"})
    asked_library.refuse_foreign(key.org)
    most = deps.intake.room.file_bytes
    async with deps.intake.turns, streamed(request, _FILE, deps.intake.folder, most) as form:
        asset, is_new = await deps.intake.keep(key.org, _parcel(key, form))
    concerns(asset)
    links = await links_for(deps, Call(key, origin(request)))
    shown = AssetResponse.of(await deps.assets.get(key.org, asset), links)
    response = web.Response(
        text=shown.model_dump_json(),
        status=201 if is_new else 200,
        content_type="application/json",
    )
    if is_new:
        response.headers["Location"] = f"/api/assets/{to_prefixed('asset', asset)}"
    return response


def _library(request: web.Request) -> Mapping[str, str]:
    return {name: it for name, it in request.query.items() if name == "library_id"}


def _parcel(key: ApiKey, form: Streamed) -> Parcel:
    """
    Raises:
        NotFound: it is for another library.
        Unprocessable: a field or the file is missing, or not as it must be.
    """
    told = read(NewAssetFields, form.fields, dict.fromkeys(NewAssetFields.model_fields, "body"))
    told.refuse_foreign(key.org)
    if form.file is None:
        said = "there is no file; send it as a part with a file name"
        raise Unprocessable([wrong(["body", _FILE], "missing", said)])
    if not form.size_bytes:
        said = f"{form.name} is empty; send it again"
        raise Unprocessable([wrong(["body", _FILE], "value_error", said)])
    return Parcel(
        file=form.file,
        name=form.name or "unnamed",
        size_bytes=form.size_bytes,
        sha256=form.sha256,
        sha1=form.sha1,
        device=told.device_id,
        device_asset=told.device_asset_id,
        created_at=told.file_created_at,
        modified_at=told.file_modified_at,
    )


ROUTES = [
    Route(
        *("POST", "/api/assets", create_asset, Role.OPERATOR, Action.ASSET_CREATED),
        about=getdoc(create_asset) or "",
        takes=NewAssetIn,
        query=InLibrary,
        gives=AssetResponse,
        status=201,
        name="gumnut_create_asset",
        form=True,
        again=200,
    )
]
