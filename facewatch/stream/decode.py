"""Packets become the frames that are due: common to cameras and files."""

import logging
import time
from collections.abc import Iterator
from typing import Final, Protocol

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from facewatch.domain.urls import redact
from facewatch.errors import UnreadableStream
from facewatch.ports.streams import Demand
from facewatch.stream.lag import Lag
from facewatch.stream.thrift import Thrift, Way

# FFmpeg writes to stderr by itself, camera addresses with passwords included.
av.logging.set_level(av.logging.PANIC)

log = logging.getLogger(__name__)

_USUAL_FRAME_S: Final = 0.04
_MOST_PIXELS: Final = 50_000_000
"""In one picture: a few hundred kilobytes may unfold into gigabytes."""
_NOISE_S: Final = 0.5
"""Timestamps that step back by less are taken for jitter, by more for a new beginning."""


class Stop(Protocol):
    """A `threading.Event`, or what asks several."""

    def is_set(self) -> bool: ...


class VideoReader:
    """The video in an open container, decoded by the calling thread as far as somebody looks.

    One decoder thread: FFmpeg's own cost up to a third more CPU, and there are as many cameras
    as cores soon enough (docs/decisions/0021).

    Attributes:
        received: Frames decoded or skipped so far.
        decoded: Frames decoded so far.
        damaged: Packets that the decoder refused.
        changes: How often the pictures' size or rate became another, each said in the log.
        late: Frames left out because there was no time for them; the first is said in the log.

    Raises:
        UnreadableStream: the container has no video, none that we have a decoder for, or one of
            over 50 million pixels a picture.
    """

    def __init__(
        self,
        container: InputContainer,
        name: str,
        looks_per_s: float,
        lag: Lag | None = None,
        demand: Demand | None = None,
    ) -> None:
        self.container = container
        self.stream = _video(container, name)
        self.stream.thread_type, self.stream.thread_count = "NONE", 1
        # what the container says may change in mid-stream: the decoder refuses it as well
        self.stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
        self._thrift = Thrift(self.stream, looks_per_s, demand or Demand())
        self._timeline = Timeline(self.frame_s)
        self._unit_s = float(self.stream.time_base or 0)
        self._lag = lag
        self._left_out = False
        self._waited_s = 0.0
        self.received = 0
        self.decoded = 0
        self.damaged = 0
        self.changes = 0
        self._name = name
        self._size: tuple[int, int] | None = None

    @property
    def frame_s(self) -> float:
        """Seconds between frames, as far as the stream tells."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(1 / rate) if rate else _USUAL_FRAME_S

    def packets(self, stop: Stop) -> Iterator["av.Packet[VideoStream]"]:
        """Every packet until the stream ends, the last one empty, or until *stop* is set.

        Raises:
            av.FFmpegError: the container cannot be read on.
        """
        asked_at = time.monotonic()
        for packet in self.container.demux(self.stream):
            if stop.is_set():
                return
            self._waited_s = time.monotonic() - asked_at
            yield packet
            asked_at = time.monotonic()

    def due(self, packet: "av.Packet[VideoStream] | None") -> Iterator[tuple[VideoFrame, float]]:
        """Frames to look at that *packet* completes, or with None those that are held back.

        With the seconds of each, as `Timeline` has them. None of a packet that the decoder
        refuses: it is counted, and the next one may do.
        """
        for frame in self._decode(packet):
            t_s = self._timeline.seconds(frame.time)
            if self._thrift.due(frame, t_s):
                self._notice(frame)
                yield frame, t_s

    def _decode(self, packet: "av.Packet[VideoStream] | None") -> Iterator[VideoFrame]:
        way = self._thrift.way(packet) if packet is not None and packet.size else Way.DECODE
        if way is Way.SKIP or (packet is not None and self._too_late(packet)):
            self.received += 1
            return
        try:
            match way:
                case Way.ALONE:
                    frames = self._alone(packet)
                case Way.MAKE_UP:
                    frames = self._made_up()
                case _:
                    frames = self.stream.decode(packet)
        except av.FFmpegError:
            self.damaged += 1
            return
        for frame in frames:
            self.received += 1
            self.decoded += 1
            yield frame

    @property
    def late(self) -> int:
        return self._lag.left_out if self._lag else 0

    def _too_late(self, packet: "av.Packet[VideoStream]") -> bool:
        if self._lag is None or packet.pts is None:
            return False
        before, self._left_out = (
            self._left_out,
            self._lag.leaves_out(packet.pts * self._unit_s, self._waited_s, key=packet.is_keyframe),
        )
        if before and not self._left_out:
            self.stream.codec_context.flush_buffers()
        if self._lag.left_out == self._left_out == 1:
            log.warning(
                "%s: there is no time to decode all that it sends; pictures are left out up to "
                "the next key picture, now and whenever that happens again",
                self._name,
            )
        return self._left_out

    def _notice(self, frame: VideoFrame) -> None:
        was, self._size = self._size, (frame.width, frame.height)
        if was is not None and was != self._size:
            self.changes += 1
            log.warning(
                "%s: its pictures are %d x %d now, not %d x %d", self._name, *self._size, *was
            )
        if rates := self._thrift.new_rate():
            self.changes += 1
            log.warning(
                "%s: it sent %.1f pictures a second, and sends %.1f now", self._name, *rates
            )

    def _made_up(self) -> list[VideoFrame]:
        """The newest frame, for which what was left out before it is decoded."""
        packets = self._thrift.left_out.take()
        if packets[0].is_keyframe:
            self.stream.codec_context.flush_buffers()
        newest: list[VideoFrame] = []  # never all of them: the decoder's pool would grow by as many
        for packet in packets:
            for frame in self.stream.decode(packet):
                self.decoded += len(newest)
                newest = [frame]
        return newest

    def _alone(self, packet: "av.Packet[VideoStream] | None") -> list[VideoFrame]:
        """The frame of a key packet, not held back for its order; what came before is forgotten."""
        self.stream.codec_context.flush_buffers()
        frames = self.stream.decode(packet) + self.stream.decode(None)
        self.stream.codec_context.flush_buffers()
        for frame in frames:
            frame.time_base = self.stream.time_base
        return frames


class Timeline:
    """Presentation seconds that never run back, whatever the timestamps do.

    Where one is missing or the same again, a frame's usual time has passed. Where they jump back by
    more than half a second (recordings joined together, a camera's counter reset) time goes on from
    there.

    >>> timeline = Timeline(frame_s=0.25)
    >>> [timeline.seconds(t) for t in (100.0, 100.25, None, 7.0, 7.25, 7.25)]
    [100.0, 100.25, 100.5, 100.75, 101.0, 101.25]
    """

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._shift = 0.0
        self._now: float | None = None
        self._stamp: float | None = None

    def seconds(self, stamp: float | None) -> float:
        """The time of the next frame, whose own timestamp is *stamp* seconds."""
        before, self._stamp = self._stamp, stamp
        if self._now is None:
            self._now = stamp or 0.0
        elif stamp is None or stamp == before:
            self._now += self._frame_s
        else:
            if stamp + self._shift < self._now - _NOISE_S:
                self._shift = self._now + self._frame_s - stamp
            self._now = max(self._now, stamp + self._shift)
        return self._now


def explain(error: av.FFmpegError) -> str:
    """What FFmpeg says about *error*, without the address that it was about."""
    said = error.log[-1] if error.log else None
    return redact(said.strip() if isinstance(said, str) else error.strerror or "unknown error")


def _video(container: InputContainer, name: str) -> VideoStream:
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            continue  # the cover of an audio file
        if stream.codec_context is None:
            raise UnreadableStream(
                f"{name}: there is no decoder for its video",
                "set the camera to H.264 or HEVC, or convert the file",
            )
        if stream.width * stream.height > _MOST_PIXELS:
            raise UnreadableStream(
                f"{name}: its pictures have {stream.width} x {stream.height} pixels, more than "
                f"{_MOST_PIXELS // 1_000_000} million",
                "scale it down first",
            )
        return stream
    others = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise UnreadableStream(f"{name}: there is no video in it ({others})", "give one with video")
