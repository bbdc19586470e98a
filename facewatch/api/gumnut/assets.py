"""/api/assets: whole pictures, and who is in them."""

import base64
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, Field

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.gumnut.faces import FaceResponse
from facewatch.api.gumnut.links import Links, links_for
from facewatch.api.gumnut.people import PersonResponse
from facewatch.api.gumnut.resource import Call, resource
from facewatch.api.gumnut.wire import (
    MOST_IDS,
    AlbumRef,
    AssetRef,
    AssetVariants,
    Done,
    InLibrary,
    Moment,
    PageIn,
    PersonRef,
    Shape,
    cut_off,
)
from facewatch.domain.audit import Action
from facewatch.domain.ids import to_ruuid
from facewatch.domain.library import Asset, AssetFilter, Brought, IntakeState
from facewatch.errors import NotFound
from facewatch.people.forget import drop_pixels

_ENROLLED = "enrolment"
"""Where a photo comes from that somebody brought."""


Include = list[Literal["metadata", "faces", "people", "file_data", "variants"]]
"""All of these are always there: older clients do not ask."""


class AssetIn(InLibrary):
    """Which picture."""

    asset_id: AssetRef


class AssetShownIn(AssetIn):
    """Which picture; *include* changes nothing: all of it is shown."""

    include: Include = Field(default_factory=list)


class AssetsIn(PageIn):
    """Which pictures: those that all of this lets through.

    Attributes:
        album_id: There are no albums.
        person_id: They are in it.
        person_ids: All of them are in it.
        local_datetime_after, local_datetime_before: Exclusive; without an offset by the clock of
            the place.
        order: By when it was captured.
        state: There is no bin: nothing is *trashed*.
        include: Changes nothing: all of it is shown.
    """

    ids: Annotated[list[AssetRef], Field(max_length=MOST_IDS)] | None = None
    album_id: AlbumRef | None = None
    person_id: PersonRef | None = None
    person_ids: Annotated[list[PersonRef], Field(max_length=MOST_IDS)] | None = None
    local_datetime_after: Moment | None = None
    local_datetime_before: Moment | None = None
    media_type: Literal["image", "video"] | None = None
    order: Literal["asc", "desc"] = "desc"
    state: Literal["live", "trashed", "all"] = "live"
    include: Include = Field(default_factory=list)
    starting_after_id: AssetRef | None = None


class ExifResponse(Shape):
    """What is known of how a picture was taken."""

    asset_id: AssetRef
    created_at: AwareDatetime
    updated_at: AwareDatetime
    original_datetime: AwareDatetime


class MetadataResponse(ExifResponse):
    """As exif; *timezone* (IANA) is that of the place."""

    timezone: str


class FileDataResponse(Shape):
    """What is told of the file: the same as beside it, for newer clients."""

    device_asset_id: str
    device_id: str
    file_created_at: AwareDatetime
    file_modified_at: AwareDatetime
    checksum: str
    checksum_sha1: str | None
    file_size_bytes: int


class IngestResponse(Shape):
    """How far a picture or clip that was brought has been looked at.

    Attributes:
        percent: 0..100.
        message: Why it failed, or what of it could not be read; null where there is nothing to say.
    """

    status: IntakeState
    percent: float
    message: str | None

    @classmethod
    def of(cls, brought: Brought) -> "IngestResponse":
        return cls(status=brought.state, percent=brought.percent, message=brought.said or None)


