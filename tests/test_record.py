"""From spool to stores: nothing is lost, and one bad record does not hold up the others."""

import asyncio
import dataclasses
from pathlib import Path

import numpy as np
from factories import a_camera, a_record

from facewatch.flow.metrics import Metrics
from facewatch.pipeline.deliver import deliver
from facewatch.store.blobs import LocalBlobs
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.secrets import Vault
from facewatch.store.spool import open_spool


async def test_a_record_that_postgres_refuses_is_set_aside_and_the_others_are_kept(
    database: Database, tmp_path: Path
) -> None:
    where = a_camera(org=await database.default_org(), location=await database.default_location())
    await PostgresCameras(database, Vault(tmp_path)).add(where)
    good, other, bad = (a_record(where.id) for _ in range(3))
    assert bad.template is not None
    bad = dataclasses.replace(bad, template=np.full_like(bad.template, np.nan))
    events = PostgresFaceEvents(database)
    async with (
        asyncio.timeout(20),
        open_spool(tmp_path / "spool", 1 << 24) as spool,
    ):
        for record in (good, bad, other):
            await spool.add(record, {record.frame_key: b"pixels"})
        delivery = asyncio.create_task(
            deliver(spool, LocalBlobs(tmp_path / "objects"), events, Metrics.on())
        )
        await spool.drained()
        delivery.cancel()

    kept = {it.id for it in await events.page(where.org, 10)}
    assert kept == {good.id, other.id}
    (refused,) = (tmp_path / "refused").iterdir()
    assert {it.name for it in refused.iterdir()} == {
        "record.json",
        bad.frame_key.replace("/", "_"),
    }
