"""Parts become a running service: what is opened, in which order, and how it all ends."""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from facewatch.api.deps import Deps, Probe
from facewatch.api.ops import camera_summary
from facewatch.api.server import application, serving
from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import CameraId, EventId, LocationId, OrgId, derived_id, new_id
from facewatch.errors import (
    DatabaseUnavailable,
    HomeUnusable,
    InvalidRequest,
    NotFound,
    StoreTrouble,
)
from facewatch.flow.channel import Channel
from facewatch.flow.mailbox import Mailbox
from facewatch.flow.metrics import Metrics, Stage
from facewatch.gallery.exact import ExactGallery
from facewatch.people.decide import Decider, Rule
from facewatch.people.enrol import Enroller
from facewatch.people.gallery import refresh, refresh_threshold
from facewatch.people.sighting import Copier
from facewatch.pipeline.camera import Board, Patience, Watch, keep_watching
from facewatch.pipeline.ingest import ingest
from facewatch.pipeline.recognise import Recogniser, pass_time, recognise
from facewatch.pipeline.record import Recorder, deliver, record
from facewatch.pipeline.visit import Visit, Visiting, Visitors
from facewatch.ports import (
    Blobs,
    Cameras,
    CameraStatuses,
    Frame,
    Keys,
    Orgs,
    People,
    Source,
    Spool,
)
from facewatch.settings import Settings
from facewatch.store.blobs import open_blobs
from facewatch.store.cameras import CAMERAS, PostgresCameras, PostgresCameraStatuses
from facewatch.store.database import Database, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.garbage import sweep
from facewatch.store.keys import PostgresKeys
from facewatch.store.migrate import migrate
from facewatch.store.orgs import PostgresOrgs
from facewatch.store.people import GALLERY, PostgresPeople
from facewatch.store.secrets import Vault
from facewatch.store.spool import SqliteSpool, open_spool
from facewatch.stream.files import FileSource, recorded_start
from facewatch.stream.sources import open_source
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import JpegPngEncoder, decode
from facewatch.vision.session import best_provider

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

Written = Callable[[Visit, EventRecord], None]
"""Told of each version of an event, once it is durable on the local disk."""

_DRAIN_S = 5.0
_REPORT_S = 2.0
_SWEEP_S = 60.0
_VISITS_BOUND = 64


@dataclass(frozen=True, slots=True)
class Stores:
    """What facewatch keeps, and whose it is here."""

    database: Database
    blobs: Blobs
    events: PostgresFaceEvents
    cameras: Cameras
    statuses: CameraStatuses
    people: People
    orgs: Orgs
    keys: Keys
    org: OrgId
    location: LocationId


@dataclass(frozen=True, slots=True)
class Recognition:
    """The engine with gallery and thresholds in force; `thread` is the one that may use it."""

    engine: FaceEngine
    gallery: ExactGallery
    thresholds: dict[OrgId, float]
    decider: Decider
    encoder: JpegPngEncoder
    thread: ThreadPoolExecutor
    workers: ThreadPoolExecutor
    metrics: Metrics


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """The database (embedded unless settings name one), migrated, and the object store.

    Raises:
        HomeUnusable: the home directory cannot be used.
        DatabaseUnavailable: Postgres does not answer.
    """
    home = settings.home_path
    async with AsyncExitStack() as stack:
        dsn = settings.database_url.get_secret_value()
        if not dsn:
            dsn = await stack.enter_async_context(embedded_postgres(home))
        await migrate(dsn)
        database = await stack.enter_async_context(open_database(dsn))
        objects = settings.objects
        yield Stores(
            database=database,
            blobs=open_blobs(
                objects.url or str(home / "objects"), objects.endpoint, objects.region
            ),
            events=PostgresFaceEvents(database),
            cameras=PostgresCameras(database, Vault(home)),
            statuses=PostgresCameraStatuses(database),
            people=PostgresPeople(database),
            orgs=PostgresOrgs(database),
            keys=PostgresKeys(database),
            org=await database.default_org(),
            location=await database.default_location(),
        )


