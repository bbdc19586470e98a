"""Two streams of one camera: faces are found in the small one and cut from the large one.

The large one is only held; a picture of it is decoded when somebody wants a face or the whole
frame. Pictures of both belong together by the camera's own clock, where both tell it, and by their
arrival where not.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from facewatch.domain.cameras import Camera
from facewatch.domain.events import TimeSource
from facewatch.domain.faces import Glance, Pixels
from facewatch.domain.geometry import Box
from facewatch.domain.urls import redact
from facewatch.errors import CameraTrouble
from facewatch.ports.streams import Frame, Halve, Picture
from facewatch.stream.decode import Stop
from facewatch.stream.held import HeldStream, Moment, Size
from facewatch.stream.picture import Converter, DecodedPicture
from facewatch.stream.rtsp import CameraClock, RtspSource

log = logging.getLogger(__name__)

_TOGETHER_S: Final = 0.1
"""Pictures further apart do not show the same: a face walks its own width in three times that."""
_LATE_S: Final = 1.0
"""A large picture may arrive so much later than its small one, which waits for it."""
_WAIT_S: Final = 0.05
_WAIT_SELDOM_S: Final = 0.45
"""Where looks are seldom their large picture is waited for, not the next look."""
_SELDOM: Final = 2.0
"""Looks a second."""
_ALIVE_S: Final = 2.0
_AGAIN_S: Final = 10.0
"""Between two tries to open the main stream while the sub-stream goes on without it."""
_ALONE_S: Final = 60.0
"""Between two tries of the sub-stream while the main one is watched alone."""
_CLOCKS_APART_S: Final = 1.5
"""Both streams come about as quickly; if not, their clocks differ."""
_TOO_LARGE: Final = (
    "its main stream has more than 32 MiB from one key picture to the next: faces are cut from "
    "the sub-stream"
)
_WAYS: Final = 50
"""Pictures of the sub-stream of which the quickest counts."""


class PairedSource:
    """A camera's sub-stream to look at, and its main stream to cut from.

    Without the main stream faces are cut from the sub-stream; without the sub-stream the main one
    is watched alone, and the other tried again beside it: `handicap` says so.

    Args:
        open_one: Makes the source of one address.
        alone_s: Between two tries of the sub-stream.
    """

    def __init__(
        self,
        camera: Camera,
        open_one: Callable[[Camera], RtspSource],
        looks_per_s: float,
        alone_s: float = _ALONE_S,
    ) -> None:
        self._camera = camera
        self._main_camera = replace(camera, sub_url="", sub_credentials=None)
        self._sub_camera = replace(
            self._main_camera, url=camera.sub_url, credentials=camera.sub_credentials
        )
        self._open_one = open_one
        self._watched = open_one(self._sub_camera)
        self._before = (0, 0, 0)  # received, changes and late of what was watched before
        self._resizes = 0
        self._lacks = ""
        self._alone_s = alone_s
        self._ways = deque[float](maxlen=_WAYS)
        self._doubted = False
        often = looks_per_s > _SELDOM
        self._wait_s = min(_WAIT_S, 0.25 / looks_per_s) if often else _WAIT_SELDOM_S

    def __repr__(self) -> str:
        return redact(repr(self._camera))

    @property
    def received(self) -> int:
        return self._before[0] + self._watched.received

    @property
    def changes(self) -> int:
        return self._before[1] + self._watched.changes + self._resizes

    @property
    def late(self) -> int:
        return self._before[2] + self._watched.late

    @property
    def codec(self) -> str:
        """FFmpeg's name of what the watched stream is coded with, once it is open; else empty."""
        return self._watched.codec

    @property
    def handicap(self) -> str:
        return self._lacks

    def frames(self, stop: threading.Event) -> Generator[Frame]:
        while not stop.is_set():
            trouble = yield from self._both(stop)
            if trouble is None:
                return
            self._lacks = f"its sub-stream fails ({_why(trouble)}): the main one is watched alone"
            yield from self._main_alone(stop)
            self._watch(self._open_one(self._sub_camera))

    def _both(self, stop: threading.Event) -> Generator[Frame, None, CameraTrouble | None]:
        """Until *stop*, or until the sub-stream fails while the main one goes on.

        Raises:
            CameraTrouble: both fail.
        """
        waiting: deque[tuple[Frame, Moment]] = deque()
        with _Main(self._open_one, self._main_camera, stop, self._resized) as main:
            main.wait_until_known()
            try:
                for frame in self._watched.frames(stop):
                    waiting.append((frame, self._moment(frame, main.held)))
                    yield from self._together(waiting, main)
            except CameraTrouble as trouble:
                if not main.alive:
                    raise
                return trouble
        return None

    def _together(self, waiting: deque[tuple[Frame, Moment]], main: "_Main") -> Iterator[Frame]:
        """Those of *waiting* of whose time the main stream is, in their order."""
        while waiting:
            frame, moment = waiting[0]
            held = main.held
            if held is None or not main.alive:
                self._lacks = f"its main stream fails ({main.why}): the sub-stream is all there is"
                yield frame
            elif (
                held.given_up
                or held.reaches(moment, self._wait_s)
                or time.time() > moment.arrived_s + _LATE_S
            ):
                self._lacks = _TOO_LARGE if held.given_up else ""
                picture = PairedPicture(frame.picture, held, moment, main.converter)
                yield replace(frame, picture=picture)
            else:
                return
            waiting.popleft()

    def _moment(self, frame: Frame, held: HeldStream | None) -> Moment:
        """Of a frame that has just arrived; by its arrival alone where the two clocks differ."""
        known = frame.at.timestamp() if frame.time_source is TimeSource.RTCP else None
        moment = Moment(known, time.time())
        if moment.way_s is None or held is None:
            return moment
        self._ways.append(moment.way_s)
        main_way_s = held.way_s
        if main_way_s is None or abs(apart_s := main_way_s - min(self._ways)) < _CLOCKS_APART_S:
            return moment
        if not self._doubted:
            self._doubted = True
            log.warning(
                "%r: the clocks of its two streams are %.1f s apart: pictures belong together by "
                "their arrival",
                *(self, abs(apart_s)),
            )
        return Moment(None, moment.arrived_s)

    def _resized(self, was: Size, now: Size) -> None:
        self._resizes += 1
        log.warning(
            "%r: pictures of its main stream are %d x %d now, not %d x %d", self, *now, *was
        )

    def _main_alone(self, stop: threading.Event) -> Generator[Frame]:
        """Until the sub-stream sends again: it is tried beside, so that nothing is missed."""
        self._watch(self._open_one(self._main_camera))
        with _Knocking(self._open_one, self._sub_camera, stop, self._alone_s) as sub:
            for frame in self._watched.frames(stop):
                yield frame
                if sub.answers:
                    return

    def _watch(self, source: RtspSource) -> None:
        changes = self._before[1] + self._watched.changes
        self._before, self._watched = (self.received, changes, self.late), source


