"""Each part of writing alone, for `writing.py`: spool, pictures, rows; and the bare disk."""

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ready_made import an_event
from spent import family_cpu_s, own_cpu_s, say

from facewatch.domain.events import EventRecord
from facewatch.domain.ids import CameraId
from facewatch.ports.keeping import Blobs
from facewatch.store.database import Database, connected, open_database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.spool import open_spool

_GROUP = 64


async def spool_alone(home: Path, camera: CameraId, blobs: Blobs, count: int) -> None:
    async with open_spool(home / "alone", 8 << 30) as spool:
        for start in range(0, count, _GROUP):
            group = [an_event(camera, n) for n in range(start, start + _GROUP)]
            await asyncio.gather(*(spool.add(*each) for each in group))
            await spool.delivered([it.place for it in await spool.oldest(_GROUP)])


async def pictures_alone(blobs: Blobs, camera: CameraId, count: int) -> None:
    for start in range(0, count, _GROUP):
        group = [an_event(camera, n)[1] for n in range(start, start + _GROUP)]
        await blobs.put_all([(k, b, "image/jpeg") for it in group for k, b in it.items()])


async def rows_alone(database: Database, camera: CameraId, count: int) -> None:
    events = PostgresFaceEvents(database)
    for start in range(0, count, _GROUP):
        await events.add([an_event(camera, n)[0] for n in range(start, start + _GROUP)])


async def bare(dsn: str, folder: Path, camera: CameraId, count: int) -> None:
    """The same bytes on the same disk: one COPY a group, a plain file a picture."""
    async with connected(dsn) as connection:
        await connection.execute(_BARE)
        with ThreadPoolExecutor(16) as threads:
            loop = asyncio.get_running_loop()
            for start in range(0, count, _GROUP):
                group = [an_event(camera, n) for n in range(start, start + _GROUP)]
                files = [each for _, pictures in group for each in pictures.items()]
                await asyncio.gather(
                    *(loop.run_in_executor(threads, _plain, folder, *each) for each in files)
                )
                await connection.copy_records_to_table(
                    "bare", records=[_bare_row(record) for record, _ in group]
                )


def _plain(folder: Path, key: str, body: bytes) -> None:
    file = folder / key
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, body)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


_BARE = """
DROP TABLE IF EXISTS bare;
CREATE TABLE bare (
    id uuid PRIMARY KEY, org uuid, location uuid, camera uuid, face uuid, asset uuid,
    first_seen timestamptz, last_seen timestamptz, best_at timestamptz, looks int, tracks int,
    frame_key text, thumbnail_key text, sha256 bytea, decision text, embedding real[])
"""


def _bare_row(record: EventRecord) -> tuple[Any, ...]:
    template = record.template
    assert template is not None
    return (
        *(record.id, record.org, record.location, record.camera, record.face, record.snapshot.id),
        *(record.first_seen, record.last_seen, record.best_at, record.looks, record.tracks),
        *(record.frame_key, record.thumbnail_key, record.snapshot.sha256, "{}", template.tolist()),
    )


async def parts(
    dsn: str, postmaster: int, home: Path, blobs: Blobs, camera: CameraId, count: int, rounds: int
) -> list[dict[str, Any]]:
    """Each part in turns; the medians of the rounds."""
    async with open_database(dsn) as database:
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "records made": lambda: _made(camera, count),
            "spool": lambda: spool_alone(home, camera, blobs, count),
            "pictures": lambda: pictures_alone(blobs, camera, count),
            "rows": lambda: rows_alone(database, camera, count),
            "bare": lambda: bare(dsn, home / "bare", camera, count),
        }
        taken: dict[str, list[tuple[float, float, float]]] = {name: [] for name in work}
        for number in range(rounds):
            for name in list(work) if number % 2 else reversed(list(work)):
                before = own_cpu_s(), family_cpu_s(postmaster), time.perf_counter()
                await work[name]()
                after = own_cpu_s(), family_cpu_s(postmaster), time.perf_counter()
                taken[name].append(tuple(b - a for a, b in zip(before, after, strict=True)))  # type: ignore[arg-type]
    return [
        say(
            "part alone",
            part=name,
            events_per_s=round(count / statistics.median(wall for _, _, wall in found)),
            python_ms=statistics.median(own for own, _, _ in found) / count * 1e3,
            postgres_ms=statistics.median(theirs for _, theirs, _ in found) / count * 1e3,
        )
        for name, found in taken.items()
    ]


async def _made(camera: CameraId, count: int) -> None:
    """What the benchmark itself costs in each part."""
    for number in range(count):
        an_event(camera, number)
