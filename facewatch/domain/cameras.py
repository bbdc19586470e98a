"""Cameras, where they hang and how they are."""

import zoneinfo
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache

from facewatch.domain.faces import Tiny
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, LocationId, OrgId, RegionId
from facewatch.domain.urls import redact


class CameraState(StrEnum):
    """What a camera is doing, as an operator would say it."""

    CONNECTING = "connecting"
    """Being opened for the first time."""
    LIVE = "live"
    """Frames arrive."""
    STALLED = "stalled"
    """Connected, and silent. Tried again."""
    REFUSED = "refused"
    """It turned us away: password or path. Tried again, seldom."""
    GONE = "gone"
    """Nobody answers. Tried again, with back-off."""


class Transport(StrEnum):
    """How RTP travels."""

    TCP = "tcp"
    """Interleaved in the RTSP connection: nothing is lost on the way."""
    UDP = "udp"
    """Datagrams: for cameras that cannot do otherwise."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera as configured.

    Attributes:
        url: Address without user and password.
        credentials: User and password, or None; never shown.
        place: Sub-locations from the outermost to the camera's own, within its location.
        match_threshold: Least confidence for a name at this camera, 0..1; None is the org's.
        sub_url: Address of a smaller stream of the same picture, in which faces are found while
            they are cut from that of *url*; empty where there is none. Without user and password.
        sub_credentials: As *credentials*, for that.
    """

    id: CameraId
    org: OrgId
    location: LocationId
    name: str
    url: str
    credentials: tuple[str, str] | None = None
    transport: Transport = Transport.TCP
    place: tuple[LocationId, ...] = ()
    match_threshold: float | None = None
    sub_url: str = ""
    sub_credentials: tuple[str, str] | None = None

    def __repr__(self) -> str:
        return f"camera {self.name!r} ({redact(self.url)})"


@dataclass(frozen=True, slots=True)
class SuppressedRegion:
    """Where something that fires as a face stands still, and makes no events.

    Attributes:
        box: Pixels of the whole frame.
        since: When it was suppressed.
        pictures: How it looks there, now this way, now that; not empty where it is kept.
    """

    id: RegionId
    box: Box
    since: datetime
    pictures: tuple[Tiny, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """How a camera is at this moment.

    Attributes:
        reason: Why it is not live, or what it lacks although it is, in words for an operator;
            empty when all is well.
        fps: Frames that arrived per second, over the last seconds; 0 when none do.
        last_frame_at: Capture time of the newest frame, or None before the first.
        since: When this state began.
        suppressed: Regions in which something stands still that is taken for a face; `Regions`
            keeps them.
    """

    camera: CameraId
    state: CameraState
    reason: str
    fps: float
    last_frame_at: datetime | None
    since: datetime
    suppressed: tuple[SuppressedRegion, ...] = ()


DEEPEST = 8
"""Levels of sub-locations in a location."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where cameras hang: a location, or a sub-location in one.

    Attributes:
        time_zone: IANA; that of the location where this is a sub-location.
        outermost: The location that it lies in; its own id where it is one.
        parent: The next outer one; None for a location.
    """

    id: LocationId
    org: OrgId
    name: str
    time_zone: str
    outermost: LocationId
    parent: LocationId | None = None


def known_time_zone(name: str) -> bool:
    """
    >>> known_time_zone("Europe/Berlin"), known_time_zone("Mars/Olympus")
    (True, False)
    """
    return name in _time_zones()


@cache
def _time_zones() -> set[str]:
    return zoneinfo.available_timezones()