class PairedPicture:
    """A picture of the sub-stream in the main stream's pixels. Implements `ports.streams.Picture`.

    Where the main stream has no picture of that moment, the sub-stream's is enlarged: it is
    blurred, and so judged.
    """

    __slots__ = ("_converter", "_held", "_moment", "_sharp", "_size", "_small", "_tried")

    def __init__(
        self, small: Picture, held: HeldStream, moment: Moment, converter: Converter
    ) -> None:
        self._small = small
        self._held = held
        self._moment = moment
        self._converter = converter
        self._size = held.size
        self._sharp: DecodedPicture | None = None
        self._tried = False

    @property
    def width(self) -> int:
        return self._size[0]

    @property
    def height(self) -> int:
        return self._size[1]

    def fit(self, width: int, height: int, halve: Halve | None = None) -> Pixels:
        return self._small.fit(width, height, halve)

    def cut(self, box: Box) -> tuple[Pixels, tuple[int, int]]:
        if sharp := self._large():
            return sharp.cut(box)
        inside = box.clipped(Box(0, 0, self.width, self.height))
        left, top, right, bottom = inside.rounded()
        enlarged = self._small.fit(self.width, self.height)
        return np.ascontiguousarray(enlarged[top:bottom, left:right]), (left, top)

    def full(self) -> Pixels:
        if sharp := self._large():
            return sharp.full()
        return self._small.fit(self.width, self.height)

    def glance(self) -> Glance | None:
        return self._small.glance()

    def _large(self) -> DecodedPicture | None:
        """Decoded once, when asked for first: later the packets may be gone."""
        if not self._tried:
            self._tried = True
            frame = self._held.picture(self._moment, _TOGETHER_S)
            if frame is not None and (frame.width, frame.height) == self._size:
                self._sharp = DecodedPicture(frame, self._converter)
        return self._sharp


