"""From spool to stores, killed in the middle: each event once, its pictures whole."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest
from factories import a_camera, a_record

from facewatch.domain.events import EventRecord
from facewatch.domain.ids import CameraId
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.deliver import deliver
from facewatch.store.blobs import LocalBlobs
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, open_database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.secrets import Vault
from facewatch.store.spool import SqliteSpool, open_spool

WRITER = """
import asyncio, sys
from pathlib import Path
from facewatch.domain.ids import new_id
from test_writing import UUID, a_record, pictures_of, writing

async def write(place, dsn, camera):
    async with writing(place, dsn) as spool:
        async def one():
            while True:
                record = a_record(camera)
                await spool.add(record, pictures_of(record))
                print(record.id, flush=True)
        await asyncio.gather(*(one() for _ in range(16)))

asyncio.run(write(Path(sys.argv[1]), sys.argv[2], UUID(sys.argv[3])))
"""


def pictures_of(record: EventRecord) -> dict[str, bytes]:
    """Their bytes tell whose they are."""
    return {
        record.frame_key: b"frame" + record.id.bytes * 3_000,
        record.thumbnail_key: b"face" + record.id.bytes * 500,
    }


@asynccontextmanager
async def writing(place: Path, dsn: str) -> AsyncIterator[SqliteSpool]:
    """A spool below *place*, and what delivers from it."""
    async with open_database(dsn) as database, open_spool(place / "spool", 1 << 30) as spool:
        blobs, events = LocalBlobs(place / "objects"), PostgresFaceEvents(database)
        delivery = asyncio.create_task(deliver(spool, blobs, events, Metrics.on()))
        yield spool
        delivery.cancel()


async def killed_in_the_middle(place: Path, dsn: str, camera: CameraId, most: int) -> list[UUID]:
    """What a process acknowledged until it was killed, some of it delivered."""
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", WRITER, str(place), dsn, str(camera)),
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent,
    )
    assert writer.stdout is not None
    lines = [await writer.stdout.readline() for _ in range(most)]
    os.kill(writer.pid, signal.SIGKILL)
    lines += (await writer.stdout.read()).splitlines()
    await writer.wait()
    return [UUID(line.decode().strip()) for line in lines if len(line.strip()) == 36]


async def test_every_acknowledged_event_is_stored_once_with_its_pictures(
    database: Database, dsn: str, tmp_path: Path
) -> None:
    where = a_camera(org=await database.default_org(), location=await database.default_location())
    await PostgresCameras(database, Vault(tmp_path)).add(where)
    acknowledged: list[UUID] = []
    async with asyncio.timeout(60):
        for most in (50, 400):  # the second begins with what the first left
            acknowledged += await killed_in_the_middle(tmp_path, dsn, where.id, most)
        events = PostgresFaceEvents(database)
        stored_before = {it.id for it in await events.page(where.org, 10_000)}
        async with writing(tmp_path, dsn) as spool:
            waited = spool.backlog
            await spool.drained()

    stored = await events.page(where.org, 10_000)
    assert len(acknowledged) >= 450
    assert stored_before, "nothing was delivered before the kill: it was not in the middle"
    assert waited, "nothing waited when it was killed: it was not in the middle"
    assert set(acknowledged) <= {it.id for it in stored}
    assert len({it.id for it in stored}) == len(stored)
    blobs = LocalBlobs(tmp_path / "objects")
    for event in stored:
        record = a_record(where.id, id=event.id)
        for key, body in pictures_of(record).items():
            assert await blobs.get(key) == body
    assert os.listdir(tmp_path / "spool") == ["gate"]


async def test_pictures_are_there_before_their_event_is_seen(
    database: Database, dsn: str, tmp_path: Path
) -> None:
    where = a_camera(org=await database.default_org(), location=await database.default_location())
    await PostgresCameras(database, Vault(tmp_path)).add(where)
    events, blobs = PostgresFaceEvents(database), LocalBlobs(tmp_path / "objects")
    seen: set[UUID] = set()
    async with asyncio.timeout(30), writing(tmp_path, dsn) as spool, asyncio.TaskGroup() as group:
        for _ in range(5):
            for record in [a_record(where.id) for _ in range(20)]:
                group.create_task(spool.add(record, pictures_of(record)))
        while len(seen) < 100:
            for event in await events.page(where.org, 1000):
                if event.id not in seen:
                    body = await blobs.get(event.frame_key)
                    assert len(body) == len(b"frame") + 16 * 3_000
                    seen.add(event.id)
            await asyncio.sleep(0)


async def test_while_the_pictures_cannot_be_put_nothing_is_lost_and_one_line_says_so(
    database: Database, dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = a_camera(org=await database.default_org(), location=await database.default_location())
    await PostgresCameras(database, Vault(tmp_path)).add(where)
    (tmp_path / "objects").write_text("a file in the way of the folder")
    records = [a_record(where.id) for _ in range(30)]
    async with asyncio.timeout(30), writing(tmp_path, dsn) as spool:
        await asyncio.gather(*(spool.add(it, pictures_of(it)) for it in records))
        while "wait in the spool" not in caplog.text:  # noqa: ASYNC110 - a log rings no bell
            await asyncio.sleep(0.01)
        assert spool.backlog == 30
        (tmp_path / "objects").unlink()
        await spool.drained()

    stored = await PostgresFaceEvents(database).page(where.org, 100)
    assert {it.id for it in stored} == {it.id for it in records}
    assert caplog.text.count("wait in the spool") == 1
