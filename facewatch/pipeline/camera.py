"""Keeps one camera's frames coming, whatever the camera does."""

import asyncio
import logging
import os
import random
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from facewatch.domain.cameras import Camera, CameraState, CameraStatus
from facewatch.domain.ids import CameraId, OrgId, to_ruuid
from facewatch.errors import CameraRefused, CameraStalled, CameraTrouble, InvalidRequest
from facewatch.flow.mailbox import Mailbox
from facewatch.flow.metrics import Metrics, Stage
from facewatch.flow.stopwatch import Stopwatch
from facewatch.ports.streams import Frame, Source

log = logging.getLogger(__name__)

_TROUBLE = frozenset({CameraState.STALLED, CameraState.REFUSED, CameraState.GONE})

_READERS_NICE = 5
"""A third of the weight of the other threads, where they are short of cores (decision 0102)."""

_LONGEST_VISIT_GAP_S = 86_400.0
"""As the settings allow it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a camera, seconds.

    Attributes:
        silent_s: No frame for this long: the camera is stalled, and is connected anew.
        retry_least_s, retry_most_s: Between tries, doubling, with jitter.
        refused_s: After a refusal: a wrong password must not lock an account.
    """

    silent_s: float = 15.0
    retry_least_s: float = 1.0
    retry_most_s: float = 30.0
    refused_s: float = 60.0


def called(camera: Camera, default: OrgId) -> str:
    """What *camera* is in metrics: names are unique within an org only."""
    return camera.name if camera.org == default else f"{to_ruuid(camera.org)}/{camera.name}"


class Board:
    """How every camera is, for answers, metrics and the log. Event loop only, but for `decoded`.

    Of cameras of another org than *default* metrics say whose they are.
    """

    def __init__(self, metrics: Metrics, default: OrgId) -> None:
        self._default = default
        self._statuses: dict[CameraId, CameraStatus] = {}
        self._last_frame: dict[CameraId, float] = {}
        self._metrics = metrics

    @property
    def statuses(self) -> list[CameraStatus]:
        return list(self._statuses.values())

    def show(self, camera: Camera, state: CameraState, reason: str = "") -> None:
        """*camera* is in *state* now; said in the log when that is news."""
        reason = reason.removeprefix(f"{camera!r}: ")
        before = self._statuses.get(camera.id)
        if before and (before.state, before.reason) == (state, reason):
            return
        level = logging.WARNING if state in _TROUBLE or reason else logging.INFO
        log.log(level, "%r is %s%s", camera, state, f": {reason}" if reason else "")
        self._statuses[camera.id] = CameraStatus(
            camera=camera.id,
            state=state,
            reason=reason,
            fps=before.fps if before and state is CameraState.LIVE else 0.0,
            last_frame_at=before.last_frame_at if before else None,
            since=datetime.now(UTC) if not before or before.state is not state else before.since,
        )
        self._metrics.show_state(called(camera, self._default), state)

    def count(self, camera: Camera, frames: int, elapsed_s: float) -> None:
        """*frames* more arrived during *elapsed_s*."""
        self._metrics.frames_received.labels(called(camera, self._default)).inc(frames)
        status = self._statuses[camera.id]
        fps = 0.7 * status.fps + 0.3 * frames / elapsed_s if status.fps else frames / elapsed_s
        self._statuses[camera.id] = replace(status, fps=fps)

    def decoded(self, camera: Camera, cpu_s: float) -> None:
        """A frame to look at took its reader so long. Any thread."""
        self._metrics.took(Stage.DECODE, cpu_s)
        if camera.id in self._statuses:
            self._metrics.charge(called(camera, self._default), Stage.DECODE, cpu_s)

    def too_late(self, camera: Camera, frames: int) -> None:
        """There was no time for *frames* more."""
        self._metrics.frames_late.labels(called(camera, self._default)).inc(frames)

    def changed(self, camera: Camera, times: int) -> None:
        """The pictures became of another size or rate so often."""
        self._metrics.stream_changes.labels(called(camera, self._default)).inc(times)

    def frame(self, camera: Camera, at: datetime) -> None:
        """A frame to look at arrived."""
        self._last_frame[camera.id] = time.monotonic()
        self._statuses[camera.id] = replace(self._statuses[camera.id], last_frame_at=at)

    def forget(self, camera: Camera) -> None:
        """*camera* is no longer watched; that it is silent is still known, so that visits end."""
        self._statuses.pop(camera.id, None)
        self._metrics.forget_camera(called(camera, self._default))

    def heard(self, camera: CameraId, within_s: float) -> bool:
        """Whether *camera* gave a frame that lately."""
        return time.monotonic() - self._last_frame.get(camera, -1e9) <= within_s

    def silent(self, for_s: float) -> list[CameraId]:
        """Cameras that once gave frames and have given none for *for_s*; removed ones for a day."""
        now = time.monotonic()
        for camera, at in list(self._last_frame.items()):
            if camera not in self._statuses and now - at > _LONGEST_VISIT_GAP_S:
                del self._last_frame[camera]
        return [camera for camera, at in self._last_frame.items() if now - at > for_s]


