"""One way to open whatever a camera's URL names, and to ask what is there."""

import threading
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from facewatch.domain.cameras import Camera
from facewatch.domain.events import TimeSource
from facewatch.domain.urls import redact
from facewatch.errors import CameraUnreachable, InvalidRequest
from facewatch.ports.streams import Demand, Frame
from facewatch.stream.files import FileSource
from facewatch.stream.hardware import DecodeOn
from facewatch.stream.pair import PairedSource
from facewatch.stream.rtsp import RtspSource

_EVERY_FRAME: Final = 1000.0
_WATCHED_S: Final = 1.0


def open_source(
    camera: Camera,
    *,
    looks_per_s: float,
    open_timeout_s: float = 10.0,
    read_timeout_s: float = 5.0,
    decode_on: DecodeOn = "cpu",
    demand: Demand | None = None,
) -> "RtspSource | PairedSource | PlayedFile":
    """The source that the camera's URL names: rtsp, rtsps, file or a plain path.

    Where *demand* has time for fewer looks than *looks_per_s*, key pictures that come about as
    often may be all that is decoded.

    Raises:
        InvalidRequest: the URL has another scheme, or no host; or there is a sub-stream, and one of
            the two is no camera's.
    """

    def rtsp(one: Camera) -> RtspSource:
        return RtspSource(
            one,
            looks_per_s=looks_per_s,
            open_timeout_s=open_timeout_s,
            read_timeout_s=read_timeout_s,
            decode_on=decode_on,
            demand=demand,
        )

    parts = urlsplit(camera.url)
    if camera.sub_url:
        _check_pair(camera)
        return PairedSource(camera, rtsp, looks_per_s)
    match parts.scheme:
        case "rtsp" | "rtsps":
            if not _has_host(parts):
                raise InvalidRequest(
                    f"{camera!r}: its address names no host, or no port from 1 to 65535",
                    "give it as rtsp://user:password@host:554/path",
                )
            return rtsp(camera)
        case "file":
            return PlayedFile(camera, Path(unquote(parts.path)), looks_per_s)
        case "":
            return PlayedFile(camera, Path(camera.url), looks_per_s)
        case scheme:
            raise InvalidRequest(
                f"{camera!r}: cannot watch {scheme!r}", "give rtsp://, rtsps:// or a video file"
            )


def _check_pair(camera: Camera) -> None:
    for url in (camera.url, camera.sub_url):
        parts = urlsplit(url)
        if parts.scheme not in ("rtsp", "rtsps") or not _has_host(parts):
            raise InvalidRequest(
                f"{camera!r}: {redact(url)!r} cannot be one of two streams",
                "give both as rtsp://user:password@host:554/path",
            )


def _has_host(parts: SplitResult) -> bool:
    try:
        return bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # the port is no number, or too large
        return False


class PlayedFile:
    """A video file in a camera's place: in real time, and hanging up at its end."""

    def __init__(self, camera: Camera, path: Path, looks_per_s: float) -> None:
        self._camera = camera
        self._file = FileSource(camera.id, path, looks_per_s=looks_per_s)

    handicap = ""
    late = 0

    def __repr__(self) -> str:
        return redact(repr(self._camera))

    @property
    def received(self) -> int:
        return self._file.received

    @property
    def changes(self) -> int:
        return self._file.changes

    @property
    def codec(self) -> str:
        return self._file.codec

    def frames(self, stop: threading.Event) -> Generator[Frame]:
        ahead_s: float | None = None  # of the video's clock on ours
        for frame in self._file.frames(stop):
            now_s = time.monotonic()
            ahead_s = frame.t_s - now_s if ahead_s is None else ahead_s
            if stop.wait(max(0.0, frame.t_s - ahead_s - now_s)):
                return
            yield replace(frame, at=datetime.now(UTC), time_source=TimeSource.ARRIVAL)
        if not stop.is_set():
            raise CameraUnreachable(f"{self}: the file is at its end", "it is played again")


@dataclass(frozen=True, slots=True)
class Probe:
    """What a camera sends.

    Attributes:
        fps: Frames per second of the stream's own time; 0 when too few came to tell.
        has_clock: It says when its frames were captured, and can be believed.
        first_frame_s: From the first knock to the first picture.
    """

    codec: str
    width: int
    height: int
    fps: float
    has_clock: bool
    first_frame_s: float


def probe(
    camera: Camera,
    *,
    open_timeout_s: float = 10.0,
    read_timeout_s: float = 5.0,
    listen_s: float = 6.0,
) -> Probe:
    """Watch a camera for a second, and for its first sender report *listen_s* at most. Blocks.

    Raises:
        InvalidRequest: the URL has a scheme that we cannot watch.
        CameraTrouble: as `ports.streams.Source.frames`.
    """
    source = open_source(
        camera,
        looks_per_s=_EVERY_FRAME,
        open_timeout_s=open_timeout_s,
        read_timeout_s=read_timeout_s,
    )
    began, seen = time.monotonic(), list[tuple[float, Frame]]()
    try:
        with closing(source.frames(threading.Event())) as frames:
            for frame in frames:
                seen.append((time.monotonic() - began, frame))
                has_clock = frame.time_source is TimeSource.RTCP
                watched_s = seen[-1][0] - seen[0][0]
                if watched_s >= (_WATCHED_S if has_clock else listen_s):
                    break
    except CameraUnreachable:
        if not (seen and isinstance(source, PlayedFile)):  # a short file has said all it can
            raise
    first_frame_s, first = seen[0]
    times = [frame.t_s for _, frame in seen[1:]]  # the first one's is often made up
    span_s = times[-1] - times[0] if times else 0.0
    return Probe(
        codec=source.codec,
        width=first.picture.width,
        height=first.picture.height,
        fps=(len(times) - 1) / span_s if span_s > 0 else 0.0,
        has_clock=seen[-1][1].time_source is TimeSource.RTCP,
        first_frame_s=first_frame_s,
    )
