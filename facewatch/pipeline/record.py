"""A visit becomes a face event, in versions: decided, pictured, spooled."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord, Snapshot, SnapshotFace
from facewatch.domain.faces import THUMBNAIL_MARGIN, Pixels, is_grey
from facewatch.domain.ids import AssetId, CameraId, EventId, FaceId, OrgId, derived_id
from facewatch.domain.keys import event_prefix
from facewatch.domain.people import Decision
from facewatch.errors import StoreTrouble
from facewatch.flow.channel import Channel
from facewatch.flow.metrics import Metrics, Stage
from facewatch.people.decide import Decider
from facewatch.pipeline.track import Shot
from facewatch.pipeline.visit import Visit
from facewatch.ports.keeping import EventSink
from facewatch.ports.vision import Encoder

log = logging.getLogger(__name__)

_AT_ONCE = 64
"""Versions that are on their way into the spool."""
_RETRY_S = 1.0
_TOGETHER = 8
"""Visits whose pictures are converted in one turn of the engine's thread."""


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
class Reel:
    """A picture or clip that somebody brought, in which the visits are found.

    Attributes:
        began: When a clip begins; None of a picture.
        frame_key: Of a picture: its whole frame, which every visit shares.
    """

    asset: AssetId
    began: datetime | None
    frame_key: str = ""

    def timestamp_ms(self, at: datetime) -> int | None:
        """Where in a clip *at* is."""
        if self.began is None:
            return None
        return max(0, round((at - self.began) / timedelta(milliseconds=1)))


@dataclass(frozen=True, slots=True)
class Recorder:
    """Everything that recording takes.

    Attributes:
        reel: Where every visit is found; None: each has a snapshot of its own.
        engine_thread: Pictures are converted there; see `ports.streams.Picture`.
        workers: Matching and encoding.
        model: Name of the embedder's card.
        written: Told of each version once it is durable.
    """

    camera_of: Callable[[CameraId], Camera]
    decider: Decider
    encoder: Encoder
    model: str
    spool: EventSink
    engine_thread: Executor
    workers: Executor
    metrics: Metrics
    written: Callable[[Visit, EventRecord], None] = lambda _visit, _record: None
    reel: Reel | None = None


async def record(visits: Channel[Visit], recorder_now: Callable[[], Recorder]) -> None:
    """Run until *visits* is closed and drained and every version is durable.

    Versions are spooled in their order while the next ones are decided and encoded, so that many
    share an fsync. *recorder_now* is asked at each visit: with another embedder comes another
    decider.
    """
    open_events: dict[EventId, _Written] = {}
    shelf = _Shelf()
    async with asyncio.TaskGroup() as group:
        async for lot in visits.lots(_TOGETHER):
            while lot:
                visits_now = _apart(lot)
                lot = lot[len(visits_now) :]
                recorder = recorder_now()
                for visit, event, pictures in await _versions(visits_now, open_events, recorder):
                    await shelf.room()
                    group.create_task(shelf.keep(recorder, visit, event, pictures))
                    open_events[visit.event] = _Written(event, visit.best)
                for visit in visits_now:
                    if visit.closed:
                        del open_events[visit.event]


def _apart(visits: Sequence[Visit]) -> list[Visit]:
    """The first of *visits*, up to a second one of the same event."""
    apart: dict[EventId, Visit] = {}
    for visit in visits:
        if visit.event in apart:
            break
        apart[visit.event] = visit
    return list(apart.values())


async def _versions(
    visits: Sequence[Visit], open_events: Mapping[EventId, _Written], recorder: Recorder
) -> list[tuple[Visit, EventRecord, Mapping[str, bytes]]]:
    """Of *visits*, each of another event, those that say more than the last version did."""
    async with asyncio.TaskGroup() as deciding:
        asked = [deciding.create_task(_decide(visit, recorder)) for visit in visits]
    telling = [
        (visit, decision.result(), open_events.get(visit.event))
        for visit, decision in zip(visits, asked, strict=True)
    ]
    telling = [it for it in telling if it[2] is None or _says_more(it[2], it[0], it[1])]
    fresh = [visit.best for visit, _, before in telling if not _shown(before, visit)]
    loop = asyncio.get_running_loop()
    scenes = iter(
        await loop.run_in_executor(recorder.engine_thread, _scenes, fresh) if fresh else ()
    )
    async with asyncio.TaskGroup() as making:
        made = [
            making.create_task(
                _version(*it, None if _shown(it[2], it[0]) else next(scenes), recorder)
            )
            for it in telling
        ]
    return [(visit, *task.result()) for (visit, _, _), task in zip(telling, made, strict=True)]


