"""The running service: what is started, in which order, and how it all ends."""

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from facewatch.api.server import application, serving
from facewatch.api.server import exchange as exchange_deps
from facewatch.app.answering import deps_of
from facewatch.app.model import follow_model
from facewatch.app.recognition import Recognition, frames_at_once, standstill_of, visiting_of
from facewatch.app.recording import DRAIN_S, VISITS_BOUND, Written, drained, recorder_for
from facewatch.app.still import Known, StillRegions, known_regions
from facewatch.app.stores import Stores
from facewatch.app.waiting import until_answered
from facewatch.app.words import look_at_pictures, open_words
from facewatch.domain.cameras import Camera
from facewatch.domain.ids import CameraId, EventId, new_id
from facewatch.errors import (
    DatabaseUnavailable,
    HomeUnusable,
    StoreTrouble,
)
from facewatch.flow.channel import Channel
from facewatch.flow.mailbox import Mailbox
from facewatch.flow.metrics import Metrics, Stage
from facewatch.pipeline.camera import Board, Patience, Watch, called, keep_watching
from facewatch.pipeline.deliver import deliver
from facewatch.pipeline.recognise import Recogniser, pass_time, recognise
from facewatch.pipeline.record import record
from facewatch.pipeline.shedding import Shedding
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.streams import Frame, Source
from facewatch.settings import Settings
from facewatch.store.cameras import CAMERAS
from facewatch.store.garbage import sweep
from facewatch.store.spool import SqliteSpool, open_spool
from facewatch.stream.sources import open_source

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_REPORT_S = 2.0
_SWEEP_S = 60.0
_CENTROIDS_S = 5.0


async def run_service(
    settings: Settings,
    stores: Stores,
    recognition: Recognition,
    *,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    written: Written,
) -> None:
    """Watch the cameras of the table and answer, until *stop* is set; then drain.

    Another embedder that is put in force meanwhile takes over without anything being stopped.

    *ready* is told the URL once answers are given.

    Raises:
        HomeUnusable: another process watches the cameras of this home.
        AddressInUse: somebody listens on the port already.
    """
    metrics = recognition.metrics
    board = Board(metrics, stores.org)
    names: dict[CameraId, str] = {}
    shedding = Shedding()

    def taken(camera: CameraId, frame: Frame, waited_s: float) -> None:
        metrics.took(Stage.WAIT, waited_s)
        metrics.took(Stage.CAPTURE_TO_LOOK, max(time.time() - frame.at.timestamp(), 0.0))
        shedding.looked(camera)
        if name := names.get(camera):
            metrics.frames_looked_at.labels(name).inc()

    def replaced(camera: CameraId) -> None:
        shedding.replaced()
        if name := names.get(camera):
            metrics.frames_dropped.labels(name).inc()

    def charge(camera: CameraId, stage: Stage, cpu_s: float) -> None:
        if name := names.get(camera):
            metrics.charge(name, stage, cpu_s)

    def forget(camera: Camera) -> None:
        board.forget(camera)
        shedding.forget(camera.id)

    frames: Mailbox[CameraId, Frame] = Mailbox(replaced, taken, shedding.hurries)
    visits: Channel[Visit] = Channel(VISITS_BOUND)
    watch = Watch(
        lambda camera: keep_watching(
            camera, _opener(settings, shedding), frames, board, _patience(settings)
        ),
        forget,
    )
    known = await known_regions(stores, settings.recognition.still_after_s)
    visitors_at = _live_visitors(settings, known)
    recogniser = Recogniser(
        *(recognition.engine, visitors_at, metrics, charge),
        idle_look_s=settings.recognition.idle_look_s,
        hurry=shedding.hurry,
    )
    still = StillRegions(
        *(stores.database, stores.regions, recogniser, recognition.thread, known),
    )
    async with open_spool(settings.home_path / "spool", settings.spool.most_mib << 20) as spool:
        recorder = recorder_for(watch.camera, recognition, spool, written)
        turn = asyncio.Lock()
        async with (
            _watching_alone(settings.home_path),
            open_words(settings, stores, metrics) as words,
            serving(
                app := application(deps_of(settings, stores, recognition, words)),
                settings.http.host,
                settings.http.port,
            ) as url,
            asyncio.TaskGroup() as group,
        ):

            async def exchange(today: Settings, fresh: Recognition) -> None:
                """Between two looks, when what the one before saw is recorded."""

                def take_over() -> None:
                    nonlocal recorder
                    recogniser.exchange(fresh.engine)
                    recorder = recorder_for(watch.camera, fresh, spool, written)

                async with turn:
                    await visits.handled()
                    await asyncio.get_running_loop().run_in_executor(fresh.thread, take_over)
                exchange_deps(app, deps_of(today, stores, fresh, words))

            upkeep = [
                group.create_task(watch.follow(_camera_lists(stores, names))),
                group.create_task(follow_model(settings, stores, recognition, exchange)),
                group.create_task(_report_cameras(stores, board, still)),
                group.create_task(still.heed()),
                group.create_task(_gauge(spool, metrics)),
                group.create_task(_sweep(stores, settings.audit.keep_days)),
                group.create_task(_keep_centroids(stores)),
                group.create_task(stores.keys.follow()),
                group.create_task(look_at_pictures(stores, words)),
            ]
            passing = group.create_task(
                pass_time(recogniser, recognition.thread, _silence(board), visits, turn, stop)
            )
            stages = [
                group.create_task(
                    recognise(
                        *(frames, recogniser, recognition.thread, visits, turn),
                        batch=frames_at_once(settings, recognition.engine),
                    )
                ),
                group.create_task(record(visits, lambda: recorder)),
            ]
            delivery = group.create_task(deliver(spool, stores.blobs, stores.events, metrics))
            if not stop.is_set():
                ready(url)
            await stop.wait()
            for task in upkeep:
                task.cancel()
            await asyncio.wait(upkeep)
            await _finished([passing])
            frames.close()
            await _finished(stages)
            await drained(spool)
            delivery.cancel()


