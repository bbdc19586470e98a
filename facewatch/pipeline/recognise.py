"""Frames of all cameras through the vision engine, looks into visits."""

import asyncio
import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial

from facewatch.domain.cameras import SuppressedRegion
from facewatch.domain.faces import Glimpse, Look, Pixels
from facewatch.domain.ids import CameraId
from facewatch.flow.channel import Channel
from facewatch.flow.mailbox import Mailbox
from facewatch.flow.metrics import Metrics, Stage
from facewatch.pipeline.tracker import Said
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.streams import Frame
from facewatch.ports.vision import Engine

_Steps = Generator[list[Pixels], Sequence[Said], list[Visit]]


class Recogniser:
    """The engine and who is in view at each camera. Blocks; the engine's thread only.

    *visitors_at* makes the state of a camera when its first frame comes.
    """

    def __init__(
        self,
        engine: Engine,
        visitors_at: Callable[[CameraId], Visitors],
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._visitors_at = visitors_at
        self._visitors: dict[CameraId, Visitors] = {}
        self._metrics = metrics
        self._suppressed: Mapping[CameraId, tuple[SuppressedRegion, ...]] = {}

    @property
    def suppressed(self) -> Mapping[CameraId, tuple[SuppressedRegion, ...]]:
        """Where something stands still that fires as a face. Any thread: replaced, not changed."""
        return self._suppressed

    def see(self, frames: Sequence[Frame]) -> list[Visit]:
        """What *frames*, at most one a camera, change; embeddings are batched over cameras."""
        with self._metrics.timed(Stage.DETECT):
            seen = self._engine.watch([frame.picture for frame in frames])
        self._metrics.faces_detected.inc(sum(len(it.faces) for it in seen))
        steps = [
            self._at(frame.camera).see(
                frame,
                [Glimpse(frame.at, frame.t_s, it, self._engine.promise(it)) for it in found.faces],
                partial(self._look, frame),
                found.scene,
            )
            for frame, found in zip(frames, seen, strict=True)
        ]
        asked = [next(step) for step in steps]
        said = self._embed([crop for crops in asked for crop in crops])
        visits: list[Visit] = []
        for step, crops in zip(steps, asked, strict=True):
            mine, said = said[: len(crops)], said[len(crops) :]
            visits += _finish(step, mine)
        for frame in frames:
            self._show(frame.camera)
        return visits

    def _show(self, camera: CameraId) -> None:
        regions = self._at(camera).suppressed
        if regions != self._suppressed.get(camera, ()):
            self._suppressed = {**self._suppressed, camera: regions}

    def idle(self, camera: CameraId, elapsed_s: float) -> list[Visit]:
        """*camera* gave no frame for *elapsed_s*: visits end all the same."""
        return self._at(camera).idle(elapsed_s)

    def close(self, camera: CameraId) -> list[Visit]:
        """*camera* will give no more frames."""
        visitors = self._visitors.pop(camera, None)
        self._suppressed = {it: on for it, on in self._suppressed.items() if it != camera}
        return visitors.close() if visitors else []

    def close_all(self) -> list[Visit]:
        return [visit for camera in list(self._visitors) for visit in self.close(camera)]

    def _at(self, camera: CameraId) -> Visitors:
        if camera not in self._visitors:
            self._visitors[camera] = self._visitors_at(camera)
        return self._visitors[camera]

    def _look(self, frame: Frame, glimpse: Glimpse) -> Look:
        """A closer look: the aligned face, from the picture at full size, and its quality."""
        found = glimpse.detection
        with self._metrics.timed(Stage.ALIGN):
            crop = self._engine.align(frame.picture, found.landmarks)
            quality = self._engine.quality(found, crop)
        return Look(glimpse.at, glimpse.t_s, found, quality, crop)

    def _embed(self, crops: Sequence[Pixels]) -> list[Said]:
        if not crops:
            return []
        with self._metrics.timed(Stage.EMBED):
            templates, telling = self._engine.embed_telling(crops)
        self._metrics.embeddings.inc(len(crops))
        return list(zip(templates, telling.tolist(), strict=True))


def _finish(step: _Steps, said: Sequence[Said]) -> list[Visit]:
    try:
        step.send(said)
    except StopIteration as end:
        visits: list[Visit] = end.value
        return visits
    raise RuntimeError("a camera's step asked for templates twice")


async def recognise(
    frames: Mailbox[CameraId, Frame],
    recogniser: Recogniser,
    executor: Executor,
    visits: Channel[Visit],
    turn: asyncio.Lock,
    *,
    batch: int,
) -> None:
    """Run until *frames* is closed and drained, then close every visit and *visits*.

    Load is shed before detection only: *frames* keeps one frame a camera. A full *visits*
    holds the engine back, which lets more frames be replaced in *frames*. Whoever asks the
    recogniser holds *turn* until its visits are handed on: they stay in order.
    """
    loop = asyncio.get_running_loop()
    while taken := await frames.take(batch):
        async with turn:
            for visit in await loop.run_in_executor(executor, recogniser.see, taken):
                await visits.put(visit)
    for visit in await loop.run_in_executor(executor, recogniser.close_all):
        await visits.put(visit)
    await visits.close()


async def pass_time(
    recogniser: Recogniser,
    executor: Executor,
    silent: Callable[[], list[tuple[CameraId, float]]],
    visits: Channel[Visit],
    turn: asyncio.Lock,
    until: asyncio.Event,
    *,
    every_s: float = 1.0,
) -> None:
    """Let time pass at cameras that give no frames; *silent* says which, and for how long.

    Ends by *until*, not by being cancelled: visits that the recogniser has let go of are
    handed on first.
    """
    loop = asyncio.get_running_loop()
    while not until.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await until.wait()
        for camera, elapsed_s in silent():
            async with turn:
                said = await loop.run_in_executor(executor, recogniser.idle, camera, elapsed_s)
                for visit in said:
                    await visits.put(visit)
