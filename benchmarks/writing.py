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
import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from factories import ORG, a_camera
from ready_made import FACE, FRAME
from spent import family, family_cpu_s, parent_of, percentile, say
from writing_ends import ask, write
from writing_parts import parts

from facewatch.store.blobs import open_blobs
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import connected, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.keys import PostgresKeys
from facewatch.store.migrate import migrate
from facewatch.store.secrets import Vault


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


async def asked(url: str, secret: str, seconds: float) -> dict[str, Any]:
    """What `ask` in another process found, in ms."""
    client = await a_child("--ask", url, "--secret", secret, "--seconds", str(seconds))
    try:
        output, _ = await client.communicate()
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
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
