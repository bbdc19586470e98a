"""Which packets have to be decoded, when fewer pictures are looked at than arrive.

A picture that no other refers to costs nothing when nobody looks at it, and behind a key picture
nothing needs to be decoded until somebody looks again. How often either comes is measured: cameras
change their rate and their pattern when it gets dark or somebody sets them anew.
"""

import math
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum, IntEnum, auto
from itertools import pairwise
from typing import Final

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from facewatch.ports.streams import Demand
from facewatch.stream.left_out import LeftOut

_EARLY_S: Final = 0.001
"""A picture counts as due this much before its time: timestamps are rounded."""
_TOLERANCE: Final = 1.05
"""Pictures that come this much more seldom than somebody looks are often enough."""
_TOLERANCE_IN_NEED: Final = 1.5
"""The same where there is no time for all looks."""

_WINDOW: Final = 50
"""Packets over which the stream's rate is measured."""
_KNOWN_REFERENCES: Final = 8
_KNOWN_KEYS: Final = 2
"""Distances between two pictures of a kind that are known before the others are left out."""

_HEAD: Final = 4096
"""Bytes of a packet in which its first slice begins, behind parameter sets and remarks."""

_NEW_RATE: Final = 1.5

_LENGTH_AT: Final = {"h264": 4, "hevc": 21}
"""Where a configuration record says how long the length before each NAL unit is."""


class Use(IntEnum):
    """What other pictures need of a picture."""

    NONE = 0
    """No other refers to it."""
    REFERENCE = 1
    """Others refer to it."""
    KEY = 2
    """It refers to no other, nor do those behind it to one before it."""


class Way(Enum):
    """What to do with a packet."""

    SKIP = auto()
    DECODE = auto()
    ALONE = auto()
    """Decode it, take its picture out at once, and forget it: packets were and will be skipped."""
    MAKE_UP = auto()
    """Decode what was left out before it, then itself, for its picture alone."""


class Pace:
    """Which pictures are due, *looks_per_s* of them: the first at or after each tick.

    >>> pace = Pace(looks_per_s=5)
    >>> [t / 100 for t in range(0, 100, 8) if pace.due(t / 100)]  # 12.5 frames a second
    [0.0, 0.24, 0.4, 0.64, 0.8]
    """

    def __init__(self, looks_per_s: float, first_s: float | None = None) -> None:
        self._period = 1 / looks_per_s
        self._next = first_s

    def due(self, t_s: float, early_s: float = _EARLY_S) -> bool:
        """Whether to look at the picture of *t_s*, which never runs back."""
        if self._next is None:
            self._next = t_s
        if t_s + early_s < self._next:
            return False
        late = t_s - self._next
        self._next = self._next + self._period if late < self._period else t_s + self._period
        return True

    def until_next_s(self, t_s: float) -> float:
        """From *t_s* to the next tick."""
        return (t_s if self._next is None else self._next) - t_s


class Distances:
    """How many packets apart pictures of a kind come.

    >>> distances = Distances(known=1)
    >>> [distances.count(here=it) or distances.most for it in (True, False, True, False, False)]
    [0, 0, 2, 2, 2]
    """

    def __init__(self, known: int) -> None:
        self._known = known
        self._gaps: deque[int] = deque(maxlen=2 * known)
        self._since = 0

    def count(self, *, here: bool) -> None:
        """Another packet came; *here*: its picture is of this kind."""
        self._since += 1
        if here:
            self._gaps.append(self._since)
            self._since = 0

    @property
    def most(self) -> int:
        """0 while too few came to tell."""
        return max(*self._gaps, self._since) if len(self._gaps) > self._known else 0

    @property
    def mean(self) -> float:
        """0 before the first came."""
        return sum(self._gaps) / max(1, len(self._gaps))


