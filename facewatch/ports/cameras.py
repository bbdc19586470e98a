"""Cameras, how they are doing and where they hang."""

from collections.abc import Sequence
from typing import Protocol, TypedDict

from facewatch.domain.cameras import Camera, CameraStatus, Location, SuppressedRegion
from facewatch.domain.ids import (
    CameraId,
    LocationId,
    OrgId,
    RegionId,
)


class Cameras(Protocol):
    """The cameras that are configured."""

    async def all(self, org: OrgId | None = None) -> list[Camera]: ...

    async def by_name(self, org: OrgId, name: str) -> Camera:
        """
        Raises:
            NotFound: *org* has no camera of this name.
        """
        ...

    async def get(self, org: OrgId, camera: CameraId) -> Camera:
        """
        Raises:
            NotFound: *org* has no such camera.
        """
        ...

    async def page(
        self,
        org: OrgId,
        limit: int,
        after: CameraId | None = None,
        locations: Sequence[LocationId] = (),
    ) -> list[Camera]:
        """The oldest first, from just behind *after*; only those in *locations* if it holds any."""
        ...

    async def add(self, camera: Camera) -> None:
        """
        Raises:
            AlreadyExists: the org has a camera of this name.
            InvalidRequest: its name is blank, or its sub-location lies in another location.
            NotFound: the org has no such location.
        """
        ...

    async def change(self, camera: Camera) -> None:
        """Another name, URLs, passwords, transport, place or threshold for one that stays the same.

        Raises:
            AlreadyExists: another camera of the org has this name.
            InvalidRequest: its name is blank, or its sub-location lies in another location.
            NotFound: the org has no such camera, or no such location.
        """
        ...

    async def remove(self, org: OrgId, camera: CameraId) -> None:
        """Stops being watched; its events stay.

        Raises:
            NotFound: *org* has no such camera.
        """
        ...


class LocationChanges(TypedDict, total=False):
    """What changes of a location: a key that is not there is left alone."""

    name: str
    time_zone: str
    parent: LocationId | None


class Locations(Protocol):
    """Where cameras hang: locations, and trees of sub-locations in them."""

    async def page(self, org: OrgId, limit: int, after: LocationId | None = None) -> list[Location]:
        """Locations and sub-locations, the oldest first, from just behind *after*."""
        ...

    async def get(self, org: OrgId, location: LocationId) -> Location:
        """
        Raises:
            NotFound: *org* has no such location or sub-location.
        """
        ...

    async def first(self, org: OrgId) -> LocationId:
        """The oldest: where a camera hangs of which nobody says where."""
        ...

    async def add(self, location: Location) -> None:
        """
        Raises:
            AlreadyExists: there is one of this name beside it.
            InvalidRequest: no such time zone, or the sub-locations would be too deep.
            NotFound: *org* has no such parent.
        """
        ...

    async def change(self, org: OrgId, location: LocationId, changes: LocationChanges) -> Location:
        """As it is then. Past events keep the place that they were seen in.

        Raises:
            AlreadyExists: there is one of this name beside it.
            InvalidRequest: it cannot be moved there, or there is no such time zone.
            NotFound: *org* has no such location, or no such parent.
        """
        ...

    async def remove(self, org: OrgId, location: LocationId) -> None:
        """It can be chosen no more; events that were seen there keep its id.

        Raises:
            InUse: cameras hang there, it has sub-locations, or the org has no other.
            NotFound: *org* has no such location.
        """
        ...


class Regions(Protocol):
    """What stands still at cameras, over restarts."""

    async def all(self) -> dict[CameraId, tuple[SuppressedRegion, ...]]:
        """Of every camera that has any."""
        ...

    async def keep(self, camera: CameraId, regions: Sequence[SuppressedRegion]) -> None:
        """These are all that *camera* has; one that was removed meanwhile is passed over."""
        ...

    async def remove(self, org: OrgId, camera: CameraId, region: RegionId | None = None) -> int:
        """What is there makes events again: *region*, or all of the camera; how many these were.

        Raises:
            NotFound: the org's camera has no such region.
        """
        ...


class CameraStatuses(Protocol):
    """How the cameras are, for whoever asks from another process."""

    async def report(self, statuses: Sequence[CameraStatus]) -> None:
        """The newest report of a camera stands."""
        ...

    async def all(self, org: OrgId) -> list[CameraStatus]:
        """Those that were reported within the last seconds: the others nobody watches."""
        ...
