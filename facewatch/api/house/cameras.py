"""/api/v1/cameras: what is watched, and how it is."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import LEFT, Id, Name, Page, PageIn, Shape, Thing, Time
from facewatch.domain.audit import Action
from facewatch.domain.cameras import Camera, CameraState, CameraStatus, SuppressedRegion, Transport
from facewatch.domain.ids import CameraId, LocationId, RegionId, new_id
from facewatch.domain.urls import redact, rtsp_address
from facewatch.errors import CameraRefused, CameraStalled, CameraTrouble, InvalidRequest
from facewatch.ports.access import ApiKey

Address = Annotated[str, Field(max_length=2000)]
"""rtsp:// or rtsps://, with user and password where the camera asks for them."""

Threshold = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""Least confidence for a name."""

State = CameraState | Literal["unwatched"]
"""*unwatched*: no running service watches it, or it has no address."""


class CamerasIn(PageIn):
    """*location*: only cameras in one of these locations or sub-locations; none is everywhere."""

    location: list[Id] = Field(default_factory=list, max_length=100)


class CameraIn(Shape):
    camera: Id


class RegionIn(Shape):
    camera: Id
    region: Id


class CameraMadeIn(Shape):
    """A new camera.

    Attributes:
        location: The org's first where neither it nor *sub_location* is given.
        match_threshold: Least confidence for a name at this camera; null is the org's.
        sub_url: A smaller stream of the same picture, with user and password of its own: faces
            are found in it and cut from that of *url*, which then costs little; null is none.
    """

    name: Name
    url: Address
    transport: Transport = Transport.TCP
    location: Id | None = None
    sub_location: Id | None = None
    match_threshold: Threshold | None = None
    sub_url: Address | None = None


class CameraChangesIn(Shape):
    """A field that is not there is left alone.

    A new *url* or *sub_url* brings its own user and password: those of the old one are not sent to
    wherever the new one leads. A new *location* takes the camera out of its sub-location.
    """

    camera: Id
    name: Name = LEFT
    url: Address = LEFT
    transport: Transport = LEFT
    location: Id = LEFT
    sub_location: Id | None = LEFT
    match_threshold: Threshold | None = LEFT
    sub_url: Address | None = LEFT


class RegionOut(Shape):
    """Where something that fires as a face stands still, and makes no events.

    Attributes:
        left, top, right, bottom: Pixels of the whole picture.
        since: When it was suppressed.
    """

    left: int
    top: int
    right: int
    bottom: int
    id: Id
    since: Time

    @classmethod
    def of(cls, region: SuppressedRegion) -> "RegionOut":
        left, top, right, bottom = region.box.rounded()
        return cls(left=left, top=top, right=right, bottom=bottom, id=region.id, since=region.since)


class CameraOut(Thing):
    """A camera.

    Attributes:
        url: Without user and password, which never come out.
        has_password: Whether any are kept.
        sub_url, sub_has_password: The same of its smaller stream; null where it has none.
        sub_location: The innermost that it hangs in.
        match_threshold: Its own; null is the org's.
        state: What it is doing: *live* is the good one.
        reason: Why it is not live, or what it lacks although it is, one of its two streams.
        fps: Frames that arrived per second, over the last seconds.
        since: When this state began.
        suppressed: A poster, a chair: passed over until the picture there changes.
    """

    name: str
    url: str
    has_password: bool
    transport: Transport
    location: Id
    sub_location: Id | None
    match_threshold: float | None
    sub_url: str | None
    sub_has_password: bool
    state: State
    reason: str
    fps: float
    last_frame_at: Time | None
    since: Time | None
    suppressed: list[RegionOut]

    @classmethod
    def of(cls, camera: Camera, status: CameraStatus | None) -> "CameraOut":
        return cls(
            id=camera.id,
            name=camera.name,
            url=redact(camera.url),
            has_password=camera.credentials is not None,
            transport=camera.transport,
            location=camera.location,
            sub_location=camera.place[-1] if camera.place else None,
            match_threshold=camera.match_threshold,
            sub_url=redact(camera.sub_url) or None,
            sub_has_password=camera.sub_credentials is not None,
            state=status.state if status else "unwatched",
            reason=redact(status.reason) if status else "",
            fps=round(status.fps, 1) if status else 0.0,
            last_frame_at=status.last_frame_at if status else None,
            since=status.since if status else None,
            suppressed=[RegionOut.of(it) for it in status.suppressed] if status else [],
        )


class ProbeIn(Shape):
    """An address to knock at; nothing is kept."""

    url: Address
    transport: Transport = Transport.TCP


class ProbeOut(Shape):
    """What a camera sends, or why it sends nothing.

    Attributes:
        fps: Of the stream's own time; 0 when too few came to tell.
        has_clock: It says when its frames were captured, and can be believed.
        first_frame_s: From the first knock to the first picture.
    """

    state: Literal[CameraState.LIVE, CameraState.REFUSED, CameraState.STALLED, CameraState.GONE]
    reason: str = ""
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    has_clock: bool | None = None
    first_frame_s: float | None = None


async def list_cameras(deps: Deps, caller: ApiKey, asked: CamerasIn) -> Page[CameraOut]:
    """Cameras with their state, the oldest first."""
    found = await deps.cameras.page(
        caller.org,
        asked.limit + 1,
        CameraId(asked.cursor) if asked.cursor else None,
        [LocationId(location) for location in asked.location],
    )
    statuses = {status.camera: status for status in await deps.statuses.all(caller.org)}
    shown = [CameraOut.of(camera, statuses.get(camera.id)) for camera in found]
    return Page[CameraOut].of(shown, asked.limit)


async def get_camera(deps: Deps, caller: ApiKey, asked: CameraIn) -> CameraOut:
    """One camera with its state."""
    camera = await deps.cameras.get(caller.org, CameraId(asked.camera))
    statuses = await deps.statuses.all(caller.org)
    return CameraOut.of(camera, next((it for it in statuses if it.camera == camera.id), None))


async def add_camera(deps: Deps, caller: ApiKey, asked: CameraMadeIn) -> CameraOut:
    """Watch one more; a running service begins within a second."""
    address, credentials = rtsp_address(asked.url)
    sub_address, sub_credentials = _sub_address(asked.sub_url)
    location, place = await _place(deps, caller, asked.location, asked.sub_location)
    camera = Camera(
        id=CameraId(new_id()),
        org=caller.org,
        location=location,
        name=asked.name,
        url=address,
        credentials=credentials,
        transport=asked.transport,
        place=place,
        match_threshold=asked.match_threshold,
        sub_url=sub_address,
        sub_credentials=sub_credentials,
    )
    await deps.cameras.add(camera)
    return CameraOut.of(camera, None)


async def change_camera(deps: Deps, caller: ApiKey, asked: CameraChangesIn) -> CameraOut:
    """Another name, address, place or threshold for a camera that keeps its id and its events."""
    given = asked.model_fields_set
    camera = await deps.cameras.get(caller.org, CameraId(asked.camera))
    if "name" in given:
        camera = replace(camera, name=asked.name)
    if "url" in given:
        address, credentials = rtsp_address(asked.url)
        camera = replace(camera, url=address, credentials=credentials)
    if "sub_url" in given:
        address, credentials = _sub_address(asked.sub_url)
        camera = replace(camera, sub_url=address, sub_credentials=credentials)
    if "transport" in given:
        camera = replace(camera, transport=asked.transport)
    if "match_threshold" in given:
        camera = replace(camera, match_threshold=asked.match_threshold)
    if "location" in given or asked.sub_location:
        where = asked.location if "location" in given else None
        location, place = await _place(deps, caller, where, asked.sub_location)
        camera = replace(camera, location=location, place=place)
    elif "sub_location" in given:
        camera = replace(camera, place=())
    await deps.cameras.change(camera)
    return await get_camera(deps, caller, CameraIn(camera=camera.id))


def _sub_address(url: Address | None) -> tuple[str, tuple[str, str] | None]:
    return ("", None) if url is None else rtsp_address(url)


async def remove_camera(deps: Deps, caller: ApiKey, asked: CameraIn) -> None:
    """Watch it no more; its events stay."""
    await deps.cameras.remove(caller.org, CameraId(asked.camera))


async def watch_again(deps: Deps, caller: ApiKey, asked: RegionIn) -> None:
    """What stands still there makes events again, until it has stood still for long enough."""
    await deps.regions.remove(caller.org, CameraId(asked.camera), RegionId(asked.region))


async def probe_address(deps: Deps, caller: ApiKey, asked: ProbeIn) -> ProbeOut:
    """Knock at an address as the service would, for half a minute at most."""
    address, credentials = rtsp_address(asked.url)
    nobody = new_id()
    camera = Camera(
        *(CameraId(nobody), caller.org, LocationId(nobody), "probe"),
        url=address,
        credentials=credentials,
        transport=asked.transport,
    )
    return await _probed(deps, camera)


async def probe_camera(deps: Deps, caller: ApiKey, asked: CameraIn) -> ProbeOut:
    """Knock at a camera's own address, with its password."""
    camera = await deps.cameras.get(caller.org, CameraId(asked.camera))
    if not camera.url:
        raise InvalidRequest("this camera has no address", "give it a url first")
    return await _probed(deps, camera)


