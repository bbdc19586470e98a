"""Visits that wait together become versions in their order, each event's one after the other."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
from factories import a_camera, a_decider, a_template

from facewatch.domain.events import TimeSource
from facewatch.domain.faces import Detection, Look, Quality
from facewatch.domain.geometry import Box
from facewatch.domain.ids import EventId, new_id
from facewatch.flow.channel import Channel
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.record import Recorder, record
from facewatch.pipeline.track import Shot
from facewatch.pipeline.visit import Companion, Visit
from facewatch.ports.streams import Frame
from facewatch.store.spool import open_spool
from facewatch.vision.pictures import ArrayPicture, JpegPngEncoder

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CAMERA = a_camera()


def a_shot(seed: int) -> Shot:
    pixels = np.random.default_rng(seed).integers(0, 255, (180, 320, 3), dtype=np.uint8)
    quality = Quality(size=1, sharpness=1, pose=1, exposure=1, score=0.95)
    tiny = np.full(196, 1 / 14, np.float32)
    found = Detection(Box(40, 40, 120, 140), np.zeros((5, 2), np.float32), 0.95, tiny)
    crop = np.ascontiguousarray(pixels[:112, :112])
    frame = Frame(CAMERA.id, 0, NOON, 0.0, TimeSource.ARRIVAL, ArrayPicture(pixels))
    return Shot(frame, Look(NOON, 0.0, found, quality, crop, a_template(seed)))


def a_visit(event: EventId, shot: Shot, *, closed: bool) -> Visit:
    return Visit(
        event=event,
        camera=CAMERA.id,
        first_seen=NOON,
        last_seen=NOON,
        first_seen_s=0.0,
        last_seen_s=0.0,
        time_source=TimeSource.ARRIVAL,
        looks=3,
        tracks=1,
        best=shot,
        faces=(Companion(shot.look, event),),
        best_looks=(shot.look,),
        template=shot.look.template,
        closed=closed,
    )


async def test_versions_of_one_event_that_wait_together_follow_each_other(tmp_path: Path) -> None:
    ann, ben = (EventId(new_id(NOON)) for _ in range(2))
    shots = {ann: a_shot(1), ben: a_shot(2)}
    visits: Channel[Visit] = Channel(8)
    for closed in (False, True):
        for event, shot in shots.items():
            await visits.put(a_visit(event, shot, closed=closed))
    await visits.put(a_visit(EventId(UUID(int=5)), a_shot(3), closed=True))
    await visits.close()
    with ThreadPoolExecutor(1) as engine, ThreadPoolExecutor(2) as workers:
        async with open_spool(tmp_path, 64 << 20) as spool:
            recorder = Recorder(
                camera_of=lambda _: CAMERA,
                decider=a_decider(),
                encoder=JpegPngEncoder(),
                model="sface",
                spool=spool,
                engine_thread=engine,
                workers=workers,
                metrics=Metrics.on(),
            )
            await record(visits, lambda: recorder)
            kept = [it.record for it in await spool.oldest(8)]

    for event in (ann, ben):
        mine = [it for it in kept if it.id == event]
        assert [(it.version, it.closed) for it in mine] == [(1, False), (2, True)]
        assert mine[0].frame_key == mine[1].frame_key != ""
    assert len(kept) == 5
    assert len({it.frame_key for it in kept}) == 3
