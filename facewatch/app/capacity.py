"""How many cameras this machine carries, found out with cameras that are made up.

Everything is real: RTSP from a process of its own, models, Postgres, disk; in a home of its own
that is gone afterwards.
"""

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from facewatch.app.machine import cores, machine_cpu_s, own_cpu_s, resident_mib
from facewatch.app.recognition import Recognition, enroller_of, open_recognition
from facewatch.app.serve import run_service
from facewatch.app.stores import Stores, open_stores
from facewatch.demo.cameras import demo_cameras
from facewatch.demo.material import DemoMaterial, prepare
from facewatch.demo.photos import Progress
from facewatch.demo.rooms import PASSAGE
from facewatch.domain.cameras import Camera
from facewatch.domain.ids import CameraId, new_id
from facewatch.evaluate.capacity import Step, Wanted, next_number
from facewatch.flow.metrics import Metrics, Stage
from facewatch.settings import Settings

_ENGINE = (Stage.CONVERT, Stage.DETECT, Stage.FOLLOW, Stage.ALIGN, Stage.EMBED)
_APART_S = 0.07
"""Cameras join one by one: looks of cameras that run in step would all be due at once."""
_JOIN_S = 20.0
"""After this a camera that still gives nothing is what is measured."""
_SETTLE_S = 1.0
_STEP_S = 7.0


@dataclass(frozen=True, slots=True)
class _Reading:
    """Everything that is counted, at one moment."""

    at: float
    own_s: float
    children_s: float
    machine_s: float | None
    loop_s: float
    counted: Mapping[str, Mapping[tuple[str, ...], float]]

    def by_camera(self, name: str, stage: str = "") -> dict[str, float]:
        """Of a counter whose first label is the camera."""
        return {
            labels[0]: value
            for labels, value in self.counted.get(name, {}).items()
            if labels[1:] == ((stage,) if stage else ())
        }

    def of_stage(self, name: str, stage: Stage) -> float:
        return self.counted.get(name, {}).get((stage.value,), 0.0)


