"""What pictures come from."""

import math
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.events import (
    TimeSource,
)
from facewatch.domain.faces import Glance, Pixels
from facewatch.domain.geometry import Box
from facewatch.domain.ids import (
    CameraId,
)

Halve: TypeAlias = Callable[[NDArray[np.uint8], NDArray[np.uint8]], None]
"""Writes a plane of a picture into another of half its width and height."""


class Picture(Protocol):
    """One decoded picture; nothing is converted before it is asked for.

    Called from the engine's thread only.
    """

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def fit(self, width: int, height: int, halve: Halve | None = None) -> Pixels:
        """The whole picture scaled to exactly *width* x *height*, in one pass.

        *halve* does so where the picture is just twice as large, if it lies there in planes.
        """
        ...

    def cut(self, box: Box) -> tuple[Pixels, tuple[int, int]]:
        """The part inside *box*, clipped to the picture, at full size, and its left and top.

        Whole pixels; it may be up to two pixels larger than asked (chroma is subsampled).
        """
        ...

    def full(self) -> Pixels:
        """The whole picture at full size."""
        ...

    def glance(self) -> Glance | None:
        """Brightness on a grid about 320 pixels wide, for next to nothing; None where it is not."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ClipHeader:
    """What a video file says of itself.

    Attributes:
        width, height: As it is shown, upright.
        duration_ms: None where its container does not tell.
        first: The first picture that can be decoded.
    """

    mime: str
    width: int
    height: int
    duration_ms: int | None
    first: Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame that will be looked at.

    Attributes:
        sequence: Counts the frames of this source; gaps are frames that nobody looked at.
        at: When it was captured, UTC.
        t_s: Presentation time in the stream's own seconds.
    """

    camera: CameraId
    sequence: int
    at: datetime
    t_s: float
    time_source: TimeSource
    picture: Picture


@dataclass(frozen=True, slots=True)
class Demand:
    """How much of a camera somebody looks at, while there may not be time for all of it.

    Asked in the reader's thread, at every packet.

    Attributes:
        time_for: How many looks a second there is time for; infinite: all that are asked for.
        wanted_from: Since when, by `time.monotonic`, one look more is wanted all the same;
            infinite: it is not.
    """

    time_for: Callable[[], float] = lambda: math.inf
    wanted_from: Callable[[], float] = lambda: math.inf


class Source(Protocol):
    """A camera or a file."""

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """The frames to look at, until the stream ends or *stop* is set.

        Blocks; runs in the reader thread of its camera. Use once.

        Raises:
            CameraRefused: wrong password, or no such path.
            CameraUnreachable: nobody answers, or the camera hung up.
            CameraStalled: connected, and silent for longer than the read timeout.
            UnreadableStream: no video in it, or nothing that can be decoded.
        """
        ...

    @property
    def received(self) -> int:
        """Frames decoded or skipped so far; rises while the camera lives. Any thread."""
        ...

    @property
    def handicap(self) -> str:
        """What it lacks although frames come, in words; empty if nothing. Any thread."""
        ...

    @property
    def late(self) -> int:
        """Frames of those received that there was no time to decode. Any thread."""
        ...

    @property
    def changes(self) -> int:
        """How often its pictures came to have another size or rate so far. Any thread."""
        ...
