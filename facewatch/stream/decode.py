"""Packets become frames, and of those the ones that are due: common to cameras and files."""

import logging
import threading
from collections.abc import Iterator
from typing import Final

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from facewatch.domain.urls import redact
from facewatch.errors import UnreadableStream

# FFmpeg writes to stderr by itself, camera addresses with passwords included.
av.logging.set_level(av.logging.PANIC)

log = logging.getLogger(__name__)

_USUAL_FRAME_S: Final = 0.04
_NOISE_S: Final = 0.5
"""Timestamps that step back by less are taken for jitter, by more for a new beginning."""
_EARLY_S: Final = 0.001
"""A frame counts as due this much before its time: timestamps are rounded."""


class VideoReader:
    """The video in an open container, decoded by the calling thread.

    One decoder thread: FFmpeg's own cost up to a third more CPU, and there are as many cameras
    as cores soon enough (docs/decisions/0021).

    Attributes:
        received: Frames decoded so far.
        damaged: Packets that the decoder refused.

    Raises:
        UnreadableStream: the container has no video, or none that we have a decoder for.
    """

    def __init__(self, container: InputContainer, name: str) -> None:
        self.container = container
        self.stream = _video(container, name)
        self.stream.thread_type, self.stream.thread_count = "NONE", 1
        self.received = 0
        self.damaged = 0

    @property
    def frame_s(self) -> float:
        """Seconds between frames, as far as the stream tells."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(1 / rate) if rate else _USUAL_FRAME_S

    def packets(self, stop: threading.Event) -> Iterator["av.Packet[VideoStream]"]:
        """Every packet until the stream ends, the last one empty, or until *stop* is set.

        Raises:
            av.FFmpegError: the container cannot be read on.
        """
        for packet in self.container.demux(self.stream):
            if stop.is_set():
                return
            yield packet

    def decoded(self, packet: "av.Packet[VideoStream] | None") -> Iterator[VideoFrame]:
        """The frames that *packet* completes, or with None those that are held back.

        None of a packet that the decoder refuses: it is counted, and the next one may do.
        """
        try:
            frames = self.stream.decode(packet)
        except av.FFmpegError:
            self.damaged += 1
            return
        for frame in frames:
            self.received += 1
            yield frame


class Timeline:
    """Presentation seconds that never run back, whatever the timestamps do.

    Where one is missing, a frame's usual time has passed. Where they jump back by more than
    half a second (recordings joined together, a camera's counter reset) time goes on from there.

    >>> timeline = Timeline(frame_s=0.25)
    >>> [timeline.seconds(t) for t in (100.0, 100.25, None, 7.0, 7.25)]
    [100.0, 100.25, 100.5, 100.75, 101.0]
    """

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._shift = 0.0
        self._now: float | None = None

    def seconds(self, stamp: float | None) -> float:
        """The time of the next frame, whose own timestamp is *stamp* seconds."""
        if self._now is None:
            self._now = stamp or 0.0
        elif stamp is None:
            self._now += self._frame_s
        else:
            if stamp + self._shift < self._now - _NOISE_S:
                self._shift = self._now + self._frame_s - stamp
            self._now = max(self._now, stamp + self._shift)
        return self._now


class Pace:
    """Which frames are due, *looks_per_s* of them: the first at or after each tick.

    >>> pace = Pace(looks_per_s=5)
    >>> [t / 100 for t in range(0, 100, 8) if pace.due(t / 100)]  # 12.5 frames a second
    [0.0, 0.24, 0.4, 0.64, 0.8]
    """

    def __init__(self, looks_per_s: float) -> None:
        self._period = 1 / looks_per_s
        self._next: float | None = None

    def due(self, t_s: float) -> bool:
        """Whether to look at the frame of *t_s*, which never runs back."""
        if self._next is None:
            self._next = t_s
        if t_s + _EARLY_S < self._next:
            return False
        late = t_s - self._next
        self._next = self._next + self._period if late < self._period else t_s + self._period
        return True


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
        return stream
    others = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise UnreadableStream(f"{name}: there is no video in it ({others})", "give one with video")