@dataclass(frozen=True, slots=True)
class _Either:
    """Set when one of the two is."""

    one: Stop
    other: Stop

    def is_set(self) -> bool:
        return self.one.is_set() or self.other.is_set()


class _Knocking:
    """Tries a stream again and again, in a thread of its own, until a packet of it has come.

    Attributes:
        answers: It did.
    """

    def __init__(
        self,
        open_one: Callable[[Camera], RtspSource],
        camera: Camera,
        stop: threading.Event,
        every_s: float,
    ) -> None:
        self._open_one = open_one
        self._camera = camera
        self._over = threading.Event()
        self._stop = _Either(stop, self._over)
        self._every_s = every_s
        self.answers = False

    def __enter__(self) -> "_Knocking":
        name = f"sub-stream of {self._camera.name}"
        threading.Thread(target=self._knock, name=name, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _knock(self) -> None:
        while not self._over.wait(self._every_s) and not self._stop.is_set():
            with contextlib.suppress(CameraTrouble):
                self.answers = any(
                    packet.size for _, packet in self._open_one(self._camera).packets(self._stop)
                )
            if self.answers:
                return


class _Main:
    """Holds what the main stream sends, in a thread of its own, and opens it anew when it fails.

    Attributes:
        held: None before it was opened.
        why: What it failed of last.
    """

    def __init__(
        self,
        open_one: Callable[[Camera], RtspSource],
        camera: Camera,
        stop: threading.Event,
        resized: Callable[[Size, Size], None],
    ) -> None:
        self._open_one = open_one
        self._camera = camera
        self._resized = resized
        self._over = threading.Event()
        self._stop = _Either(stop, self._over)
        self._known = threading.Event()
        self.held: HeldStream | None = None
        self.converter = Converter()
        self.why = "it is being opened"

    def __enter__(self) -> "_Main":
        name = f"main stream of {self._camera.name}"
        threading.Thread(target=self._read, name=name, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()

    @property
    def alive(self) -> bool:
        held = self.held
        return (
            held is not None and 0 not in held.size and time.monotonic() - held.heard_at < _ALIVE_S
        )

    def wait_until_known(self) -> None:
        """Until its first packet has come, it has failed, or ten seconds have passed."""
        self._known.wait(_AGAIN_S)

    def _read(self) -> None:
        while not self._stop.is_set():
            try:
                self._hold(self._open_one(self._camera))
            except CameraTrouble as trouble:
                self.why = _why(trouble)
            self._known.set()
            self._over.wait(_AGAIN_S)

    def _hold(self, source: RtspSource) -> None:
        clock, held = CameraClock(repr(source)), None
        for reader, packet in source.packets(self._stop):
            if held is None:
                held = self.held = HeldStream(reader.stream, self._resized)
            if packet.size:
                clock.heard(packet, reader.container)
                at, time_source = clock.captured(packet.pts)
                known = at.timestamp() if time_source is TimeSource.RTCP else None
                held.hold(packet, Moment(known, time.time()))
                self.why = "it is silent"
                self._known.set()


def _why(trouble: CameraTrouble) -> str:
    return redact(trouble.what).rpartition("): ")[2]