class _Reader:
    """One connection, read in a thread of its own; the newest frame crosses to the loop."""

    def __init__(
        self,
        camera: Camera,
        source: Source,
        deliver: Callable[[Frame], None],
        decoded: Callable[[float], None],
    ) -> None:
        self.source = source
        self._deliver = deliver
        self._decoded = decoded
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._newest: Frame | None = None
        self._lock = threading.Lock()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        thread = threading.Thread(target=self._read, name=f"camera {camera.name}", daemon=True)
        thread.start()

    def stop(self) -> None:
        """Ask the thread to end; one that hangs in the decoder is left behind, and ends with us."""
        self._stop.set()

    def _read(self) -> None:
        trouble: Exception | None = None
        _give_way()
        watch = Stopwatch()
        try:
            for frame in self.source.frames(self._stop):
                self._decoded(watch.lap().cpu_s)
                with self._lock:
                    waiting, self._newest = self._newest, frame
                if waiting is None:
                    self._on_loop(self._cross)
        except Exception as error:  # noqa: BLE001 nothing is swallowed: the loop raises it
            trouble = error
        self._on_loop(self._end, trouble)

    def _on_loop(self, call: Callable[..., None], *args: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)

    def _cross(self) -> None:
        with self._lock:
            frame, self._newest = self._newest, None
        if frame is not None and not self._stop.is_set():
            self._deliver(frame)

    def _end(self, trouble: Exception | None) -> None:
        if self.ended.done():
            return
        if trouble is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(trouble)


def _give_way() -> None:
    """Let the engine go first where there are too few cores: what it has no time for is decoded
    for nobody. Linux only, where a thread has a priority of its own."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _READERS_NICE)


async def keep_watching(
    camera: Camera,
    open_source: Callable[[Camera], Source],
    frames: Mailbox[CameraId, Frame],
    board: Board,
    patience: Patience,
) -> None:
    """Read *camera* until cancelled: connect, watch, back off, connect again.

    While it is tried again its last trouble stands: that is what an operator has to know.
    """
    board.show(camera, CameraState.CONNECTING)
    tries = 0
    while True:
        try:
            await _watch_once(camera, open_source(camera), frames, board, patience)
            board.show(camera, CameraState.GONE, "the stream ended")
        except (CameraRefused, InvalidRequest) as trouble:
            board.show(camera, CameraState.REFUSED, str(trouble))
            await asyncio.sleep(patience.refused_s * random.uniform(1.0, 1.5))
            continue
        except CameraStalled as trouble:
            board.show(camera, CameraState.STALLED, str(trouble))
        except CameraTrouble as trouble:
            board.show(camera, CameraState.GONE, str(trouble))
        tries = 0 if board.heard(camera.id, within_s=30) else tries + 1
        pause_s = min(patience.retry_least_s * 2 ** min(tries, 10), patience.retry_most_s)
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))


async def _watch_once(
    camera: Camera,
    source: Source,
    frames: Mailbox[CameraId, Frame],
    board: Board,
    patience: Patience,
) -> None:
    """One connection, with a watchdog outside the decoder.

    Raises:
        CameraTrouble: as the source says; CameraStalled when it says nothing for too long.
    """

    def deliver(frame: Frame) -> None:
        board.show(camera, CameraState.LIVE, source.handicap)
        board.frame(camera, frame.at)
        frames.put(camera.id, frame)

    reader = _Reader(camera, source, deliver, partial(board.decoded, camera))
    received, changes, late, heard_at, looked_at = 0, 0, 0, time.monotonic(), time.monotonic()
    try:
        while not reader.ended.done():
            await asyncio.wait([reader.ended], timeout=1.0)
            now = time.monotonic()
            arrived, received = source.received - received, source.received
            board.count(camera, arrived, now - looked_at)
            changed, changes = source.changes - changes, source.changes
            board.changed(camera, changed)
            newly_late, late = source.late - late, source.late
            board.too_late(camera, newly_late)
            looked_at = now
            heard_at = now if arrived else heard_at
            if now - heard_at > patience.silent_s:
                raise CameraStalled(
                    f"{camera!r} sent no frame for {now - heard_at:.0f} s",
                    "it is being connected anew; check its network and its load",
                )
        await reader.ended
    finally:
        reader.stop()


class Watch:
    """The cameras being watched; follows the table as cameras come and go. Event loop only."""

    def __init__(
        self,
        watch_one: Callable[[Camera], Coroutine[None, None, None]],
        forget: Callable[[Camera], None],
    ) -> None:
        self._watch_one = watch_one
        self._forget = forget
        self._watched: dict[CameraId, tuple[Camera, asyncio.Task[None]]] = {}

    def camera(self, camera: CameraId) -> Camera:
        """The camera as it is being watched, or as it last was.

        Raises:
            KeyError: it never was.
        """
        return self._watched[camera][0]

    async def follow(self, lists: AsyncIterator[Sequence[Camera]]) -> None:
        """Watch what the newest list holds, until cancelled or the lists end.

        A camera whose settings changed is connected anew; the others do not notice. Another
        threshold needs no connection: it is in force for the next decision.
        """
        async with asyncio.TaskGroup() as group:
            async for cameras in lists:
                wanted = {camera.id: camera for camera in cameras}
                for camera, task in list(self._watched.values()):
                    new = wanted.get(camera.id)
                    if new and replace(camera, match_threshold=new.match_threshold) == new:
                        self._watched[camera.id] = (new, task)
                    elif not task.done():
                        task.cancel()
                        await asyncio.wait([task])
                        self._forget(camera)
                for camera in cameras:
                    was = self._watched.get(camera.id)
                    if was is None or was[0] != camera or was[1].cancelled():
                        task = group.create_task(self._watch_one(camera))
                        self._watched[camera.id] = (camera, task)