async def _probed(deps: Deps, camera: Camera) -> ProbeOut:
    try:
        found = await deps.look(camera)
    except CameraTrouble as trouble:
        why = redact(trouble.what).removeprefix(f"{camera!r}: ")
        return ProbeOut(state=_state_of(trouble), reason=why)
    return ProbeOut(
        state=CameraState.LIVE,
        codec=found.codec,
        width=found.width,
        height=found.height,
        fps=round(found.fps, 1),
        has_clock=found.has_clock,
        first_frame_s=round(found.first_frame_s, 3),
    )


def _state_of(
    trouble: CameraTrouble,
) -> Literal[CameraState.REFUSED, CameraState.STALLED, CameraState.GONE]:
    match trouble:
        case CameraRefused():
            return CameraState.REFUSED
        case CameraStalled():
            return CameraState.STALLED
        case _:
            return CameraState.GONE


async def _place(
    deps: Deps, caller: ApiKey, location: Id | None, sub_location: Id | None
) -> tuple[LocationId, tuple[LocationId, ...]]:
    """Where to hang a camera; the store sees to it that the two fit."""
    if location is not None:
        found = await deps.locations.get(caller.org, LocationId(location))
        if found.parent is not None:
            raise InvalidRequest("location is a sub-location", "send it as sub_location")
        inside = (LocationId(sub_location),) if sub_location else ()
        return found.id, inside
    if sub_location is None:
        return await deps.locations.first(caller.org), ()
    found = await deps.locations.get(caller.org, LocationId(sub_location))
    if found.parent is None:
        raise InvalidRequest("sub_location is a location", "send it as location")
    return found.outermost, (found.id,)


_BASE = "/api/v1/cameras"
_ONE = f"{_BASE}/{{camera}}"

ROUTES = [
    resource("GET", _BASE, list_cameras, action=None),
    resource("POST", _BASE, add_camera, Role.ADMIN, 201, action=Action.CAMERA_CREATED),
    resource("POST", f"{_BASE}/probe", probe_address, Role.OPERATOR, action=Action.CAMERA_PROBED),
    resource("GET", _ONE, get_camera, action=None),
    resource("PATCH", _ONE, change_camera, Role.ADMIN, action=Action.CAMERA_UPDATED),
    resource("DELETE", _ONE, remove_camera, Role.ADMIN, action=Action.CAMERA_DELETED),
    resource(
        "DELETE",
        f"{_ONE}/suppressed/{{region}}",
        *(watch_again, Role.OPERATOR),
        action=Action.CAMERA_UPDATED,
    ),
    resource("POST", f"{_ONE}/probe", probe_camera, Role.OPERATOR, action=Action.CAMERA_PROBED),
]
