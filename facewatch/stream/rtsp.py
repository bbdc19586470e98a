"""Cameras become frames: RTSP and rtsps, RTP over TCP or UDP, H.264 and HEVC."""

import errno
import logging
import math
import struct
import threading
import time
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.stream import VideoStream

from facewatch.domain.cameras import Camera
from facewatch.domain.events import TimeSource
from facewatch.domain.urls import redact
from facewatch.errors import (
    CameraRefused,
    CameraStalled,
    CameraTrouble,
    CameraUnreachable,
    UnreadableStream,
)
from facewatch.ports.streams import Demand, Frame
from facewatch.stream import hardware
from facewatch.stream.decode import Stop, VideoReader
from facewatch.stream.lag import Lag
from facewatch.stream.picture import Converter, DecodedPicture

log = logging.getLogger(__name__)

_CLOCK_HZ: Final = 90_000
_NTP_EPOCH_S: Final = 2_208_988_800
_TRUSTED_WITHIN_S: Final = 30.0
"""A camera whose clock differs from ours by more is not believed: it was never set."""


class RtspSource:
    """One connection to a camera.

    A frame's `at` is the camera's own time of capture once its first sender report has come, our
    time of arrival before that, or when the camera's clock is off by more than 30 s. FFmpeg does
    not check the certificate of rtsps: cameras sign their own.

    Args:
        open_timeout_s: For connecting, describing and setting up together.
        read_timeout_s: Silence after which the camera counts as stalled.
    """

    def __init__(
        self,
        camera: Camera,
        *,
        looks_per_s: float,
        open_timeout_s: float = 10.0,
        read_timeout_s: float = 5.0,
        decode_on: hardware.DecodeOn = "cpu",
        demand: Demand | None = None,
    ) -> None:
        self._camera = camera
        self._looks_per_s = looks_per_s
        self._open_timeout_s = open_timeout_s
        self._read_timeout_s = read_timeout_s
        self._decode_on = decode_on
        self._demand = demand
        self._reader: VideoReader | None = None

    handicap = ""

    def __repr__(self) -> str:
        return redact(repr(self._camera))

    @property
    def received(self) -> int:
        return self._reader.received if self._reader else 0

    @property
    def changes(self) -> int:
        return self._reader.changes if self._reader else 0

    @property
    def late(self) -> int:
        return self._reader.late if self._reader else 0

    @property
    def codec(self) -> str:
        """FFmpeg's name of what it is coded with, once it is open; else empty."""
        return self._reader.stream.codec_context.name if self._reader else ""

    def frames(self, stop: threading.Event) -> Generator[Frame]:
        clock, converter = CameraClock(repr(self)), Converter()
        progress, progress_at = 0, time.monotonic()
        for reader, packet in self.packets(stop):
            clock.heard(packet, reader.container)
            for frame, t_s in reader.due(packet):
                at, time_source = clock.captured(frame.pts)
                yield Frame(
                    camera=self._camera.id,
                    sequence=reader.received,
                    at=at,
                    t_s=t_s,
                    time_source=time_source,
                    picture=DecodedPicture(frame, converter),
                )
            now = time.monotonic()
            if reader.decoded > progress:
                progress, progress_at = reader.decoded, now
            elif now > progress_at + self._open_timeout_s + self._read_timeout_s:
                raise UnreadableStream(
                    f"{self}: packets arrive, and no picture can be decoded from them",
                    "set the camera to H.264 or HEVC with a key frame every few seconds",
                )

    def packets(self, stop: Stop) -> Iterator[tuple[VideoReader, "av.Packet[VideoStream]"]]:
        """What arrives, coded as it is, with the reader that can decode it; ends as `frames`."""
        with self._opened() as container:
            self._reader = reader = VideoReader(
                container, repr(self), self._looks_per_s, Lag(), self._demand
            )
            packets = reader.packets(stop)
            while (packet := self._next(packets)) is not None:
                yield reader, packet
        if not stop.is_set():
            raise CameraUnreachable(f"{self}: hung up", "it may be restarting; we try again")

    def _next(self, packets: Iterator["av.Packet[VideoStream]"]) -> "av.Packet[VideoStream] | None":
        # Raised outside of the handler: av's exceptions carry the password in their text, and
        # must not be chained to ours.
        try:
            return next(packets, None)
        except av.FFmpegError as error:
            trouble = self._lost(error)
        raise trouble

    def _opened(self) -> InputContainer:
        """
        Raises:
            CameraTrouble: it cannot be opened; which kind says why.
        """
        began = time.monotonic()
        try:
            return hardware.opened(self._connected, self._decode_on, repr(self))
        except av.FFmpegError as error:
            trouble = self._refused(error, time.monotonic() - began)
        raise trouble

    def _connected(self, device: HWAccel | None) -> InputContainer:
        return av.open(
            _address(self._camera),
            "r",
            metadata_errors="replace",  # cameras name themselves in whatever code they like
            options={
                "rtsp_transport": self._camera.transport.value,
                "allowed_media_types": "video",
                "fpsprobesize": "0",  # opens in 0.35 s, not 1.1 s
            },
            hwaccel=device,
            timeout=(self._open_timeout_s, self._read_timeout_s / 2),  # it waits twice
        )

    def _refused(self, error: av.FFmpegError, after_s: float) -> CameraTrouble:
        match error:
            case av.HTTPUnauthorizedError() | av.HTTPForbiddenError():
                return CameraRefused(
                    f"{self}: wrong user or password", "set the right ones with 'camera add'"
                )
            case av.HTTPNotFoundError():
                return CameraRefused(
                    f"{self}: the camera has no such path", "see its manual for the stream's path"
                )
            case av.HTTPClientError():
                return CameraRefused(
                    f"{self}: the camera refuses this request: {_strerror(error)}",
                    "try the other transport (tcp, udp)",
                )
            case av.error.ExitError():  # not even the connection came about
                return CameraUnreachable(
                    f"{self}: nobody answers within {self._open_timeout_s:g} s",
                    "is it powered, on the network, and the address right?",
                )
            case _ if after_s >= 0.9 * self._open_timeout_s:
                return CameraStalled(
                    f"{self}: no stream within {self._open_timeout_s:g} s",
                    "is this the RTSP port? is the camera overloaded?",
                )
            case OSError(errno=errno.EIO):
                return CameraUnreachable(
                    f"{self}: its name cannot be looked up, or it hung up at once",
                    "is the name right, and known to this machine's DNS?",
                )
            case OSError() | av.HTTPServerError():
                return CameraUnreachable(
                    f"{self}: nobody answers: {_strerror(error)}",
                    "is it powered, on the network, and the address right?",
                )
            case _:
                return UnreadableStream(
                    f"{self}: what it sends is not a video stream: {_strerror(error)}",
                    "is this the address of its RTSP stream?",
                )

    def _lost(self, error: av.FFmpegError) -> CameraTrouble:
        if isinstance(error, av.error.ExitError | TimeoutError):
            return CameraStalled(
                f"{self}: silent for {self._read_timeout_s:g} s", "it may be frozen; we try again"
            )
        return CameraUnreachable(f"{self}: {_strerror(error)}", "we try again")