class Thrift:
    """The fewest packets that give a picture for each of *looks_per_s* looks. One thread.

    Where references come hardly more often than somebody looks, they are all that is looked at:
    a look may then be late by what lies between two. Where they are denser a due picture that
    nobody refers to is decoded as well, because it adds little: looks keep to their ticks.

    While there is no time for more than key pictures, what is behind them lies in `left_out`: where
    *demand* wants a look before the next of them comes, it is made up for.
    """

    def __init__(
        self,
        stream: VideoStream,
        looks_per_s: float,
        demand: Demand,
    ) -> None:
        self._demand = demand
        self._period = 1 / looks_per_s
        self._use_of = uses_in(stream)
        self._unit_s = float(stream.time_base or 0)
        self._times = array("d")  # side by side: this is gone through with every packet
        self._frame_s = 0.0
        self._references = Distances(_KNOWN_REFERENCES)
        self._keys = Distances(_KNOWN_KEYS)
        self._looks_per_s = looks_per_s
        self._pace = Pace(looks_per_s)
        self._key_pace: Pace | None = None
        self._tick_s: float | None = None
        self._due_at = -math.inf
        self.left_out = LeftOut()
        self._arrived = 0
        self._usual_s = 0.0

    def new_rate(self) -> tuple[float, float] | None:
        """Pictures a second before and now, where that changed by half or more; said once."""
        if self._arrived < _WINDOW:
            return None
        self._arrived = 0
        times = sorted(self._times)
        apart_s = sorted(after - before for before, after in pairwise(times))[len(times) // 2]
        before_s, grown = self._usual_s, apart_s / self._usual_s if self._usual_s else 0.0
        if not apart_s or 1 / _NEW_RATE < grown < _NEW_RATE:
            return None
        self._usual_s = apart_s
        return (1 / before_s, 1 / apart_s) if before_s else None

    def way(self, packet: "av.Packet[VideoStream]") -> Way:
        """What to do with *packet*. Ask once for each, in the order of their coming."""
        if packet.pts is None:
            return Way.SKIP if self._key_pace else Way.DECODE
        use, t_s = self._use_of(packet), packet.pts * self._unit_s
        self._learn(use, t_s)
        time_for = self._demand.time_for()
        if key_s := self._often_enough(self._keys) or self._must_do(self._keys, time_for):
            if self._key_pace is None:
                self._key_pace = Pace(self._looks_per_s, self._tick_s)
                self.left_out.lose()
            if time_for == math.inf:
                self.left_out.lose()
            elif use is Use.KEY:
                self.left_out.begin()
            wanted = self._is_wanted(t_s)
            if wanted or use is not Use.NONE:
                self.left_out.add(packet)
            if use is Use.KEY and self._key_pace.due(t_s, key_s / 2):
                return Way.ALONE
            return Way.MAKE_UP if wanted and self.left_out.whole else Way.SKIP
        if self._key_pace and use is not Use.KEY:
            return Way.SKIP
        self._key_pace = None
        if use is not Use.NONE or not self._often_enough(self._references):
            return Way.DECODE
        return Way.DECODE if self._dense() and self._will_be_due(t_s) else Way.SKIP

    def _is_wanted(self, t_s: float) -> bool:
        """Whether a look at *t_s* is, and was not handed out since."""
        wanted = self._due_at < self._demand.wanted_from() <= time.monotonic()
        return wanted and (self._tick_s is None or t_s + _EARLY_S >= self._tick_s)

    def due(self, frame: VideoFrame, t_s: float) -> bool:
        """Whether to look at *frame*, which is shown at *t_s*; that never runs back."""
        due = self._pace.due(t_s) or (self._key_pace is not None and bool(frame.key_frame))
        if due:
            self._due_at = time.monotonic()
        if due and frame.time is not None:
            self._tick_s = frame.time + self._pace.until_next_s(t_s)
        return due

    def _dense(self) -> bool:
        """Whether there are two references or more to a look."""
        return 2 * self._references.mean * self._frame_s <= self._period

    def _will_be_due(self, t_s: float) -> bool:
        """Whether no picture before that of *t_s* will be the first after its tick."""
        if self._tick_s is None:
            return True
        return (t_s + _EARLY_S - self._tick_s) % self._period < self._frame_s

    def _learn(self, use: Use, t_s: float) -> None:
        self._arrived += 1
        self._times.append(t_s)
        del self._times[:-_WINDOW]
        if len(self._times) >= _WINDOW // 2:
            self._frame_s = (max(self._times) - min(self._times)) / (len(self._times) - 1)
        self._references.count(here=use is not Use.NONE)
        self._keys.count(here=use is Use.KEY)

    def _often_enough(self, kind: Distances) -> float:
        """Seconds between pictures of this kind if there are enough for every look, else 0."""
        apart_s = kind.most * self._frame_s
        return apart_s if apart_s <= _TOLERANCE * self._period else 0.0

    def _must_do(self, kind: Distances, time_for: float) -> float:
        """The same for every look that there is time for."""
        if time_for == math.inf:
            return 0.0
        apart_s = kind.most * self._frame_s
        return apart_s if apart_s * time_for <= _TOLERANCE_IN_NEED else 0.0


def uses_in(stream: VideoStream) -> Callable[["av.Packet[VideoStream]"], Use]:
    """What tells the use of a packet of *stream*; only of H.264 and HEVC more than key or not."""
    codec, record = stream.codec_context.name, stream.codec_context.extradata or b""
    framed = record[:1] == b"\x01"  # mp4, mkv: lengths in place of start codes
    at = _LENGTH_AT.get(codec, len(record))
    length = (record[at] & 3) + 1 if framed and at < len(record) else 0
    readers: dict[str, Callable[[bytes, int], bool]] = {
        "h264": _ReferredH264(),
        "hevc": _ReferredHevc(),
    }
    referred = readers.get(codec)

    def use(packet: "av.Packet[VideoStream]") -> Use:
        if packet.is_keyframe:
            return Use.KEY
        if referred is None:
            return Use.REFERENCE
        coded = bytes(memoryview(packet)[:_HEAD])
        return Use.REFERENCE if referred(coded, length) else Use.NONE

    return use


class _ReferredH264:
    """nal_ref_idc of the first slice (ITU-T H.264, 7.4.1)."""

    def __call__(self, coded: bytes, length: int) -> bool:
        for at in _units(coded, length):
            if 1 <= coded[at] & 31 <= 5:
                return bool(coded[at] >> 5 & 3)
        return True


class _ReferredHevc:
    """Sub-layer non-reference pictures of the highest temporal layer (ITU-T H.265, 7.4.2.2)."""

    def __init__(self) -> None:
        self._highest = 0

    def __call__(self, coded: bytes, length: int) -> bool:
        for at in _units(coded, length):
            kind, layer = coded[at] >> 1 & 63, coded[at + 1] & 7
            if kind < 32:
                self._highest = max(self._highest, layer)
                return kind > 14 or kind % 2 == 1 or layer < self._highest
        return True


def _units(coded: bytes, length: int) -> Iterator[int]:
    """Where each NAL unit begins; *length* bytes before it say how long it is, or a start code."""
    at = 0
    while True:
        if length:
            start = at + length
            at = start + int.from_bytes(coded[at:start], "big")
        else:
            start = coded.find(b"\0\0\1", at) + 3
            if start < 3:
                return
            at = start
        if start + 1 >= len(coded):
            return
        yield start
