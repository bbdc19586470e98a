"""A visit becomes a face event, in versions: decided, pictured, spooled, delivered."""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord, Snapshot, SnapshotFace
from facewatch.domain.faces import THUMBNAIL_MARGIN, Pixels, is_grey
from facewatch.domain.ids import AssetId, CameraId, EventId, FaceId, OrgId, derived_id
from facewatch.domain.keys import event_prefix
from facewatch.domain.people import Decision
from facewatch.errors import RecordRefused, StoreTrouble
from facewatch.flow.channel import Channel
from facewatch.flow.metrics import Metrics, Stage
from facewatch.people.decide import Decider
from facewatch.pipeline.track import Shot
from facewatch.pipeline.visit import Visit
from facewatch.ports.events import FaceEvents
from facewatch.ports.keeping import Blobs, Spool, SpooledEvent
from facewatch.ports.vision import Encoder

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    """What the newest version of an open event said."""

    record: EventRecord
    shot: Shot


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The pixels of a best shot: whole frame and face, at full size."""

    frame: Pixels
    face: Pixels


@dataclass(frozen=True, slots=True)
class Recorder:
    """Everything that recording takes.

    Attributes:
        engine_thread: Pictures are converted there; see `ports.streams.Picture`.
        workers: Matching and encoding.
        model: Name of the embedder's card.
        written: Told of each version once it is durable.
    """

    camera_of: Callable[[CameraId], Camera]
    decider: Decider
    encoder: Encoder
    model: str
    spool: Spool
    engine_thread: Executor
    workers: Executor
    metrics: Metrics
    written: Callable[[Visit, EventRecord], None] = lambda _visit, _record: None


async def record(visits: Channel[Visit], recorder_now: Callable[[], Recorder]) -> None:
    """Run until *visits* is closed and drained; every version is durable before the next.

    *recorder_now* is asked at each visit: with another embedder comes another decider.
    """
    open_events: dict[EventId, _Written] = {}
    async for visit in visits:
        recorder = recorder_now()
        before = open_events.get(visit.event)
        decision = await _decide(visit, recorder)
        if before is None or _says_more(before, visit, decision):
            event, pictures = await _version(visit, decision, before, recorder)
            await _spool(event, pictures, recorder)
            recorder.written(visit, event)
            open_events[visit.event] = _Written(event, visit.best)
        if visit.closed:
            del open_events[visit.event]
            known = decision is not None and decision.person is not None
            recorder.metrics.events_recorded.labels("known" if known else "unknown").inc()


async def _spool(event: EventRecord, pictures: Mapping[str, bytes], recorder: Recorder) -> None:
    """Make *event* durable; a full spool holds the engine back until there is room."""
    said = False
    while True:
        try:
            with recorder.metrics.timed(Stage.SPOOL):
                await recorder.spool.add(event, pictures)
            return
        except StoreTrouble as trouble:
            if not said:
                log.error("event %s waits for room: %s", event.id, trouble)
            said = True
            await asyncio.sleep(1.0)


def _says_more(before: _Written, visit: Visit, decision: Decision | None) -> bool:
    """Whether an operator would want to know: another answer, a clearly better picture, the end."""
    was = before.record.decision
    renamed = (was.person if was else None) != (decision.person if decision else None)
    better = visit.best.look.quality.overall - before.shot.look.quality.overall
    return visit.closed or renamed or better >= 0.1


async def _decide(visit: Visit, recorder: Recorder) -> Decision | None:
    camera = recorder.camera_of(visit.camera)
    loop = asyncio.get_running_loop()
    with recorder.metrics.timed(Stage.MATCH):
        return await loop.run_in_executor(
            recorder.workers, decided, visit, recorder.decider, camera.org, camera.match_threshold
        )


def decided(
    visit: Visit, decider: Decider, org: OrgId, camera_threshold: float | None = None
) -> Decision | None:
    """Who *visit* is, as far as it goes; None while no look was fit to compare. Blocks."""
    if visit.template is None:
        return None
    compared = [look for look in visit.best_looks if look.template is not None]
    best = max((look.quality for look in compared), key=lambda it: it.overall)
    grey = all(is_grey(look.crop) for look in compared)
    decision = decider.decide(
        *(org, visit.template, best.overall),
        grey=grey,
        camera_threshold=camera_threshold,
        camera=visit.camera,
    )
    return replace(decision, quality=best)


async def _version(
    visit: Visit, decision: Decision | None, before: _Written | None, recorder: Recorder
) -> tuple[EventRecord, Mapping[str, bytes]]:
    """The next version of *visit*'s event, and the pictures that no earlier version has."""
    loop = asyncio.get_running_loop()
    version = before.record.version + 1 if before else 1
    camera = recorder.camera_of(visit.camera)
    prefix = f"{event_prefix(camera.org, visit.event, visit.first_seen)}/{version}"
    pictures: dict[str, bytes] = {}
    if before and before.shot is visit.best:
        earlier = before.record
        shown = (earlier.snapshot, earlier.face, earlier.frame_key, earlier.thumbnail_key)
    else:
        scene = await loop.run_in_executor(recorder.engine_thread, _scene, visit.best)
        keys = (f"{prefix}/frame.jpg", f"{prefix}/face.jpg")
        with recorder.metrics.timed(Stage.ENCODE):
            frame, face = await loop.run_in_executor(
                recorder.workers, _encode, scene, recorder.encoder
            )
        pictures |= {keys[0]: frame, keys[1]: face}
        snapshot = _snapshot(visit, version, frame)
        shown = (snapshot, snapshot.faces[0].id, *keys)
    look_keys = before.record.look_keys if before else ()
    if visit.closed:
        crops = await loop.run_in_executor(recorder.workers, _crops, visit, recorder.encoder)
        looks = {f"{prefix}/look-{n}.png": crop for n, crop in enumerate(crops)}
        pictures |= looks
        look_keys = tuple(looks)
    event = EventRecord(
        id=visit.event,
        version=version,
        closed=visit.closed,
        org=camera.org,
        location=camera.location,
        camera=visit.camera,
        first_seen=visit.first_seen,
        last_seen=visit.last_seen,
        best_at=visit.best.look.at,
        time_source=visit.time_source,
        looks=visit.looks,
        tracks=visit.tracks,
        face=shown[1],
        snapshot=shown[0],
        template=visit.template,
        model=recorder.model,
        decision=decision,
        frame_key=shown[2],
        thumbnail_key=shown[3],
        look_keys=look_keys,
    )
    return event, pictures


