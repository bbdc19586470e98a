"""Cameras and how they are, in Postgres."""

import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from facewatch.domain.cameras import Camera, CameraState, CameraStatus, SuppressedRegion, Transport
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, LocationId, OrgId, RegionId, to_ruuid
from facewatch.errors import AlreadyExists, InvalidRequest, NotFound, StoreTrouble
from facewatch.store.database import Database, Row, Work
from facewatch.store.secrets import Vault

log = logging.getLogger(__name__)

CAMERAS = "camera"
"""NOTIFY channel that rings with an org's id when its cameras changed."""


class PostgresCameras:
    """`ports.cameras.Cameras` in Postgres; their passwords are sealed in *vault*."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def all(self, org: OrgId | None = None) -> list[Camera]:
        rows = await self._database.fetch("cameras", org=org, name=None)
        return [self._camera(row) for row in rows]

    async def by_name(self, org: OrgId, name: str) -> Camera:
        """
        Raises:
            NotFound: *org* has no camera of this name.
        """
        row = await self._database.row("cameras", org=org, name=name)
        if row is None:
            raise NotFound(f"there is no camera {name!r}", "facewatch camera list shows them")
        return self._camera(row)

    async def get(self, org: OrgId, camera: CameraId) -> Camera:
        """
        Raises:
            NotFound: *org* has no such camera.
        """
        row = await self._database.row("camera_get", org=org, id=camera)
        if row is None:
            raise NotFound(f"there is no camera {to_ruuid(camera)}")
        return self._camera(row)

    async def page(
        self,
        org: OrgId,
        limit: int,
        after: CameraId | None = None,
        locations: Sequence[LocationId] = (),
    ) -> list[Camera]:
        """The oldest first, from just behind *after*; only those in *locations* if it holds any."""
        rows = await self._database.fetch(
            "cameras_page", org=org, limit=limit, after=after, locations=list(locations) or None
        )
        return [self._camera(row) for row in rows]

    async def add(self, camera: Camera) -> None:
        """
        Raises:
            AlreadyExists: the org has a camera of this name.
            InvalidRequest: its name is blank, or its sub-location lies in another location.
            NotFound: the org has no such location.
        """
        async with self._changing(camera) as work:
            await work.fetch("camera_add", **self._values(camera))

    async def change(self, camera: Camera) -> None:
        """Another name, URLs, passwords, transport, place or threshold for one that stays the same.

        Raises:
            AlreadyExists: another camera of the org has this name.
            InvalidRequest: its name is blank, or its sub-location lies in another location.
            NotFound: the org has no such camera, or no such location.
        """
        async with self._changing(camera) as work:
            if await work.row("camera_change", **self._values(camera)) is None:
                raise NotFound(f"there is no camera {camera.name!r}")

    @asynccontextmanager
    async def _changing(self, camera: Camera) -> AsyncIterator[Work]:
        if not camera.name.strip():
            raise InvalidRequest("a camera's name must not be blank", "give it one")
        try:
            async with self._database.transaction() as work:
                await _check_place(work, camera)
                yield work
                await work.fetch("ring", channel=CAMERAS, payload=str(camera.org))
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists(
                f"there is a camera {camera.name!r} already", "choose another name, or remove it"
            ) from error

    async def remove(self, org: OrgId, camera: CameraId) -> None:
        """Stops being watched; its events stay.

        Raises:
            NotFound: *org* has no such camera.
        """
        async with self._database.transaction() as work:
            if await work.row("camera_remove", org=org, id=camera) is None:
                raise NotFound(f"there is no camera {to_ruuid(camera)}")
            await work.fetch("suppressed_regions_end", camera=camera, ids=[])
            await work.fetch("ring", channel=CAMERAS, payload=str(org))

    def _values(self, camera: Camera) -> dict[str, Any]:
        return {
            "id": camera.id,
            "org": camera.org,
            "location": camera.location,
            "sub_location": camera.place[-1] if camera.place else None,
            "name": camera.name,
            "url": camera.url,
            "credentials": self._vault.sealed(camera.credentials),
            "transport": camera.transport,
            "match_threshold": camera.match_threshold,
            "sub_url": camera.sub_url,
            "sub_credentials": self._vault.sealed(camera.sub_credentials),
        }

    def _camera(self, row: Row) -> Camera:
        return Camera(
            id=CameraId(row["id"]),
            org=OrgId(row["org"]),
            location=LocationId(row["location"]),
            name=row["name"],
            url=row["url"],
            credentials=self._opened(row["credentials"], row["name"]),
            transport=Transport(row["transport"]),
            place=tuple(LocationId(location) for location in row["place"]),
            match_threshold=_threshold(row["match_threshold"]),
            sub_url=row["sub_url"],
            sub_credentials=self._opened(row["sub_credentials"], row["name"]),
        )

    def _opened(self, sealed: bytes | None, camera: str) -> tuple[str, str] | None:
        """None too for a password that cannot be read: the other cameras can do without it."""
        try:
            return self._vault.opened(sealed)
        except StoreTrouble as trouble:
            log.error("camera %r: %s", camera, trouble)
            return None


def _threshold(kept: float | None) -> float | None:
    """As it was set: what four bytes add to seven digits is not said."""
    return None if kept is None else round(kept, 6)


async def _check_place(work: Work, camera: Camera) -> None:
    innermost = camera.place[-1] if camera.place else camera.location
    row = await work.row("camera_place", org=camera.org, id=innermost)
    if row is None:
        raise NotFound(f"there is no location {to_ruuid(innermost)}")
    if row["location"] != camera.location:
        raise InvalidRequest(
            f"the sub-location {to_ruuid(innermost)} lies in another location",
            "name the location that it lies in, or leave that out",
        )


class PostgresCameraStatuses:
    """`ports.cameras.CameraStatuses` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def report(self, statuses: Sequence[CameraStatus]) -> None:
        """The newest report of a camera stands."""
        newest = list({status.camera: status for status in statuses}.values())
        await self._database.fetch(
            "camera_statuses_report",
            cameras=[status.camera for status in newest],
            states=[status.state for status in newest],
            reasons=[status.reason for status in newest],
            fps=[status.fps for status in newest],
            last_frames=[status.last_frame_at for status in newest],
            since=[status.since for status in newest],
        )

    async def all(self, org: OrgId) -> list[CameraStatus]:
        """Those that were reported within the last seconds: the others nobody watches."""
        rows = await self._database.fetch("camera_statuses", org=org)
        return [
            CameraStatus(
                camera=CameraId(row["camera"]),
                state=CameraState(row["state"]),
                reason=row["reason"],
                fps=row["fps"],
                last_frame_at=row["last_frame_at"],
                since=row["since"],
                suppressed=_regions(row["suppressed"]),
            )
            for row in rows
        ]


def _regions(kept: str) -> tuple[SuppressedRegion, ...]:
    return tuple(
        SuppressedRegion(
            RegionId(UUID(it["id"])),
            Box(*map(float, it["box"])),
            datetime.fromisoformat(it["since"]),
        )
        for it in json.loads(kept)
    )
