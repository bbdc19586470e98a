"""Pictures and clips that somebody brings are kept at once; `app.intake` looks at them later."""

import asyncio
import contextlib
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from facewatch.domain.cameras import Camera
from facewatch.domain.ids import AssetId, CameraId, OrgId, from_ruuid, new_id
from facewatch.domain.keys import clip_prefix, picture_prefix
from facewatch.domain.library import AssetKind, Brought, NewAsset
from facewatch.errors import (
    AlreadyExists,
    Busy,
    NotAPicture,
    NotFound,
    StoreTrouble,
    UnreadableStream,
    UnusableValue,
)
from facewatch.ports.cameras import Cameras, Locations
from facewatch.ports.keeping import Blobs
from facewatch.ports.library import BroughtAssets
from facewatch.ports.streams import ClipHeader, Picture
from facewatch.ports.vision import Encoder, PhotoHeader

UPLOADS = "uploads"
"""The camera that what is brought is seen by, unless a camera of the org is named as its device."""

LARGEST_PICTURE_BYTES = 64 << 20
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Postgres takes the ends of the calendar for infinite, and no zone can show them."""
_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be brought.

    Attributes:
        file_bytes: One file.
        files, bytes: What waits of an org.
    """

    file_bytes: int = 2 << 30
    files: int = 500
    bytes: int = 50 << 30


@dataclass(frozen=True, slots=True)
class Parcel:
    """A file on the local disk, and what its sender tells of it.

    Attributes:
        created_at, modified_at: Without an offset by the clock of the place.
    """

    file: Path
    name: str
    size_bytes: int
    sha256: bytes
    sha1: bytes
    device: str
    device_asset: str
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Intake:
    """Where pictures and clips are kept until their turn comes.

    Attributes:
        is_picture: Whether a file that begins so is one.
        header, decode: Take a picture's bytes and name, and raise `NotAPicture`.
        clip: Opens a video and decodes its first picture; raises `UnreadableStream`.
        folder: Where files lie while they are sent.
        turns: How many are sent at once; others wait.
        probes: How many are decoded at once.
    """

    brought: BroughtAssets
    cameras: Cameras
    locations: Locations
    blobs: Blobs
    is_picture: Callable[[bytes], bool]
    header: Callable[[bytes, str], PhotoHeader]
    decode: Callable[[bytes, str], Picture]
    clip: Callable[[Path], ClipHeader]
    encoder: Encoder
    folder: Path
    room: Room = Room()
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(8))
    probes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    async def keep(self, org: OrgId, parcel: Parcel) -> tuple[AssetId, bool]:
        """Keep it, durable when it returns, and whether it is new: these bytes are kept once.

        Raises:
            NotAPicture, UnreadableStream: it is no picture or clip that can be read.
            UnusableValue: it was captured before 1970 or in the future, or changed before 1970.
            Busy: too much waits.
            DatabaseUnavailable, ObjectStoreUnavailable: it could not be kept.
        """
        if known := await self.brought.known(org, parcel.sha256):
            return known, False
        await self._refuse_full(org, parcel)
        camera, time_zone = await self._camera(org, parcel.device)
        async with self.probes:
            new, still = await asyncio.to_thread(_looked_at, self, camera, time_zone, parcel)
        keys = [key for key in (new.key, new.still_key) if key]
        try:
            await self.blobs.put_file(new.key, parcel.file, new.mime)
            if still is not None:
                await self.blobs.put(new.still_key, still, "image/jpeg")
            kept = await self.brought.add(new)
        except StoreTrouble:
            with contextlib.suppress(StoreTrouble):
                await self.blobs.delete(keys)
            raise
        if kept != new.id:
            with contextlib.suppress(StoreTrouble):
                await self.blobs.delete(keys)
        return kept, kept == new.id

    async def _refuse_full(self, org: OrgId, parcel: Parcel) -> None:
        files, size = await self.brought.waiting(org)
        if files >= self.room.files or size + parcel.size_bytes > self.room.bytes:
            raise Busy("too many pictures and clips wait to be looked at", "send it again later")

    async def _camera(self, org: OrgId, device: str) -> tuple[Camera, str]:
        """Who saw it, and the time zone of the place."""
        camera = await self._named(org, device) or await self._uploads(org)
        location = await self.locations.get(org, camera.location)
        return camera, location.time_zone

    async def _named(self, org: OrgId, device: str) -> Camera | None:
        try:
            return await self.cameras.get(org, CameraId(from_ruuid(device.partition(".")[0])))
        except (ValueError, NotFound):
            return None

    async def _uploads(self, org: OrgId) -> Camera:
        with contextlib.suppress(NotFound):
            return await self.cameras.by_name(org, UPLOADS)
        location = await self.locations.first(org)
        made = Camera(CameraId(new_id()), org, location, UPLOADS, url="")
        try:
            await self.cameras.add(made)
        except AlreadyExists:  # somebody made it meanwhile
            return await self.cameras.by_name(org, UPLOADS)
        return made