@asynccontextmanager
async def open_recognition(settings: Settings, stores: Stores) -> AsyncIterator[Recognition]:
    """The models, warm, and the gallery of today.

    Raises:
        ModelTrouble: a model's file is not there, is another one, or cannot be run.
    """
    rule = settings.recognition
    with (
        ThreadPoolExecutor(1, "engine") as thread,
        ThreadPoolExecutor(2, "worker") as workers,
    ):
        engine = await asyncio.get_running_loop().run_in_executor(thread, warm_engine, settings)
        gallery = ExactGallery(engine.dimensions)
        await refresh(gallery, stores.people, stores.org, engine.model)
        thresholds: dict[OrgId, float] = {}
        await refresh_threshold(thresholds, stores.orgs, stores.org)
        yield Recognition(
            engine=engine,
            gallery=gallery,
            thresholds=thresholds,
            decider=Decider(
                gallery,
                engine.calibration,
                engine.model_digest,
                Rule(rule.threshold, rule.margin, rule.least_quality),
                thresholds,
            ),
            encoder=JpegPngEncoder(),
            thread=thread,
            workers=workers,
            metrics=Metrics.on(),
        )


def warm_engine(settings: Settings) -> FaceEngine:
    """The models that *settings* name, run once. Blocks for a second or two.

    Raises:
        ModelTrouble: a model's file is not there, is another one, or cannot be run.
    """
    models, rule = settings.models, settings.recognition
    engine = open_engine(
        settings.model_directory,
        models.detector,
        models.embedder,
        providers=providers(settings),
        threads=model_threads(settings),
        long_side=rule.long_side_px,
        score_threshold=rule.detector_score,
    )
    engine.warm_up()
    return engine