class AssetResponse(Shape):
    """A whole picture, or a clip.

    Attributes:
        device_id: As whoever brought it said; of a snapshot the camera, in the spelling of the
            other contracts.
        checksum: SHA-256, base64.
        checksum_sha1: Base64; null of what nobody brought.
        duration: Of a clip, seconds, where it tells.
        ingest: Null of what nobody brought.
        local_datetime: When it was captured, with the offset of the place.
        metrics: *best_face_score* is the detector's own of the surest face, 0..1.
        asset_urls: Null where its pixels were erased; of a clip *original* is the video.
        exif: Only what is known: the time.
    """

    id: AssetRef
    device_asset_id: str
    device_id: str
    mime_type: str
    original_file_name: str
    file_created_at: AwareDatetime
    file_modified_at: AwareDatetime
    local_datetime: AwareDatetime
    checksum: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    checksum_sha1: str | None
    exif: ExifResponse
    metadata: MetadataResponse
    metrics: dict[str, float | None]
    asset_urls: AssetVariants | None
    description: None = None
    faces: list[FaceResponse]
    people: list[PersonResponse]
    width: int
    height: int
    file_size_bytes: int
    trashed_at: None = None
    current_version_id: str
    kind: Literal["original"] = "original"
    duration: float | None
    file_data: FileDataResponse
    ingest: IngestResponse | None

    @classmethod
    def of(cls, asset: Asset, links: Links) -> "AssetResponse":
        there = asset.captured_at.astimezone(ZoneInfo(asset.time_zone))
        taken = {
            "asset_id": asset.id,
            "created_at": asset.created_at,
            "updated_at": asset.updated_at,
            "original_datetime": there,
        }
        told = asset.brought
        camera = to_ruuid(asset.camera) if asset.camera else _ENROLLED
        file = FileDataResponse(
            device_asset_id=told.device_asset if told else to_ruuid(asset.id),
            device_id=told.device if told else camera,
            file_created_at=told.created_at if told else asset.captured_at,
            file_modified_at=told.modified_at if told else asset.captured_at,
            checksum=base64.b64encode(asset.sha256).decode(),
            checksum_sha1=base64.b64encode(told.sha1).decode() if told else None,
            file_size_bytes=asset.size_bytes,
        )
        return cls(
            **file.model_dump(),
            file_data=file,
            id=asset.id,
            mime_type=asset.mime,
            original_file_name=asset.file_name,
            local_datetime=there,
            created_at=asset.created_at,
            updated_at=asset.updated_at,
            exif=ExifResponse.model_validate(taken),
            metadata=MetadataResponse.model_validate({**taken, "timezone": asset.time_zone}),
            metrics={"best_face_score": max((it.score for it in asset.faces), default=None)},
            asset_urls=links.of_asset(asset),
            faces=[FaceResponse.of(face, links) for face in asset.faces],
            people=[PersonResponse.of(person, links) for person in asset.people],
            width=asset.width,
            height=asset.height,
            duration=None if asset.duration_ms is None else asset.duration_ms / 1000,
            ingest=IngestResponse.of(told) if told else None,
            current_version_id=f"asset_version_{to_ruuid(asset.id)}",
        )


class AssetList(Shape):
    """A part of a list; *has_more* says whether it goes on behind the last of it."""

    data: list[AssetResponse]
    has_more: bool


async def list_assets(deps: Deps, call: Call, asked: AssetsIn) -> AssetList:
    """Pictures, the newest capture first, unless asked otherwise."""
    if asked.album_id is not None:
        raise NotFound("there is no such album: this library has none", "leave album_id out")
    if asked.state == "trashed":
        return AssetList(data=[], has_more=False)
    people = {*(asked.person_ids or ()), *([asked.person_id] if asked.person_id else ())}
    wanted = AssetFilter(
        people=frozenset(people) or None,
        after=asked.local_datetime_after,
        before=asked.local_datetime_before,
        is_clip=asked.media_type and asked.media_type == "video",
    )
    found = await deps.assets.page(
        *(call.key.org, wanted, asked.limit + 1, asked.starting_after_id),
        newest=asked.order == "desc",
        ids=None if asked.ids is None else frozenset(asked.ids),
    )
    assets, more = cut_off(found, asked.limit)
    links = await links_for(deps, call)
    return AssetList(data=[AssetResponse.of(it, links) for it in assets], has_more=more)


async def delete_asset(deps: Deps, call: Call, asked: AssetIn) -> Done:
    """Delete a picture or clip with its faces.

    Visits that were found in what somebody brought go with it; a visit at a camera keeps its own
    pictures of the face, and an enrolled photo takes its matchmaker along.
    """
    await drop_pixels(deps.blobs, await deps.assets.remove(call.key.org, asked.asset_id))
    return Done()


async def get_asset(deps: Deps, call: Call, asked: AssetShownIn) -> AssetResponse:
    """One picture, with its faces and the people in it."""
    asset = await deps.assets.get(call.key.org, asked.asset_id)
    return AssetResponse.of(asset, await links_for(deps, call))


ROUTES = [
    resource("GET", "/api/assets", list_assets, action=Action.FACES_VIEWED),
    resource("GET", "/api/assets/{asset_id}", get_asset, action=Action.FACE_IMAGE_VIEWED),
    resource(
        "DELETE",
        "/api/assets/{asset_id}",
        delete_asset,
        Role.OPERATOR,
        action=Action.ASSET_DELETED,
    ),
]
