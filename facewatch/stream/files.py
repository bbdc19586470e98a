"""Video files become frames (mp4, mov, mkv, avi, ts and other containers that FFmpeg reads)."""

import itertools
import logging
import threading
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from facewatch.domain.events import TimeSource
from facewatch.domain.ids import CameraId
from facewatch.errors import UnreadableStream
from facewatch.ports.streams import ClipHeader, Frame
from facewatch.stream import hardware
from facewatch.stream.decode import VideoReader, explain
from facewatch.stream.picture import Converter, DecodedPicture

log = logging.getLogger(__name__)

_FREE_CLOCKS: Final = {"mpegts", "mpeg"}
"""Containers whose timestamps start anywhere; in all others the recording starts at 0."""

_READ: Final = (
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,ivf,obu,vvc,flv,live_flv,asf,ogg,"
    "mxf,dv,rm,nut,nsv,wtv,gxf,vc1,mjpeg,yuv4mpegpipe,3dostr,amv,swf,r3d,film_cpk,smk,bink,dirac"
)
"""Containers that hold their pictures themselves: a playlist would name other files to read."""

_MIMES: Final = {
    "mov": "video/mp4",
    "matroska": "video/x-matroska",
    "avi": "video/x-msvideo",
    "mpegts": "video/mp2t",
    "mpeg": "video/mpeg",
    "flv": "video/x-flv",
    "asf": "video/x-ms-asf",
    "ogg": "video/ogg",
}
_ALL_LOOKS: Final = 1000.0
_FIRST_PACKETS: Final = 500
"""In so many a picture can be decoded, or in none."""

_MICROSECONDS: Final = 1_000_000
"""libav's unit for whole containers, in a second."""

_LONGEST_S: Final = 14 * 86_400.0
"""No recording is longer: timestamps beyond are damage, and dates made of them in no calendar."""

_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Creation times before this come from recorders whose clock was never set."""


class FileSource:
    """A video file, as fast as it can be read.

    A frame's `t_s` is its presentation time in the container's own seconds; it was captured at
    *start* + `t_s`, except in transport and program streams, whose clocks start anywhere: there
    *start* is the time of the first frame. Truncated and damaged files give what can be decoded,
    up to where timestamps leap by more than two weeks.

    Args:
        start: When the recording began, or None: as `recorded_start` says.
    """

    def __init__(
        self,
        camera: CameraId,
        path: Path,
        *,
        looks_per_s: float,
        start: datetime | None = None,
        decode_on: hardware.DecodeOn = "cpu",
    ) -> None:
        self._camera = camera
        self._path = path
        self._decode_on = decode_on
        self._looks_per_s = looks_per_s
        self._start = start
        self._reader: VideoReader | None = None
        self._broke_off = ""

    handicap = ""
    late = 0

    def __repr__(self) -> str:
        return f"file {str(self._path)!r}"

    @property
    def received(self) -> int:
        return self._reader.received if self._reader else 0

    @property
    def codec(self) -> str:
        """FFmpeg's name of what it is coded with, once it is open; else empty."""
        return self._reader.stream.codec_context.name if self._reader else ""

    @property
    def damaged(self) -> int:
        """Packets that could not be decoded so far. Any thread."""
        return self._reader.damaged if self._reader else 0

    @property
    def changes(self) -> int:
        return self._reader.changes if self._reader else 0

    @property
    def broke_off(self) -> str:
        """Why it could not be read to its end; empty while it can. Any thread."""
        return self._broke_off

    def frames(self, stop: threading.Event) -> Generator[Frame]:
        with _opened(self._path, self._decode_on) as container:
            self._reader = reader = VideoReader(container, str(self._path), self._looks_per_s)
            yield from self._due(reader, stop)
        if not reader.received and not stop.is_set():
            raise UnreadableStream(
                f"{self._path}: nothing in it can be decoded",
                "it is empty or damaged; copy it again from the recorder",
            )
        if reader.damaged:
            log.warning("%r: %d damaged packets were skipped", self, reader.damaged)

    def _due(self, reader: VideoReader, stop: threading.Event) -> Iterator[Frame]:
        if self._start:
            start, time_source = self._start, TimeSource.GIVEN
        else:
            start, time_source = _recorded_start(reader.container, self._path)
        converter = Converter()
        free = bool(_FREE_CLOCKS & set(reader.container.format.name.split(",")))
        origin = None if free else 0.0
        for frame, t_s in self._all(reader, stop):
            origin = t_s if origin is None else origin
            if abs(t_s - origin) > _LONGEST_S:
                self._broke_off = "its timestamps leap by more than two weeks"
                log.warning("%r: cannot be read to its end: %s", self, self._broke_off)
                return
            yield Frame(
                camera=self._camera,
                sequence=reader.received,
                at=start + timedelta(seconds=t_s - origin),
                t_s=t_s,
                time_source=time_source,
                picture=DecodedPicture(frame, converter),
            )

    def _all(
        self, reader: VideoReader, stop: threading.Event
    ) -> Iterator[tuple[av.VideoFrame, float]]:
        try:
            for packet in reader.packets(stop):
                yield from reader.due(packet)
        except av.FFmpegError as error:
            self._broke_off = explain(error)
            log.warning("%r: cannot be read to its end: %s", self, self._broke_off)
            yield from reader.due(None)