@dataclass
class Trial:
    """A running service and the cameras that it can be given."""

    home: Path
    stores: Stores
    metrics: Metrics
    urls: Mapping[str, str]
    watched: list[Camera] = field(default_factory=list)

    async def watch(self, cameras: int) -> None:
        """Let it watch so many of them; each has given a look when this ends, or given up."""
        while len(self.watched) > cameras:
            camera = self.watched.pop()
            await self.stores.cameras.remove(self.stores.org, camera.id)
        for name, url in list(self.urls.items())[len(self.watched) : cameras]:
            camera = Camera(CameraId(new_id()), self.stores.org, self.stores.location, name, url)
            await self.stores.cameras.add(camera)
            self.watched.append(camera)
            await asyncio.sleep(_APART_S)
        await self._seen({camera.name for camera in self.watched})
        await asyncio.sleep(_SETTLE_S)

    async def _seen(self, names: set[str]) -> None:
        """Wait until each of them was looked at, or too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_JOIN_S):
                while True:
                    if names <= self._read().by_camera("frames_looked_at_total").keys():
                        return
                    await asyncio.sleep(0.2)

    async def measure(self, seconds: float = _STEP_S) -> Step:
        """What the next *seconds* bring."""
        before = self._read()
        await asyncio.sleep(seconds)
        return _step(before, self._read(), [camera.name for camera in self.watched])

    def _read(self) -> _Reading:
        counted: dict[str, dict[tuple[str, ...], float]] = {}
        for metric in self.metrics.registry.collect():
            for sample in metric.samples:
                if "le" not in sample.labels:
                    counted.setdefault(sample.name, {})[tuple(sample.labels.values())] = (
                        sample.value
                    )
        own_s, children_s = own_cpu_s(self.home)
        return _Reading(
            at=time.perf_counter(),
            own_s=own_s,
            children_s=children_s,
            machine_s=machine_cpu_s(),
            loop_s=time.thread_time(),
            counted=counted,
        )


def _step(before: _Reading, after: _Reading, names: list[str]) -> Step:
    """What happened between two readings."""
    seconds = after.at - before.at

    def each(name: str, stage: str = "") -> list[float]:
        was, now = before.by_camera(name, stage), after.by_camera(name, stage)
        return [(now.get(it, 0.0) - was.get(it, 0.0)) / seconds for it in names]

    def took(stage: Stage, what: str = "sum") -> float:
        name = f"stage_seconds_{what}"
        return after.of_stage(name, stage) - before.of_stage(name, stage)

    looks, decoding = each("frames_looked_at_total"), each("camera_cpu_seconds_total", "decode")
    events = took(Stage.CAPTURE_TO_EVENT, "count")
    machine = None
    if before.machine_s is not None and after.machine_s is not None:
        machine = (after.machine_s - before.machine_s) / seconds
    return Step(
        cameras=len(names),
        seconds=seconds,
        looks_per_s=sum(looks),
        least_per_s=min(looks, default=0.0),
        most_per_s=max(looks, default=0.0),
        frames_per_s=sum(each("frames_received_total")),
        cpu_cores=(after.own_s - before.own_s) / seconds,
        decoding_cores=sum(decoding),
        cameras_cores=(after.children_s - before.children_s) / seconds,
        machine_cores=machine,
        engine=sum(took(stage) for stage in _ENGINE) / seconds,
        loop=(after.loop_s - before.loop_s) / seconds,
        stores=took(Stage.STORE) / seconds,
        reader=max(decoding, default=0.0),
        backlog=int(after.counted["spool_backlog"][()]),
        event_after_s=took(Stage.CAPTURE_TO_EVENT) / events if events else None,
        memory_mib=resident_mib(),
    )


def wanted_of(
    settings: Settings, width: int, height: int, fps: int, looks_per_s: float | None, most: int
) -> Wanted:
    return Wanted(
        *(width, height, fps),
        looks_per_s=min(looks_per_s or settings.recognition.looks_per_s, fps),
        cores=cores(),
        most=most,
    )


def filmed(settings: Settings, wanted: Wanted, progress: Progress) -> DemoMaterial:
    """What the cameras show, made when first needed. Blocks.

    Raises:
        As `demo.material.prepare`.
    """
    room = replace(PASSAGE, fps=round(wanted.fps))
    return prepare(settings.home_path, progress, [room], (wanted.width, wanted.height))


@asynccontextmanager
async def open_trial(
    settings: Settings, wanted: Wanted, material: DemoMaterial, stop: asyncio.Event
) -> AsyncIterator[Trial]:
    """A service with the models and thresholds of *settings*, and nothing else of theirs.

    It ends by *stop*, which leaving sets.

    Raises:
        ModelTrouble, DatabaseUnavailable, DemoUnavailable: it cannot be started.
    """
    (video,) = material.cameras.values()
    videos = {f"camera-{number:03}": video for number in range(1, wanted.most + 1)}
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-") as folder:
        os.chmod(folder, 0o755)  # Postgres may have to run as another user
        own = _own(settings, folder, wanted)
        async with (
            open_stores(own) as stores,
            open_recognition(own, stores) as recognition,
            demo_cameras(videos) as urls,
            asyncio.TaskGroup() as group,
        ):
            await _enrol(stores, recognition, material)
            ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            service = group.create_task(
                run_service(
                    *(own, stores, recognition),
                    stop=stop,
                    ready=ready.set_result,
                    written=lambda _visit, _record: None,
                )
            )
            # told to stop before it answered, it ends without a word
            either: list[asyncio.Future[Any]] = [ready, service]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            try:
                yield Trial(own.home_path, stores, recognition.metrics, urls)
            finally:
                stop.set()


def _own(settings: Settings, folder: str, wanted: Wanted) -> Settings:
    """*settings* in a home and with stores of their own."""
    nothing = Settings()
    return settings.model_copy(
        update={
            "home": folder,
            "database_url": nothing.database_url,
            "objects": nothing.objects,
            "http": nothing.http.model_copy(update={"port": 0}),
            "models": settings.models.model_copy(
                update={"directory": str(settings.model_directory)}
            ),
            "recognition": settings.recognition.model_copy(
                update={"looks_per_s": wanted.looks_per_s}
            ),
        }
    )


async def _enrol(stores: Stores, recognition: Recognition, material: DemoMaterial) -> None:
    enroller = enroller_of(stores, recognition)
    for name, photos in material.enrolment.items():
        for photo in photos:
            await enroller.enrol(stores.org, name, photo.name, photo.read_bytes())


async def try_numbers(
    trial: Trial, wanted: Wanted, seconds: float, told: Callable[[Step], None]
) -> list[Step]:
    """Numbers of cameras until the most that is carried is found, or *seconds* have passed.

    *told* of each; cancelled, what it was told of is what there is.
    """
    began, steps = time.monotonic(), list[Step]()
    while (cameras := next_number(steps, wanted)) is not None:
        step_began = time.monotonic()
        await trial.watch(cameras)
        steps.append(await trial.measure())
        told(steps[-1])
        now = time.monotonic()
        if now + (now - step_began) > began + seconds:
            break
    return steps
