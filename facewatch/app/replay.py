"""A file through the same stages as a camera."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from facewatch.app.clusters import clusters_of
from facewatch.app.recognition import Recognition, standstill_of, visiting_of
from facewatch.app.recording import VISITS_BOUND, Written, drained, recorder_for
from facewatch.app.stores import Stores
from facewatch.domain.cameras import Camera
from facewatch.domain.ids import EventId, derived_id
from facewatch.errors import InvalidRequest, StoreTrouble
from facewatch.flow.channel import Channel
from facewatch.pipeline.deliver import deliver
from facewatch.pipeline.ingest import ingest
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.record import record
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.streams import Frame
from facewatch.settings import Settings
from facewatch.store.spool import open_spool
from facewatch.stream.files import FileSource, recorded_start


async def replay_video(
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
        lambda _: Visitors(
            *(camera.id, event_id),
            visiting=visiting_of(settings),
            standstill=standstill_of(settings),
        ),
        recognition.metrics,
        idle_look_s=rule.idle_look_s,
    )
    source = FileSource(camera.id, video, looks_per_s=rule.looks_per_s, start=start)
    visits: Channel[Visit] = Channel(VISITS_BOUND)
    async with open_spool(settings.home_path / "spool", settings.spool.most_mib << 20) as spool:
        recorder = recorder_for(lambda _: camera, recognition, spool, written)
        delivery = asyncio.create_task(
            deliver(spool, stores.blobs, stores.events, recognition.metrics)
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(record(visits, lambda: recorder))
                try:
                    await ingest(source, recogniser, recognition.thread, visits, seen)
                finally:
                    await visits.close()
        finally:
            await drained(spool)
            delivery.cancel()
            await asyncio.wait([delivery])
        with contextlib.suppress(StoreTrouble):  # what is not compared now waits in the table
            while await clusters_of(stores, recognition).step():
                pass
        return spool.backlog


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
