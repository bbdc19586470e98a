"""Frames of all cameras through the vision engine, looks into visits."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial

from facewatch.domain.cameras import SuppressedRegion
from facewatch.domain.faces import Glimpse, Look, Pixels, Seen
from facewatch.domain.ids import CameraId, RegionId
from facewatch.flow.channel import Channel
from facewatch.flow.mailbox import Mailbox
from facewatch.flow.metrics import Metrics, Stage
from facewatch.flow.stopwatch import Spent, Stopwatch
from facewatch.pipeline.idle import Stillness
from facewatch.pipeline.track import embedded
from facewatch.pipeline.tracker import Said
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.streams import Frame
from facewatch.ports.vision import Engine

_AGAIN = 2
"""Looks of a track that another embedder is shown at once: the others come by themselves."""

_Steps = Generator[list[Pixels], Sequence[Said], list[Visit]]


class Recogniser:
    """The engine and who is in view at each camera. Blocks; the engine's thread only.

    *visitors_at* makes the state of a camera when its first frame comes; *charge* is told which
    camera took how many processor seconds of a stage; *hurry* at each look at a camera in how many
    seconds one more may let a visit be told of, if so. Where nobody is and nothing moves the
    detector is asked every *idle_look_s* only.
    """

    def __init__(
        self,
        engine: Engine,
        visitors_at: Callable[[CameraId], Visitors],
        metrics: Metrics,
        charge: Callable[[CameraId, Stage, float], None] = lambda _camera, _stage, _cpu_s: None,
        idle_look_s: float = 0.0,
        hurry: Callable[[CameraId, float | None], None] = lambda _camera, _in_s: None,
    ) -> None:
        self._engine = engine
        self._visitors_at = visitors_at
        self._visitors: dict[CameraId, Visitors] = {}
        self._metrics = metrics
        self._charge = charge
        self._hurry = hurry
        self._aligning = Spent()
        self._idle_look_s = idle_look_s
        self._still: dict[CameraId, Stillness] = {}
        self._suppressed: Mapping[CameraId, tuple[SuppressedRegion, ...]] = {}

    @property
    def suppressed(self) -> Mapping[CameraId, tuple[SuppressedRegion, ...]]:
        """Where something stands still that fires as a face. Any thread: replaced, not changed."""
        return self._suppressed

    def see(self, frames: Sequence[Frame]) -> list[Visit]:
        """What *frames*, at most one a camera, change; embeddings are batched over cameras."""
        watch = Stopwatch()
        frames = [it for it in frames if not self._idle(it)]
        if not frames:
            return []
        seen = self._watched(frames, watch)
        steps = [
            self._at(frame.camera).see(
                frame,
                [Glimpse(frame.at, frame.t_s, it, self._engine.promise(it)) for it in found.faces],
                partial(self._look, frame),
                found.scene,
            )
            for frame, found in zip(frames, seen, strict=True)
        ]
        asked, following = [], []
        for step in steps:
            asked.append(next(step))
            following.append(self._without_aligning(watch.lap()))
        said = self._embed(frames, asked, watch)
        visits: list[Visit] = []
        for frame, step, crops, before in zip(frames, steps, asked, following, strict=True):
            mine, said = said[: len(crops)], said[len(crops) :]
            visits += _finish(step, mine)
            self._show(frame.camera)
            self._hurry(frame.camera, self._at(frame.camera).next_look_in_s)
            self._still[frame.camera].looked(empty=self._at(frame.camera).nobody)
            self._note(Stage.FOLLOW, [frame], before + self._without_aligning(watch.lap()))
        return visits

    def _idle(self, frame: Frame) -> bool:
        """Whether *frame* need not be looked at: it shows what was seen to be empty before."""
        if frame.camera not in self._still:
            self._still[frame.camera] = Stillness(self._idle_look_s)
        still = self._still[frame.camera].holds(frame)
        if still:
            self._metrics.frames_idle.inc()
        return still

    def _watched(self, frames: Sequence[Frame], watch: Stopwatch) -> list[Seen]:
        """What the detector says of each frame."""
        seen = self._engine.watch([frame.picture for frame in frames])
        detecting = watch.lap()
        for frame, it in zip(frames, seen, strict=True):
            converting = Spent(it.converting_s, it.converting_cpu_s)
            self._note(Stage.CONVERT, [frame], converting)
            detecting -= converting
        self._note(Stage.DETECT, frames, detecting)
        self._metrics.faces_detected.inc(sum(len(it.faces) for it in seen))
        return seen

    def _note(self, stage: Stage, frames: Sequence[Frame], spent: Spent) -> None:
        """*stage* was done once, for *frames* in equal shares."""
        self._metrics.took(stage, spent.wall_s)
        for frame in frames:
            self._charge(frame.camera, stage, spent.cpu_s / len(frames))

    def _without_aligning(self, spent: Spent) -> Spent:
        """*spent* less what `_look` counted by itself since this was asked last."""
        rest, self._aligning = spent - self._aligning, Spent()
        return rest

    def _show(self, camera: CameraId) -> None:
        regions = self._at(camera).suppressed
        if regions != self._suppressed.get(camera, ()):
            self._suppressed = {**self._suppressed, camera: regions}

    def exchange(self, engine: Engine) -> None:
        """Another engine from the next frame on; open visits go on.

        Templates of different embedders never meet: the best two looks of each track are embedded
        again, which takes the time of as many looks.
        """
        self._engine = engine
        for visitors in self._visitors.values():
            visitors.renew(self._embedded_again, _AGAIN)

    def _embedded_again(self, looks: Sequence[Look]) -> list[Look]:
        if not looks:
            return []
        templates, telling = self._engine.embed_telling([it.crop for it in looks])
        self._metrics.embeddings.inc(len(looks))
        said = zip(looks, templates, telling.tolist(), strict=True)
        return [embedded(look, template, tells) for look, template, tells in said]

    def watch_again(self, camera: CameraId, regions: Collection[RegionId]) -> None:
        """What stands still there is followed again, and makes an event."""
        self._at(camera).watch_again(regions)
        self._show(camera)

    def idle(self, camera: CameraId, elapsed_s: float) -> list[Visit]:
        """*camera* gave no frame for *elapsed_s*: visits end all the same."""
        return self._at(camera).idle(elapsed_s)

    def close(self, camera: CameraId) -> list[Visit]:
        """*camera* will give no more frames."""
        visitors = self._visitors.pop(camera, None)
        self._still.pop(camera, None)
        self._hurry(camera, None)
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
        found, watch = glimpse.detection, Stopwatch()
        crop = self._engine.align(frame.picture, found.landmarks)
        quality = self._engine.quality(found, crop)
        spent = watch.lap()
        self._aligning += spent
        self._note(Stage.ALIGN, [frame], spent)
        return Look(glimpse.at, glimpse.t_s, found, quality, crop)

    def _embed(
        self, frames: Sequence[Frame], asked: Sequence[Sequence[Pixels]], watch: Stopwatch
    ) -> list[Said]:
        """What the crops say that *asked* holds for each of *frames*, one after the other."""
        crops = [crop for each in asked for crop in each]
        if not crops:
            return []
        templates, telling = self._engine.embed_telling(crops)
        whose = [frame for frame, each in zip(frames, asked, strict=True) for _ in each]
        self._note(Stage.EMBED, whose, watch.lap())
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