def clip(path: Path) -> ClipHeader:
    """Open a video and decode its first picture. Blocks.

    Raises:
        UnreadableStream: it is not a video, we have no decoder for it, or nothing can be decoded.
    """
    with _opened(path) as container:
        reader = VideoReader(container, path.name, _ALL_LOOKS)
        picture = DecodedPicture(_first(reader, path), Converter())
        kinds = container.format.name.split(",")
        mime = next((_MIMES[kind] for kind in kinds if kind in _MIMES), "video/x-unknown")
        duration = container.duration
        return ClipHeader(
            mime,
            picture.width,
            picture.height,
            None if duration is None else max(1, duration // 1000),
            picture.full(),
        )


def _first(reader: VideoReader, path: Path) -> av.VideoFrame:
    try:
        for packet in itertools.islice(reader.packets(threading.Event()), _FIRST_PACKETS):
            for frame, _ in reader.due(packet):
                return frame
        held_back = [frame for frame, _ in reader.due(None)]
    except av.FFmpegError as error:
        raise UnreadableStream(
            f"{path.name}: it cannot be read: {explain(error)}", "copy it again from the recorder"
        ) from error
    if held_back:
        return held_back[0]
    raise UnreadableStream(
        f"{path.name}: nothing in it can be decoded",
        "it is empty or damaged; copy it again from the recorder",
    )


def recorded_start(path: Path) -> tuple[datetime, TimeSource]:
    """When the recording in *path* began: the container's creation time, else the file's own.

    Raises:
        UnreadableStream: it is not a video, or cannot be opened.
    """
    with _opened(path) as container:
        return _recorded_start(container, path)


def duration_s(path: Path) -> float | None:
    """The `t_s` at which the video ends, as far as its container tells.

    Raises:
        UnreadableStream: it is not a video, or cannot be opened.
    """
    with _opened(path) as container:
        if container.duration is None:
            return None
        return ((container.start_time or 0) + container.duration) / _MICROSECONDS


def _recorded_start(container: InputContainer, path: Path) -> tuple[datetime, TimeSource]:
    for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
        try:
            created = datetime.fromisoformat(metadata["creation_time"])
        except (KeyError, ValueError):
            continue
        created = created.replace(tzinfo=created.tzinfo or UTC).astimezone(UTC)
        if _EARLIEST < created < datetime.now(UTC) + timedelta(days=1):
            return created, TimeSource.CONTAINER
    return datetime.fromtimestamp(path.stat().st_mtime, UTC), TimeSource.FILE


def _opened(path: Path, decode_on: hardware.DecodeOn = "cpu") -> InputContainer:
    """
    Raises:
        UnreadableStream: there is no such file, or it is not a video.
    """

    def open_on(device: HWAccel | None) -> InputContainer:
        return av.open(
            f"file:{path}",
            "r",
            metadata_errors="replace",
            container_options={"format_whitelist": _READ, "protocol_whitelist": "file"},
            hwaccel=device,
        )

    try:
        return hardware.opened(open_on, decode_on, str(path))
    except FileNotFoundError:
        what, remedy = "there is no such file", "check the path"
    except IsADirectoryError:
        what, remedy = "this is a directory", "name the video files in it"
    except PermissionError:
        what, remedy = "may not be read", "give this user the right to read it"
    except (av.FFmpegError, ValueError) as error:
        reason = explain(error) if isinstance(error, av.FFmpegError) else str(error)
        if "whitelist" in reason:
            reason = "a container that is none of video, or that names other files"
        what = f"not a video that can be read: {reason}"
        remedy = "it is empty, cut off or of another kind; copy it again from the recorder"
    raise UnreadableStream(f"{path}: {what}", remedy)