def _live_visitors(settings: Settings, known: Known) -> Callable[[CameraId], Visitors]:
    visiting, standstill = visiting_of(settings), standstill_of(settings)
    return lambda camera: Visitors(
        *(camera, lambda at, _number: EventId(new_id(at))),
        visiting=visiting,
        standstill=standstill,
        suppressed=known.get(camera, ()),
    )


def _opener(settings: Settings, shedding: Shedding) -> Callable[[Camera], Source]:
    rule, patience = settings.recognition, settings.cameras
    return lambda camera: open_source(
        camera,
        looks_per_s=rule.looks_per_s,
        open_timeout_s=patience.open_timeout_s,
        read_timeout_s=patience.read_timeout_s,
        decode_on=patience.decode_on,
        demand=shedding.demand(camera.id),
    )


def _patience(settings: Settings) -> Patience:
    given = settings.cameras
    return Patience(given.silent_s, given.retry_least_s, given.retry_most_s, given.refused_s)


async def _camera_lists(
    stores: Stores, names: dict[CameraId, str]
) -> AsyncIterator[Sequence[Camera]]:
    """Every camera that can be watched, now and whenever the table changes."""
    async for _ in stores.database.listen(CAMERAS):
        cameras = await until_answered(stores.cameras.all)
        watched = [camera for camera in cameras if camera.url]
        names.clear()
        names.update({camera.id: called(camera, stores.org) for camera in watched})
        yield watched


async def _keep_centroids(stores: Stores) -> None:
    """Readers bring them up to date too; where nobody reads, the notes would pile up."""
    while True:
        await until_answered(stores.centroids.refresh_all)
        await asyncio.sleep(_CENTROIDS_S)


@asynccontextmanager
async def _watching_alone(home: Path) -> AsyncIterator[None]:
    """Two that watch the same cameras would record each visit twice.

    Raises:
        HomeUnusable: another process does.
    """
    lock = os.open(home / "watch.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeUnusable(
                f"another process watches the cameras of {home}",
                "stop that serve or demo, or name another home with --home",
            ) from None
        yield
    finally:
        os.close(lock)


async def _report_cameras(stores: Stores, board: Board, still: StillRegions) -> None:
    """Keep the tables of camera states fresh for whoever asks from another process."""
    while True:
        with contextlib.suppress(DatabaseUnavailable):
            await stores.statuses.report(board.statuses)
            await still.keep()
        await asyncio.sleep(_REPORT_S)


async def _sweep(stores: Stores, audit_days: int) -> None:
    """Delete pictures of replaced versions, once nobody reads them any more, and old entries."""
    while True:
        with contextlib.suppress(StoreTrouble):
            await sweep(stores.database, stores.blobs)
            await stores.audit.prune(datetime.now(UTC) - timedelta(days=audit_days))
        await asyncio.sleep(_SWEEP_S)


async def _gauge(spool: SqliteSpool, metrics: Metrics) -> None:
    """Keep the spool's numbers fresh for `/metrics`."""
    while True:
        level = spool.level
        metrics.spool_backlog.set(level.events)
        metrics.spool_bytes.set(level.bytes)
        metrics.events_lag.set(time.time() - level.oldest_at if level.oldest_at else 0.0)
        await asyncio.sleep(1.0)


def _silence(board: Board) -> Callable[[], list[tuple[CameraId, float]]]:
    """Which cameras give no frames, and how much time passed since this was asked last."""
    asked_at = time.monotonic()

    def silent() -> list[tuple[CameraId, float]]:
        nonlocal asked_at
        before, asked_at = asked_at, time.monotonic()
        return [(camera, asked_at - before) for camera in board.silent(for_s=2.0)]

    return silent


async def _finished(stages: Sequence["asyncio.Task[None]"]) -> None:
    """Wait for the stages to finish what is in hand; with a full spool they cannot."""
    _, stuck = await asyncio.wait(stages, timeout=DRAIN_S)
    for task in stuck:
        log.error("%s could not finish what was in hand: the spool is full", task.get_coro())
        task.cancel()
