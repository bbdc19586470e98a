"""The two processes of `writing.py`: one writes as `serve` does, one asks as a client does."""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from factories import some_deps
from ready_made import FACE, an_event
from spent import percentile, threads_cpu_s, written_bytes

from facewatch.api.limit import Limits
from facewatch.api.server import application, serving
from facewatch.domain.ids import CameraId
from facewatch.errors import StoreTrouble
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.deliver import deliver
from facewatch.store.blobs import open_blobs
from facewatch.store.database import open_database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.remembered import RememberedKeys
from facewatch.store.spool import SqliteSpool, open_spool

_TICK_S = 0.01


async def write(given: argparse.Namespace) -> None:
    """As `serve` puts it together, with events that come at a fixed rate in the cameras' place."""
    camera = CameraId(UUID(given.camera))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    blobs = open_blobs(given.objects or str(given.home / "objects"), given.endpoint)
    async with (
        open_database(given.dsn) as database,
        open_spool(given.home / "spool", given.spool_mib << 20) as spool,
    ):
        keys = RememberedKeys(database)
        following = asyncio.create_task(keys.follow())
        deps = some_deps(
            database,
            given.home,
            keys=keys,
            blobs=blobs,
            limits=Limits(1e6, 10_000_000),
            clock=lambda: datetime.now(UTC),
        )
        async with serving(application(deps), "127.0.0.1", 0) as url:
            delivery = asyncio.create_task(
                deliver(spool, blobs, PostgresFaceEvents(database), deps.metrics)
            )
            print(url, flush=True)
            offered = Offered(spool, camera, given.acknowledged)
            await offered.offer(given.rate, given.seconds, stop)
            if given.rate == 0:
                await spool.drained()
            print(json.dumps(offered.told(deps.metrics)), flush=True)
            await stop.wait()
            delivery.cancel()
        following.cancel()


class Offered:
    """Events that arrive at a fixed rate, and what became of them."""

    def __init__(self, spool: SqliteSpool, camera: CameraId, acknowledged: Path) -> None:
        self._spool = spool
        self._camera = camera
        self._file = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._durable_s: list[float] = []
        self._refused = 0
        self._samples: list[tuple[float, int, float, int]] = []
        self._cpu: dict[str, float] = {}
        self._wrote = 0
        self._wall_s = 0.0

    async def offer(self, rate: float, seconds: float, stop: asyncio.Event) -> None:
        began, cpu, wrote = time.perf_counter(), threads_cpu_s(), written_bytes()
        number = 0
        waiting: set[asyncio.Task[None]] = set()
        while (passed := time.perf_counter() - began) < seconds and not stop.is_set():
            for _ in range(int(passed * rate) - number):
                task = asyncio.create_task(self._one(number))
                waiting.add(task)
                task.add_done_callback(waiting.discard)
                number += 1
            if len(self._samples) < passed / 0.1:
                level = self._spool.level
                lag = time.time() - level.oldest_at if level.oldest_at else 0.0
                self._samples.append((time.time(), level.events, lag, len(self._durable_s)))
            await asyncio.sleep(_TICK_S)
        self._wall_s = time.perf_counter() - began
        self.stored = len(self._durable_s) - self._spool.backlog
        self.offered = number
        now = threads_cpu_s()
        self._cpu = {name: now[name] - cpu.get(name, 0.0) for name in now}
        self._wrote = written_bytes() - wrote
        if waiting:
            await asyncio.wait(waiting)

    async def _one(self, number: int) -> None:
        record, pictures = an_event(self._camera, number)
        asked = time.perf_counter()
        try:
            await self._spool.add(record, pictures)
        except StoreTrouble as trouble:
            if not self._refused:
                print(f"refused: {trouble}", file=sys.stderr)
            self._refused += 1
            return
        self._durable_s.append(time.perf_counter() - asked)
        os.write(self._file, record.id.bytes)

    def told(self, metrics: Metrics) -> dict[str, Any]:
        return {
            "offered": self.offered,
            "acknowledged": len(self._durable_s),
            "stored": self.stored,
            "refused": self._refused,
            "wall_s": self._wall_s,
            "durable_ms": [percentile(self._durable_s, q) * 1e3 for q in (0.5, 0.95, 0.99, 1.0)],
            "samples": self._samples,
            "cpu_s": self._cpu,
            "wrote": self._wrote,
        }


async def ask(url: str, secret: str, seconds: float) -> None:
    """Newest events, one of them by its id, four thumbnails; again and again."""
    base = f"{url}/api/faceRecognition/faceEvent"
    taken: dict[str, list[float]] = {"find": [], "get": [], "thumbnail": []}
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    end = time.perf_counter() + seconds
    async with aiohttp.ClientSession(headers=headers) as session:

        async def timed(kind: str, method: str, address: str, body: Any = None) -> bytes:
            began = time.perf_counter()
            async with session.request(method, address, json=body) as answer:
                read = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{kind}: {answer.status} {read[:300]!r}")
            taken[kind].append(time.perf_counter() - began)
            return read

        while time.perf_counter() < end:
            page = {"pageRequest": {"maxPageSize": 20}}
            found = json.loads(await timed("find", "POST", f"{base}/findFaceEventsByOrg", page))
            for event in found["faceEvents"][:1]:
                await timed("get", "POST", f"{base}/getFaceEvent", {"eventUuid": event["uuid"]})
            for event in found["faceEvents"][:4]:
                key = quote(event["thumbnailS3Key"])
                picture = await timed("thumbnail", "GET", f"{url}/media/faces?s3ObjectKey={key}")
                if len(picture) != len(FACE):
                    raise RuntimeError(f"a thumbnail of {len(picture)} bytes")
    print(json.dumps(taken))
