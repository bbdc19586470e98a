"""Writing that keeps up: events with ready-made pictures, through the spool, to Postgres and files.

A process of its own writes as `serve` does (spool, delivery, API); events of one version arrive at
a fixed rate whatever happens, each with an 8 KB thumbnail and a 60 KB frame. Meanwhile a client in
another process asks findFaceEventsByOrg, getFaceEvent and thumbnails, one after another without a
pause. Measured, in this order:

- each part alone, in groups: spool (add, read, remove), pictures (files), rows (Postgres); bare:
  one COPY into one table with the same values, and plain files, each fsynced;
- sustained: offered and stored events/s, lag, time until durable, the API's p95 while nobody and
  while everybody writes, CPU ms an event by thread and of Postgres, bytes to the disk for each byte
  of pixels;
- outage: Postgres stands still, events go on arriving; how fast delivery catches up;
- kill -9 in the middle: every acknowledged event is in Postgres once, its pictures whole.

Parts run in rounds and in turns; CPU time is what to compare on a machine that others use. With
--objects and --endpoint pictures go to S3, credentials from the environment.

    python benchmarks/writing.py [--quick] [--seconds S] [--rate N] [--only parts,sustained,...]

Prints a JSON line a measurement and then a table.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import platform
import random
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp
import asyncpg

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from factories import ORG, a_camera, a_decision, a_face, a_record, a_template, some_deps

from facewatch.api.limit import Limits
from facewatch.api.server import application, serving
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import AssetId, CameraId, EventId, new_id
from facewatch.domain.keys import event_prefix
from facewatch.errors import StoreTrouble
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.deliver import deliver
from facewatch.ports.keeping import Blobs
from facewatch.store.blobs import open_blobs
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, connected, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.migrate import migrate
from facewatch.store.remembered import RememberedKeys
from facewatch.store.secrets import Vault
from facewatch.store.spool import SqliteSpool, open_spool

FRAME, FACE = random.Random(1).randbytes(60_000), random.Random(2).randbytes(8_000)
DIGEST = hashlib.sha256(FRAME).digest()
TEMPLATES = [a_template(seed) for seed in range(64)]
GROUP = 64
_TICK_S = 0.01
_TICKS_A_S = os.sysconf("SC_CLK_TCK")


# --- what is written --------------------------------------------------------------------------


def an_event(camera: CameraId, number: int) -> tuple[EventRecord, dict[str, bytes]]:
    """A visit of somebody unknown that closes now, and its two pictures."""
    at = datetime.now(UTC)
    event = EventId(new_id(at))
    prefix = f"{event_prefix(ORG, event, at)}/1"
    face = a_face(event)
    base = _base(camera)
    record = replace(
        base,
        id=event,
        first_seen=at,
        last_seen=at,
        best_at=at,
        face=face.id,
        snapshot=replace(base.snapshot, id=AssetId(new_id(at)), captured_at=at, faces=(face,)),
        template=TEMPLATES[number % len(TEMPLATES)],
        frame_key=f"{prefix}/frame.jpg",
        thumbnail_key=f"{prefix}/face.jpg",
    )
    return record, {record.frame_key: FRAME, record.thumbnail_key: FACE}


_BASES: dict[CameraId, EventRecord] = {}


def _base(camera: CameraId) -> EventRecord:
    if camera not in _BASES:
        made = a_record(camera, closed=True, look_keys=(), decision=a_decision())
        snapshot = replace(made.snapshot, size_bytes=len(FRAME), sha256=DIGEST)
        _BASES[camera] = replace(made, snapshot=snapshot)
    return _BASES[camera]


# --- what it costs ----------------------------------------------------------------------------


def process_cpu_s(pid: int) -> float:
    """Of a process and the children that it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS_A_S


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("PPid:")[2].split()[0])