class _Shelf:
    """Versions on their way into the spool. Event loop only."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._said = False

    async def room(self) -> None:
        """Waits while as many are on their way as may be: that holds the engine back."""
        await self._places.acquire()

    async def keep(
        self, recorder: Recorder, visit: Visit, event: EventRecord, pictures: Mapping[str, bytes]
    ) -> None:
        """Until *event* is durable; in a full spool that takes until there is room.

        Once for each `room`.
        """
        while not await self._spooled(recorder, event, pictures):  # noqa: ASYNC110 - no bell rings
            await asyncio.sleep(_RETRY_S)
        self._places.release()
        recorder.written(visit, event)
        if event.closed:
            known = event.decision is not None and event.decision.person is not None
            kind = "known" if known else "unknown"
            recorder.metrics.events_recorded.labels(kind).inc()

    async def _spooled(
        self, recorder: Recorder, event: EventRecord, pictures: Mapping[str, bytes]
    ) -> bool:
        try:
            with recorder.metrics.timed(Stage.SPOOL):
                await recorder.spool.add(event, pictures)
        except StoreTrouble as trouble:
            if not self._said:
                log.error("event %s waits for room: %s", event.id, trouble)
            self._said = True
            return False
        self._said = False
        return True


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


def _shown(before: _Written | None, visit: Visit) -> bool:
    """Whether an earlier version has the picture of *visit*."""
    return before is not None and before.shot is visit.best


async def _version(
    visit: Visit,
    decision: Decision | None,
    before: _Written | None,
    scene: Scene | None,
    recorder: Recorder,
) -> tuple[EventRecord, Mapping[str, bytes]]:
    """The next version of *visit*'s event, and the pictures that no earlier version has.

    *scene* is its best shot, unless the version *before* shows it.
    """
    loop = asyncio.get_running_loop()
    version = before.record.version + 1 if before else 1
    camera = recorder.camera_of(visit.camera)
    prefix = f"{event_prefix(camera.org, visit.event, visit.first_seen)}/{version}"
    pictures: dict[str, bytes] = {}
    if scene is None:
        assert before is not None
        earlier = before.record
        shown = (earlier.snapshot, earlier.face, earlier.frame_key, earlier.thumbnail_key)
    else:
        reel = recorder.reel
        shared = reel.frame_key if reel else ""
        keys = (shared or f"{prefix}/frame.jpg", f"{prefix}/face.jpg")
        with recorder.metrics.timed(Stage.ENCODE):
            frame, face = await loop.run_in_executor(
                recorder.workers, partial(_encode, scene, recorder.encoder, whole=not shared)
            )
        pictures |= {keys[1]: face} if shared else {keys[0]: frame, keys[1]: face}
        snapshot = _snapshot(visit, version, frame)
        if reel is not None:
            snapshot = _on_reel(snapshot, reel)
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


def _scenes(shots: Sequence[Shot]) -> list[Scene]:
    return [_scene(shot) for shot in shots]


def _scene(shot: Shot) -> Scene:
    picture = shot.frame.picture
    face, _ = picture.cut(shot.look.box.grown(THUMBNAIL_MARGIN))
    return Scene(picture.full(), face)


def _encode(scene: Scene, encoder: Encoder, *, whole: bool) -> tuple[bytes, bytes]:
    """Frame and face; nothing for the frame if it is kept already."""
    return encoder.jpeg(scene.frame, 85) if whole else b"", encoder.jpeg(scene.face, 90)


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


def _on_reel(snapshot: Snapshot, reel: Reel) -> Snapshot:
    """The visitor's own face only: everybody else there has a visit in the same picture or clip."""
    return replace(
        snapshot,
        id=reel.asset,
        faces=snapshot.faces[:1],
        brought=True,
        timestamp_ms=reel.timestamp_ms(snapshot.captured_at),
    )