def model_threads(settings: Settings) -> int:
    """Threads of one model run: as the settings say, else half the cores.

    The other half decodes. A second thread makes SFace a third faster and a quarter dearer.
    """
    return settings.models.threads or max(1, (os.cpu_count() or 1) // 2)


def providers(settings: Settings) -> tuple[str, ...]:
    """What runs the models: as the settings say, else the best that is installed."""
    return settings.models.providers or (best_provider(),)


def enroller(stores: Stores, recognition: Recognition) -> Enroller:
    """What turns photos into matchmakers."""
    return Enroller(
        engine=recognition.engine,
        encoder=recognition.encoder,
        decode=decode,
        people=stores.people,
        blobs=stores.blobs,
        executor=recognition.thread,
    )


async def serve(
    settings: Settings,
    stores: Stores,
    recognition: Recognition,
    *,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    written: Written,
) -> None:
    """Watch the cameras of the table and answer, until *stop* is set; then drain.

    *ready* is told the URL once answers are given.

    Raises:
        HomeUnusable: another process watches the cameras of this home.
        AddressInUse: somebody listens on the port already.
    """
    metrics = recognition.metrics
    board = Board(metrics)
    names: dict[CameraId, str] = {}

    def taken(camera: CameraId, waited_s: float) -> None:
        metrics.frames_looked_at.labels(names[camera]).inc()
        metrics.stage_seconds.labels(Stage.WAIT.value).observe(waited_s)

    frames: Mailbox[CameraId, Frame] = Mailbox(
        on_replaced=lambda camera: metrics.frames_dropped.labels(names[camera]).inc(),
        on_taken=taken,
    )
    visits: Channel[Visit] = Channel(_VISITS_BOUND)
    watch = Watch(
        lambda camera: keep_watching(camera, _opener(settings), frames, board, _patience(settings)),
        board.forget,
    )
    recogniser = Recogniser(recognition.engine, _live_visitors(settings), metrics)
    async with open_spool(settings.home_path / "spool", settings.spool.most_mib << 20) as spool:
        recorder = _recorder(watch.camera, recognition, spool, written)
        deps = _deps(stores, recognition, metrics)
        async with (
            _watching_alone(settings.home_path),
            serving(application(deps), settings.http.host, settings.http.port) as url,
            asyncio.TaskGroup() as group,
        ):
            upkeep = [
                group.create_task(watch.follow(_camera_lists(stores, names))),
                group.create_task(_keep_gallery(stores, recognition)),
                group.create_task(_report_cameras(stores, board)),
                group.create_task(_gauge(spool, metrics)),
                group.create_task(_sweep(stores)),
            ]
            turn = asyncio.Lock()
            passing = group.create_task(
                pass_time(recogniser, recognition.thread, _silence(board), visits, turn, stop)
            )
            stages = [
                group.create_task(
                    recognise(
                        *(frames, recogniser, recognition.thread, visits, turn),
                        batch=settings.models.batch,
                    )
                ),
                group.create_task(record(visits, recorder)),
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
            await _drained(spool)
            delivery.cancel()


async def replay(
    settings: Settings,
    stores: Stores,
    recognition: Recognition,
    video: Path,
    camera: Camera,
    *,
    start: datetime | None,
    seen: Callable[[Frame], None],
    written: Written,
) -> int:
    """Run *video* through the same stages as a camera's stream, as fast as it goes.

    Replayed again with the same file, camera and start it makes the same event ids.

    Returns:
        How many events still wait in the spool because a store is down.

    Raises:
        UnreadableStream: the file is no video.
        InvalidRequest: it begins before 1970.
    """
    began = start or (await asyncio.to_thread(recorded_start, video))[0]
    if began.timestamp() < 0:
        raise InvalidRequest(
            f"{video} begins at {began.isoformat()}, and ids tell no time before 1970",
            "say when it begins with --start",
        )
    digest = await asyncio.to_thread(_digest, video)

    def event_id(at: datetime, number: int) -> EventId:
        return EventId(derived_id(at, camera.id, began.isoformat(), digest, number))

    rule = settings.recognition
    recogniser = Recogniser(
        recognition.engine,
        lambda _: Visitors(camera.id, event_id, visiting=Visiting(gap_s=rule.visit_gap_s)),
        recognition.metrics,
    )
    source = FileSource(camera.id, video, looks_per_s=rule.looks_per_s, start=start)
    visits: Channel[Visit] = Channel(_VISITS_BOUND)
    async with open_spool(settings.home_path / "spool", settings.spool.most_mib << 20) as spool:
        recorder = _recorder(lambda _: camera, recognition, spool, written)
        delivery = asyncio.create_task(
            deliver(spool, stores.blobs, stores.events, recognition.metrics)
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(record(visits, recorder))
                try:
                    await ingest(source, recogniser, recognition.thread, visits, seen)
                finally:
                    await visits.close()
        finally:
            await _drained(spool)
            delivery.cancel()
            await asyncio.wait([delivery])
        return spool.backlog


async def camera_named(stores: Stores, name: str) -> Camera:
    """The camera of this name in the default org, made where there is none, for replays."""
    with contextlib.suppress(NotFound):
        return await stores.cameras.by_name(stores.org, name)
    made = Camera(CameraId(new_id()), stores.org, stores.location, name, url="")
    await stores.cameras.add(made)
    return made


def _recorder(
    camera_of: Callable[[CameraId], Camera],
    recognition: Recognition,
    spool: Spool,
    written: Written,
) -> Recorder:
    return Recorder(
        camera_of=camera_of,
        decider=recognition.decider,
        encoder=recognition.encoder,
        model=recognition.engine.model,
        spool=spool,
        engine_thread=recognition.thread,
        workers=recognition.workers,
        metrics=recognition.metrics,
        written=written,
    )


def _live_visitors(settings: Settings) -> Callable[[CameraId], Visitors]:
    visiting = Visiting(gap_s=settings.recognition.visit_gap_s)
    return lambda camera: Visitors(
        camera, lambda at, _number: EventId(new_id(at)), visiting=visiting
    )


def _opener(settings: Settings) -> Callable[[Camera], Source]:
    rule, patience = settings.recognition, settings.cameras
    return lambda camera: open_source(
        camera,
        looks_per_s=rule.looks_per_s,
        open_timeout_s=patience.open_timeout_s,
        read_timeout_s=patience.read_timeout_s,
    )


def _patience(settings: Settings) -> Patience:
    given = settings.cameras
    return Patience(given.silent_s, given.retry_least_s, given.retry_most_s, given.refused_s)


def _deps(stores: Stores, recognition: Recognition, metrics: Metrics) -> Deps:
    async def database() -> str:
        return f"migration {await stores.database.schema_version()}"

    async def objects() -> str:
        return await stores.blobs.ready()

    async def models() -> str:
        enrolled = recognition.gallery.people(stores.org)
        return f"{recognition.engine.model}, {enrolled} people enrolled"

    readiness: dict[str, Probe] = {
        "database": database,
        "objects": objects,
        "models": models,
        "cameras": camera_summary(stores.statuses, stores.org),
    }
    return Deps(
        events=stores.events,
        people=stores.people,
        orgs=stores.orgs,
        copier=Copier(stores.people, stores.blobs, recognition.engine.model, decode),
        threshold=recognition.decider.rule.threshold,
        blobs=stores.blobs,
        keys=stores.keys,
        readiness=readiness,
        metrics=metrics,
        clock=lambda: datetime.now(UTC),
    )


async def _camera_lists(
    stores: Stores, names: dict[CameraId, str]
) -> AsyncIterator[Sequence[Camera]]:
    """Every camera that can be watched, now and whenever the table changes."""
    async for _ in stores.database.listen(CAMERAS):
        cameras = await until_answered(stores.cameras.all)
        watched = [camera for camera in cameras if camera.url]
        names.update({camera.id: camera.name for camera in watched})
        yield watched


async def _keep_gallery(stores: Stores, recognition: Recognition) -> None:
    """Put each new revision of the gallery, and threshold, in force as soon as it is told."""
    async for _ in stores.database.listen(GALLERY):
        count = await until_answered(
            lambda: refresh(
                recognition.gallery, stores.people, stores.org, recognition.engine.model
            )
        )
        await until_answered(
            lambda: refresh_threshold(recognition.thresholds, stores.orgs, stores.org)
        )
        log.info("%d enrolled faces are in force", count)


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


async def until_answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask until the database answers: nobody rings again for what was missed in a bad moment."""
    said = False
    while True:
        try:
            return await ask()
        except DatabaseUnavailable as trouble:
            if not said:
                log.warning("what changed is read later: %s", trouble)
            said = True
            await asyncio.sleep(_REPORT_S)


async def _report_cameras(stores: Stores, board: Board) -> None:
    """Keep the table of camera states fresh for whoever asks from another process."""
    while True:
        with contextlib.suppress(DatabaseUnavailable):
            await stores.statuses.report(board.statuses)
        await asyncio.sleep(_REPORT_S)


async def _sweep(stores: Stores) -> None:
    """Delete the pictures of replaced versions, once nobody can be reading them any more."""
    while True:
        with contextlib.suppress(StoreTrouble):
            await sweep(stores.database, stores.blobs)
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
    _, stuck = await asyncio.wait(stages, timeout=_DRAIN_S)
    for task in stuck:
        log.error("%s could not finish what was in hand: the spool is full", task.get_coro())
        task.cancel()


async def _drained(spool: Spool) -> None:
    """Wait until the stores have everything, or for as long as a stop may take."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            await spool.drained()
    if spool.backlog:
        log.warning(
            "%d event versions stay in the spool; the next start delivers them", spool.backlog
        )


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