def family(pid: int) -> list[int]:
    """A process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def family_cpu_s(pid: int) -> float:
    total = 0.0
    for each in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += process_cpu_s(each)
    return total


def own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def threads_cpu_s() -> dict[str, float]:
    """By kind of thread: the loop, the spool's, those that write files."""
    found: dict[str, float] = {}
    for thread in threading.enumerate():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
            ticks = sum(map(int, text.rpartition(")")[2].split()[11:13]))
            kind = thread.name.split("_")[0]
            found[kind] = found.get(kind, 0.0) + ticks / _TICKS_A_S
    return found


def written_bytes() -> int:
    """What this process sent towards the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def say(kind: str, **found: Any) -> dict[str, Any]:
    line = {"measured": kind} | {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in found.items()
    }
    print(json.dumps(line), flush=True)
    return line


# --- the parts alone --------------------------------------------------------------------------


async def spool_alone(home: Path, camera: CameraId, blobs: Blobs, count: int) -> None:
    async with open_spool(home / "alone", 8 << 30) as spool:
        for start in range(0, count, GROUP):
            group = [an_event(camera, n) for n in range(start, start + GROUP)]
            await asyncio.gather(*(spool.add(*each) for each in group))
            await spool.delivered([it.place for it in await spool.oldest(GROUP)])


async def pictures_alone(blobs: Blobs, camera: CameraId, count: int) -> None:
    for start in range(0, count, GROUP):
        group = [an_event(camera, n)[1] for n in range(start, start + GROUP)]
        await blobs.put_all([(k, b, "image/jpeg") for it in group for k, b in it.items()])


async def rows_alone(database: Database, camera: CameraId, count: int) -> None:
    events = PostgresFaceEvents(database)
    for start in range(0, count, GROUP):
        await events.add([an_event(camera, n)[0] for n in range(start, start + GROUP)])


async def bare(dsn: str, folder: Path, camera: CameraId, count: int) -> None:
    """The same bytes on the same disk: one COPY a group, a plain file a picture."""
    async with connected(dsn) as connection:
        await connection.execute(_BARE)
        with ThreadPoolExecutor(16) as threads:
            loop = asyncio.get_running_loop()
            for start in range(0, count, GROUP):
                group = [an_event(camera, n) for n in range(start, start + GROUP)]
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


# --- the writer's process ---------------------------------------------------------------------


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


# --- the client's process ---------------------------------------------------------------------


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


async def asked(url: str, secret: str, seconds: float) -> dict[str, Any]:
    """What `ask` in another process found, in ms."""
    client = await a_child("--ask", url, "--secret", secret, "--seconds", str(seconds))
    output, _ = await client.communicate()
    if client.returncode:
        raise RuntimeError("the client failed")
    taken = json.loads(output)
    together = [each for kind in taken.values() for each in kind]
    return {
        "requests_per_s": len(together) / seconds,
        "p50_ms": percentile(together, 0.5) * 1e3,
        "p95_ms": percentile(together, 0.95) * 1e3,
        "p99_ms": percentile(together, 0.99) * 1e3,
        **{f"{kind}_p95_ms": percentile(found, 0.95) * 1e3 for kind, found in taken.items()},
    }


# --- the whole --------------------------------------------------------------------------------


async def a_child(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, __file__, *arguments, stdout=subprocess.PIPE, limit=1 << 26
    )


class House:
    """A home with a database, one camera and a key; writers are started in it."""

    def __init__(self, home: Path, dsn: str, given: argparse.Namespace) -> None:
        self.home, self.dsn, self.given = home, dsn, given
        self.acknowledged = home / "acknowledged"

    async def furnish(self) -> None:
        async with open_database(self.dsn) as database:
            await PostgresCameras(database, Vault(self.home)).add(camera := a_camera())
            self.camera = camera.id
            _, self.secret = await PostgresKeys(database).create(ORG, "benchmark", "operator")
        async with connected(self.dsn) as connection:
            pid = await connection.fetchval("SELECT pg_backend_pid()")
            self.postmaster = parent_of(pid)

    @asynccontextmanager
    async def writer(
        self, rate: float, seconds: float
    ) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
        process = await a_child(
            *("--write", "--home", str(self.home), "--dsn", self.dsn),
            *("--camera", str(self.camera), "--acknowledged", str(self.acknowledged)),
            *("--rate", str(rate), "--seconds", str(seconds)),
            *("--spool-mib", str(self.given.spool_mib)),
            *("--objects", self.given.objects, "--endpoint", self.given.endpoint),
        )
        assert process.stdout is not None
        try:
            yield process, (await process.stdout.readline()).decode().strip()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def missing(self) -> dict[str, int]:
        """Of every acknowledged event: rows that are not there, or twice; pictures not whole."""
        ids = _ids(self.acknowledged)
        async with connected(self.dsn) as connection:
            rows = await connection.fetch(
                "SELECT id, frame_key, thumbnail_key FROM face_event WHERE id = ANY($1)", ids
            )
        blobs = open_blobs(self.given.objects or str(self.home / "objects"), self.given.endpoint)
        torn = 0
        free = asyncio.Semaphore(16)

        async def whole(key: str, body: bytes) -> bool:
            async with free:
                return await blobs.get(key) == body

        keys = [(r["frame_key"], FRAME) for r in rows] + [(r["thumbnail_key"], FACE) for r in rows]
        for start in range(0, len(keys), 1000):
            read = await asyncio.gather(*(whole(*each) for each in keys[start : start + 1000]))
            torn += read.count(False)
        return {
            "acknowledged": len(ids),
            "rows": len(rows),
            "lost": len(set(ids) - {row["id"] for row in rows}),
            "torn": torn,
        }

    async def drain(self) -> float:
        """A fresh start delivers what was left; in how many seconds, the start included."""
        began = time.perf_counter()
        async with self.writer(0, 0.0) as (process, _):
            assert process.stdout is not None
            await process.stdout.readline()
            return time.perf_counter() - began


def _ids(file: Path) -> list[Any]:
    sent = file.read_bytes()
    return [UUID(bytes=sent[at : at + 16]) for at in range(0, len(sent) - 15, 16)]


async def sustained(house: House, rate: float, seconds: float) -> dict[str, Any]:
    async with house.writer(rate, 2.0) as (process, url):  # warm-up, and something to ask for
        assert process.stdout is not None
        await process.stdout.readline()
        await asyncio.sleep(1.0)
        quiet = await asked(url, house.secret, min(5.0, seconds))
    say("api, nobody writes", **quiet)
    async with house.writer(rate, seconds) as (process, url):
        assert process.stdout is not None
        postgres = family_cpu_s(house.postmaster)
        busy = await asked(url, house.secret, seconds - 0.5)
        told = json.loads(await process.stdout.readline())
        postgres = family_cpu_s(house.postmaster) - postgres
    say("api, everybody writes", **busy)
    events, cpu = told["stored"], told["cpu_s"]
    lags = [lag for _, _, lag, _ in told["samples"]]
    pixels = told["acknowledged"] * (len(FRAME) + len(FACE))
    total = sum(cpu.values()) + postgres
    p50, p95, p99, most = told["durable_ms"]
    return say(
        "sustained",
        offered_per_s=told["offered"] / told["wall_s"],
        stored_per_s=events / told["wall_s"],
        refused=told["refused"],
        durable_p50_ms=p50,
        durable_p95_ms=p95,
        durable_p99_ms=p99,
        durable_max_ms=most,
        lag_p50_s=percentile(lags, 0.5),
        lag_p95_s=percentile(lags, 0.95),
        lag_max_s=max(lags),
        api_p95_ms=busy["p95_ms"],
        api_p95_quiet_ms=quiet["p95_ms"],
        api_per_s=busy["requests_per_s"],
        cpu_ms_per_event={
            part: round(used / (told["acknowledged"] if part == "spool" else events) * 1e3, 3)
            for part, used in cpu.items()
            if used > 0.02
        },
        postgres_ms_per_event=postgres / events * 1e3,
        events_per_cpu_s=events / total,
        cores_used=total / told["wall_s"],
        bytes_per_pixel_byte=told["wrote"] / pixels,
        load=os.getloadavg()[0],
    )


async def outage(house: House, rate: float, seconds: float) -> dict[str, Any]:
    """Postgres stands still for a third of *seconds*."""
    async with house.writer(rate, seconds) as (process, _):
        assert process.stdout is not None
        await asyncio.sleep(seconds / 6)
        stopped = family(house.postmaster)
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        down = time.time()
        try:
            await asyncio.sleep(seconds / 3)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        up = time.time()
        told = json.loads(await process.stdout.readline())
    after = [it for it in told["samples"] if it[0] >= up]
    first = after[0]
    caught = next((it for it in after if it[2] < 1.0), after[-1])
    took = max(caught[0] - first[0], 0.1)
    came = caught[3] - first[3]
    return say(
        "outage",
        stood_still_s=up - down,
        waiting_at_most=max(it[1] for it in told["samples"]),
        caught_up=caught[2] < 1.0,
        seconds_to_catch_up=took,
        delivered_per_s=(first[1] - caught[1] + came) / took,
        times_real_time=(first[1] - caught[1] + came) / took / rate,
        refused=told["refused"],
    )


async def kill(house: House, rate: float, seconds: float) -> dict[str, Any]:
    async with house.writer(rate, 3600.0) as (process, _):
        await asyncio.sleep(seconds)
        process.kill()
    left = (house.home / "spool").iterdir()
    waited = 0
    for folder in left:
        if (folder / "events.db").exists():
            with contextlib.closing(sqlite3.connect(folder / "events.db")) as spool:
                waited += spool.execute("SELECT count(*) FROM event").fetchone()[0]
    drained = await house.drain()
    return say("kill -9", waited_in_spool=waited, drained_s=drained, **await house.missing())


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        kind = row.pop("measured")
        yield f"{kind}: " + ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in row.items())


async def measure(home: Path, given: argparse.Namespace) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    only = given.only.split(",")
    async with embedded_postgres(home) as dsn:
        await migrate(dsn)
        house = House(home, dsn, given)
        await house.furnish()
        if "parts" in only:
            blobs = open_blobs(given.objects or str(home / "objects"), given.endpoint)
            found += await parts(
                *(dsn, house.postmaster, home, blobs, house.camera),
                *((512, 3) if given.quick else (2048, 5)),
            )
        if "sustained" in only:
            found.append(await sustained(house, given.rate, given.seconds))
        if "outage" in only:
            found.append(await outage(house, given.rate, 9 if given.quick else 30))
        if "kill" in only:
            found.append(await kill(house, given.rate, 2 if given.quick else 10))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="well under a minute")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--only", default="parts,sustained,outage,kill")
    parser.add_argument("--spool-mib", type=int, default=2048)
    parser.add_argument("--objects", default="", help="s3://bucket/prefix; else files")
    parser.add_argument("--endpoint", default="")
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    for hidden in ("--secret", "--dsn", "--camera"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    for hidden in ("--home", "--acknowledged"):
        parser.add_argument(hidden, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.seconds is None:
        given.seconds = 8.0 if given.quick else 60.0
    if given.write:
        asyncio.run(write(given))
        return
    if given.ask:
        asyncio.run(ask(given.ask, given.secret, given.seconds))
        return
    with tempfile.TemporaryDirectory(prefix="fw-bench-", dir=os.environ.get("TMPDIR")) as folder:
        os.chmod(folder, 0o755)
        found = asyncio.run(measure(Path(folder), given))
    print()
    print("\n".join(table(found)))
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, asyncpg"
        f" {asyncpg.__version__}, SQLite {sqlite3.sqlite_version}, load {os.getloadavg()[0]:.1f}"
    )
    if any(row.get("lost") or row.get("torn") for row in found):
        sys.exit("acknowledged events were lost")


if __name__ == "__main__":
    main()