def _looked_at(
    intake: Intake, camera: Camera, time_zone: str, parcel: Parcel
) -> tuple[NewAsset, bytes | None]:
    """What it is, and of a clip its first picture as JPEG. Blocks."""
    created, modified = (_moment(it, time_zone) for it in (parcel.created_at, parcel.modified_at))
    if not _EARLIEST <= created <= datetime.now(UTC) + timedelta(days=1):
        raise UnusableValue(
            "file_created_at lies before 1970 or in the future", "say when it was captured"
        )
    if not _EARLIEST <= modified < _LATEST:
        raise UnusableValue(
            "file_modified_at lies before 1970 or after 9998", "say when the file was changed"
        )
    new = NewAsset(
        id=AssetId(new_id(created)),
        org=camera.org,
        kind=AssetKind.PHOTO,
        camera=camera.id,
        captured_at=created,
        time_zone=time_zone,
        width=0,
        height=0,
        duration_ms=None,
        size_bytes=parcel.size_bytes,
        sha256=parcel.sha256,
        mime="",
        file_name=parcel.name,
        key="",
        still_key="",
        brought=Brought(parcel.device, parcel.device_asset, created, modified, parcel.sha1),
    )
    with parcel.file.open("rb") as opened:
        is_picture = intake.is_picture(opened.read(_HEAD_BYTES))
    return (_picture if is_picture else _clip)(intake, new, parcel)


def _picture(intake: Intake, new: NewAsset, parcel: Parcel) -> tuple[NewAsset, None]:
    if parcel.size_bytes > LARGEST_PICTURE_BYTES:
        raise NotAPicture(
            f"{parcel.name} is a picture of more than {LARGEST_PICTURE_BYTES >> 20} MiB",
            "scale it down",
        )
    body = parcel.file.read_bytes()
    mime = intake.header(body, parcel.name).mime
    picture = intake.decode(body, parcel.name)
    ending = mimetypes.guess_extension(mime) or ".bin"
    key = f"{picture_prefix(new.org, new.id, new.captured_at)}/original{ending}"
    return replace(new, width=picture.width, height=picture.height, mime=mime, key=key), None


def _clip(intake: Intake, new: NewAsset, parcel: Parcel) -> tuple[NewAsset, bytes]:
    try:
        found = intake.clip(parcel.file)
    except UnreadableStream as error:
        what = error.what.removeprefix(f"{parcel.file}: ").removeprefix(f"{parcel.file.name}: ")
        raise UnreadableStream(
            f"{parcel.name}: {what}", "send a picture (JPEG, PNG, WebP, BMP, GIF) or a whole video"
        ) from error
    prefix = clip_prefix(new.org, new.id, new.captured_at)
    clip = replace(
        new,
        kind=AssetKind.CLIP,
        width=found.width,
        height=found.height,
        duration_ms=found.duration_ms,
        mime=found.mime,
        key=f"{prefix}/original",
        still_key=f"{prefix}/still.jpg",
    )
    return clip, intake.encoder.jpeg(found.first, 85)


def _moment(said: datetime, time_zone: str) -> datetime:
    """UTC; without an offset it is what a clock at the place showed."""
    try:
        return (said if said.tzinfo else said.replace(tzinfo=ZoneInfo(time_zone))).astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