class CameraClock:
    """The camera's own time, from its RTCP sender reports; arrival time where there is none.

    libav sets the scale once, by the first report. Each later one is heard as well, because the
    RTP clock and the camera's wall clock drift apart by seconds a day, and the latter may be set.

    Args:
        name: Of the camera, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._zero_s: float | None = None  # wall clock at pts 0, seconds since 1970
        self._base: int | None = None  # RTP timestamp at pts 0
        self._doubted = False

    def heard(self, packet: "av.Packet[VideoStream]", container: InputContainer) -> None:
        """Take the report that came before *packet*, if one did."""
        start_us = container.start_time_realtime
        if start_us is None:
            return
        if self._zero_s is None:
            self._zero_s = start_us / 1e6
        if not packet.has_sidedata("rtcp_sr"):
            return
        _ssrc, ntp, stamp = struct.unpack_from("=I4xQI", bytes(packet.get_sidedata("rtcp_sr")))
        wall_s = ntp / 2**32 - _NTP_EPOCH_S
        if self._base is None:
            self._base = stamp - round((wall_s - start_us / 1e6) * _CLOCK_HZ)
        elif packet.pts is not None:
            # The report is about a moment near this packet: that undoes the 32-bit wrap.
            ahead = (stamp - self._base - packet.pts + 2**31) % 2**32 - 2**31
            self._zero_s = wall_s - (packet.pts + ahead) / _CLOCK_HZ

    def captured(self, pts: int | None) -> tuple[datetime, TimeSource]:
        """When the picture with this time stamp, which has just arrived, was captured."""
        arrival_s = time.time()
        if self._zero_s is not None and pts is not None:
            captured_s = self._zero_s + pts / _CLOCK_HZ
            if math.fabs(captured_s - arrival_s) <= _TRUSTED_WITHIN_S:
                return datetime.fromtimestamp(captured_s, UTC), TimeSource.RTCP
            self._doubt(captured_s - arrival_s)
        return datetime.fromtimestamp(arrival_s, UTC), TimeSource.ARRIVAL

    def _doubt(self, ahead_s: float) -> None:
        if not self._doubted:
            self._doubted = True
            log.warning(
                "%s: its clock is %.0f s %s ours; its frames are dated by their arrival",
                self._name,
                math.fabs(ahead_s),
                "ahead of" if ahead_s > 0 else "behind",
            )


def _address(camera: Camera) -> str:
    """The URL with user and password: for libav's eyes only."""
    if camera.credentials is None:
        return camera.url
    user, password = (quote(part, safe="") for part in camera.credentials)
    parts = urlsplit(camera.url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))


def _strerror(error: av.FFmpegError) -> str:
    return redact(error.strerror or "unknown error")
