"""Cameras and how they are, in Postgres."""

import logging
from collections.abc import Sequence
from typing import Any

import asyncpg

from facewatch.domain.cameras import Camera, CameraState, CameraStatus, Transport
from facewatch.domain.ids import CameraId, LocationId, OrgId
from facewatch.errors import AlreadyExists, InvalidRequest, NotFound, StoreTrouble
from facewatch.store.database import Database, Row
from facewatch.store.secrets import Vault

log = logging.getLogger(__name__)

CAMERAS = "camera"
"""NOTIFY channel that rings with an org's id when its cameras changed."""


class PostgresCameras:
    """`ports.Cameras` in Postgres; their passwords are sealed in *vault*."""

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

    async def add(self, camera: Camera) -> None:
        """
        Raises:
            AlreadyExists: the org has a camera of this name.
            InvalidRequest: its name is blank.
        """
        if not camera.name.strip():
            raise InvalidRequest("a camera's name must not be blank", "give it one")
        try:
            async with self._database.transaction() as work:
                await work.fetch("camera_add", **self._values(camera))
                await work.fetch("ring", channel=CAMERAS, payload=str(camera.org))
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists(
                f"there is a camera {camera.name!r} already", "choose another name, or remove it"
            ) from error

    async def change(self, camera: Camera) -> None:
        """Another URL, password, transport or place for a camera that stays the same.

        Raises:
            NotFound: the org has no such camera.
        """
        async with self._database.transaction() as work:
            if await work.row("camera_change", **self._values(camera)) is None:
                raise NotFound(f"there is no camera {camera.name!r}")
            await work.fetch("ring", channel=CAMERAS, payload=str(camera.org))

    async def remove(self, org: OrgId, camera: CameraId) -> None:
        """Stops being watched; its events stay.

        Raises:
            NotFound: *org* has no such camera.
        """
        async with self._database.transaction() as work:
            if await work.row("camera_remove", org=org, id=camera) is None:
                raise NotFound(f"there is no camera {camera}")
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
        }

    def _camera(self, row: Row) -> Camera:
        return Camera(
            id=CameraId(row["id"]),
            org=OrgId(row["org"]),
            location=LocationId(row["location"]),
            name=row["name"],
            url=row["url"],
            credentials=self._opened(row),
            transport=Transport(row["transport"]),
            place=tuple(LocationId(location) for location in row["place"]),
        )

    def _opened(self, row: Row) -> tuple[str, str] | None:
        """None too for a password that cannot be read: the other cameras can do without it."""
        try:
            return self._vault.opened(row["credentials"])
        except StoreTrouble as trouble:
            log.error("camera %r: %s", row["name"], trouble)
            return None


class PostgresCameraStatuses:
    """`ports.CameraStatuses` in Postgres."""

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
            )
            for row in rows
        ]