def _scene(shot: Shot) -> Scene:
    picture = shot.frame.picture
    face, _ = picture.cut(shot.look.box.grown(THUMBNAIL_MARGIN))
    return Scene(picture.full(), face)


def _encode(scene: Scene, encoder: Encoder) -> tuple[bytes, bytes]:
    return encoder.jpeg(scene.frame, 85), encoder.jpeg(scene.face, 90)


def _crops(visit: Visit, encoder: Encoder) -> list[bytes]:
    return [encoder.png(look.crop) for look in visit.best_looks]


def _snapshot(visit: Visit, version: int, jpeg: bytes) -> Snapshot:
    """The frame of the best shot; the visitor's own face comes first."""
    picture, at = visit.best.frame.picture, visit.best.look.at
    return Snapshot(
        id=AssetId(derived_id(at, visit.event, version, "snapshot")),
        captured_at=at,
        width=picture.width,
        height=picture.height,
        size_bytes=len(jpeg),
        sha256=hashlib.sha256(jpeg).digest(),
        faces=tuple(
            SnapshotFace(
                id=FaceId(derived_id(at, visit.event, version, "face", n)),
                box=it.look.box,
                landmarks=it.look.detection.landmarks,
                quality=it.look.quality,
                event=it.event,
            )
            for n, it in enumerate(visit.faces)
        ),
    )


async def deliver(
    spool: Spool, blobs: Blobs, events: FaceEvents, metrics: Metrics, *, most: int = 64
) -> None:
    """Carry events from the spool to the stores for ever: pixels first, then rows.

    While a store is down nothing is lost and nothing is skipped: it is tried again with
    jittered back-off up to 30 s, and said once.
    """
    wait_s, said = 0.5, False
    while True:
        waiting = await spool.oldest(most)
        try:
            with metrics.timed(Stage.STORE):
                await blobs.put_all(
                    [
                        (key, body, _content_type(key))
                        for it in waiting
                        for key, body in it.pictures.items()
                    ]
                )
                await _keep(waiting, spool, events)
        except StoreTrouble as trouble:
            if not said:
                log.warning("%d events wait in the spool: %s", len(waiting), trouble)
            said = True
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
            wait_s = min(wait_s * 2, 30.0)
            continue
        if said:
            log.info("the stores take events again")
        wait_s, said = 0.5, False
        await spool.delivered([it.place for it in waiting])
        now = datetime.now(UTC)
        for it in waiting:
            if it.record.version == 1:  # a later one may show a look of long ago
                lag = (now - it.record.best_at).total_seconds()
                metrics.took(Stage.CAPTURE_TO_EVENT, max(lag, 0.0))


async def _keep(waiting: Sequence[SpooledEvent], spool: Spool, events: FaceEvents) -> None:
    """All at once; if one of them can never be taken, each by itself, and that one set aside."""
    try:
        await events.add([it.record for it in waiting])
    except RecordRefused as refusal:
        if len(waiting) > 1:
            for it in waiting:
                await _keep([it], spool, events)
            return
        log.error("event %s is set aside in the spool: %s", waiting[0].record.id, refusal)
        await spool.set_aside(waiting[0].place)


def _content_type(key: str) -> str:
    return "image/png" if key.endswith(".png") else "image/jpeg"
