"""Packets of a stream that is seldom looked at, kept since its last key pictures.

Decoding them all would cost as much as ever. So they lie here as they came, a few megabytes, and
when a picture of some moment is wanted what leads up to it is decoded.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import av
from av.codec import CodecContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from facewatch.stream.thrift import Use, uses_in

_MOST_BYTES: Final = 32 << 20
_GROUPS: Final = 2
"""Groups of pictures that are kept: a picture of just before a key one may be asked for."""
_LAST: Final = 32
"""Packets among which pictures come in another order than they are shown in."""
_PATIENCE_S: Final = 0.3
"""Decoding for one picture may take so long: whoever asks keeps all cameras waiting."""

Size = tuple[int, int]
"""Width and height, pixels."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a picture was captured, and when it arrived here, seconds since 1970.

    Attributes:
        captured_s: By the camera's clock; None where that is not known.
    """

    captured_s: float | None
    arrived_s: float

    @property
    def way_s(self) -> float | None:
        """From the one to the other."""
        return None if self.captured_s is None else self.arrived_s - self.captured_s

    def after(self, other: "Moment") -> float:
        """Seconds from *other* to this, by the camera's clock where both have it."""
        if self.captured_s is None or other.captured_s is None:
            return self.arrived_s - other.arrived_s
        return self.captured_s - other.captured_s


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    packet: "av.Packet[VideoStream]"
    moment: Moment
    use: Use
    ahead: bool
    """Shown later than all before it in its group."""


@dataclass(slots=True, eq=False)
class _Group:
    """A key picture and those behind it."""

    kept: list[_Kept] = field(default_factory=list)
    bytes: int = 0

    def overtaking(self, pts: int | None) -> int:
        """How many of them are shown later than *pts*."""
        shown = [it.packet.pts for it in self.kept[-_LAST:]]
        return sum(pts is not None and other is not None and other > pts for other in shown)


class HeldStream:
    """Filled by one thread, asked by another.

    Args:
        resized: Told by the asking thread of the size before and now.
        patience_s: For decoding what leads up to one picture; the next is asked for further on.

    Attributes:
        given_up: A group of pictures grew over 32 MiB: nothing is held up to the next key picture.
        decoded: Packets so far.
    """

    def __init__(
        self,
        stream: VideoStream,
        resized: Callable[[Size, Size], None] = lambda _was, _now: None,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._use = uses_in(stream)
        self._decoder = _Decoder(stream, patience_s)
        self._resized = resized
        self._groups: list[_Group] = []
        self._depth = 0  # pictures that came before one that is shown earlier
        self._changed = threading.Condition()
        self.heard_at = time.monotonic()
        self.given_up = False

    @property
    def size(self) -> Size:
        """Of its pictures, (0, 0) before that is known."""
        return self._decoder.size

    @property
    def decoded(self) -> int:
        return self._decoder.decoded

    @property
    def way_s(self) -> float | None:
        """What the quickest of its pictures took to come here, by the camera's clock."""
        with self._changed:
            moments = [it.moment for group in self._groups for it in group.kept]
        return min((it.way_s for it in moments if it.way_s is not None), default=None)

    def hold(self, packet: "av.Packet[VideoStream]", moment: Moment) -> None:
        use = self._use(packet)
        with self._changed:
            self.heard_at = time.monotonic()
            if use is Use.KEY:
                self._groups = [*self._groups[1 - _GROUPS :], _Group()]
                self.given_up = False
            if not self._groups:
                return
            group = self._groups[-1]
            overtaking = group.overtaking(packet.pts)
            self._depth = max(self._depth, overtaking)
            group.kept.append(_Kept(packet, moment, use, ahead=not overtaking))
            group.bytes += packet.size
            if sum(it.bytes for it in self._groups) > _MOST_BYTES:
                self._groups = self._groups[1:]
                self.given_up = not self._groups
            self._changed.notify_all()

    def reaches(self, moment: Moment, most_s: float) -> bool:
        """Whether what it takes to decode the picture of *moment* has come; waits *most_s* for it.

        Where pictures come in another order than they are shown in that is a few more: without
        them the decoder would have to be drained, and begin anew for the next picture.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._reaches(moment), most_s)

    def picture(self, moment: Moment, within_s: float) -> VideoFrame | None:
        """The one nearest to *moment*, decoded; None if none is that near, or it takes too long.

        Blocks for *patience_s* at most.
        """
        with self._changed:
            found = self._nearest(moment, within_s)
            if found is None:
                return None
            group, place = found
            kept = list(group.kept)
        was = self.size
        frame = self._decoder.decode(group, kept, place)
        if self.size != was:
            self._resized(was, self.size)
        return frame

    def _reaches(self, moment: Moment) -> bool:
        last = self._groups[-1].kept[-_LAST:] if self._groups else []
        beyond = [n for n, it in enumerate(last) if it.ahead and it.moment.after(moment) >= 0]
        if not self._depth:
            return bool(beyond)
        return len(beyond) > 1 and len(last) - beyond[1] >= self._depth

    def _nearest(self, moment: Moment, within_s: float) -> tuple[_Group, int] | None:
        far = [
            (math.fabs(it.moment.after(moment)), number, place)
            for number, group in enumerate(self._groups)
            for place, it in enumerate(group.kept)
        ]
        if not far or min(far)[0] > within_s:
            return None
        _, number, place = min(far)
        return self._groups[number], place


class _Decoder:
    """Goes on where it was when asked for a later picture of the same group. One thread."""

    def __init__(self, stream: VideoStream, patience_s: float) -> None:
        self._patience_s = patience_s
        given = stream.codec_context
        self._context = _context(given.name, given.extradata)
        self._group: _Group | None = None
        self._next = 0
        self._made: dict[int, VideoFrame] = {}  # the last, and those behind it that came with it
        self.size = (given.width, given.height)
        self.decoded = 0

    def decode(self, group: _Group, kept: list[_Kept], place: int) -> VideoFrame | None:
        """The picture of ``kept[place]``; None if the decoder refuses it, or is not there yet."""
        wanted = kept[place].packet.pts
        if wanted is None:
            return None
        if self._group is not group or (place < self._next and wanted not in self._made):
            self._begin(group)
        for made in self._frames(kept, place, wanted):
            if made.pts is not None and made.pts >= wanted:
                self._made[made.pts] = made
        frame = self._made.get(wanted)
        if frame is not None:
            self._made = {pts: it for pts, it in self._made.items() if pts >= wanted}
            self.size = (frame.width, frame.height)
        return frame

    def _begin(self, group: _Group) -> None:
        self._context.flush_buffers()
        self._group, self._next, self._made = group, 0, {}

    def _frames(self, kept: list[_Kept], place: int, wanted: int) -> Iterator[VideoFrame]:
        """What it takes to come to *wanted*: some beyond it where pictures come out of order."""
        until = time.monotonic() + self._patience_s
        while wanted not in self._made and self._next < len(kept):
            it, number = kept[self._next], self._next
            self._next += 1
            if number >= place or it.use is not Use.NONE:
                yield from self._fed(it.packet)
                if self._next < place and time.monotonic() > until:
                    return
        if wanted not in self._made:
            yield from self._fed(None)
            self._context.flush_buffers()
            self._group = None

    def _fed(self, packet: "av.Packet[VideoStream] | None") -> list[VideoFrame]:
        self.decoded += packet is not None
        try:
            return self._context.decode(packet)
        except av.FFmpegError:
            return []


def _context(codec: str, extradata: bytes | None) -> VideoCodecContext:
    context = CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = extradata
    context.thread_type, context.thread_count = "NONE", 1
    return context
