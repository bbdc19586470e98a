"""getFaceEvent against a bare aiohttp handler that does one prepared SELECT and dumps a dict.

Two server processes on one embedded Postgres: the whole application as `serve` runs it (keys
remembered, limit, audit log, metrics, access log to a file), and the bare handler. The same client
process asks them in turn, over the same number of kept connections, for the same events in the
same order; which of the two begins changes with each round. Rounds are short, because a machine
that others use changes its pace within seconds; the ratio of a round is taken between neighbours,
and the median of the rounds counts. At the end the rows of the audit log are counted: they must
be as many as the requests.

    .venv/bin/python benchmarks/api.py [--quick] [--rounds N] [--seconds S] [--connections N]

Prints a JSON line a round, then the median with versions.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import asyncpg
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from factories import ORG, a_camera, a_decision, a_record, an_enrolment, photo_keys, some_deps

from facewatch.api.limit import Limits
from facewatch.api.server import application, serving
from facewatch.cli.options import log_to_stderr
from facewatch.domain.ids import from_ruuid, to_ruuid
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, connected, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.migrate import migrate
from facewatch.store.people import PostgresPeople
from facewatch.store.remembered import RememberedKeys
from facewatch.store.secrets import Vault

_EVENTS = 5_000
_NAMED = 6  # one in six, as in the field
_PATH = "/api/faceRecognition/faceEvent/getFaceEvent"
_SELECT = """
SELECT id, org, location, camera, place, first_seen, has_template, quality, frame_key,
       thumbnail_key, person, matched_face, similarity, confidence
  FROM face_event WHERE org = $1 AND id = $2
"""


async def fill(database: Database, home: Path) -> tuple[list[str], str]:
    """Events of one camera, one in six of somebody known; their ids and a key."""
    await PostgresCameras(database, Vault(home)).add(camera := a_camera())
    people, events = PostgresPeople(database), PostgresFaceEvents(database)
    ada = await people.create(ORG, "Ada")
    await people.enrol(ORG, ada.id, an_enrolment(), photo_keys("ada"))
    began, ids = datetime.now(UTC) - timedelta(days=6), []
    for start in range(0, _EVENTS, 500):
        records = [
            a_record(
                camera.id,
                began + timedelta(minutes=n),
                decision=a_decision(ada.id if n % _NAMED == 0 else None),
            )
            for n in range(start, start + 500)
        ]
        await events.add(records)
        ids += [to_ruuid(it.id) for it in records]
    _, secret = await PostgresKeys(database).create(ORG, "benchmark", "operator")
    return ids, secret


async def until_told() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


async def serve_whole(dsn: str, home: Path) -> None:
    """As `facewatch serve` puts the API together."""
    log_to_stderr("info")
    async with open_database(dsn) as database:
        keys = RememberedKeys(database)
        following = asyncio.create_task(keys.follow())
        deps = some_deps(
            database,
            home,
            keys=keys,
            limits=Limits(1e6, 10_000_000),
            clock=lambda: datetime.now(UTC),
        )
        async with serving(application(deps), "127.0.0.1", 0) as url:
            print(url, flush=True)
            await until_told()
        following.cancel()


class Unchanged(asyncpg.Connection):
    """Nothing to reset when a connection goes back to the pool: as the application's."""

    def get_reset_query(self) -> str:
        return ""


async def serve_bare(dsn: str, _home: Path) -> None:
    """One prepared SELECT, one dict."""
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=8, connection_class=Unchanged)

    async def handler(request: web.Request) -> web.Response:
        event = from_ruuid((await request.json())["eventUuid"])
        row = await pool.fetchrow(_SELECT, ORG, event)
        return web.Response(
            text=json.dumps({"faceEvent": dict(row)}, default=str),
            content_type="application/json",
        )

    app = web.Application()
    app.router.add_post(_PATH, handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await until_told()
    await runner.cleanup()
    await pool.close()


@asynccontextmanager
async def server(which: str, dsn: str, home: Path) -> AsyncIterator[int]:
    """A server in a process of its own; its port."""
    with (home / f"{which}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--serve", which, "--dsn", dsn, "--home", str(home)),
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        yield int((await process.stdout.readline()).decode().rpartition(":")[2])
    finally:
        process.terminate()
        await process.wait()


class Caller(asyncio.Protocol):
    """One kept connection that asks again as soon as it is answered, until *end*."""

    def __init__(self, requests: Sequence[bytes], first: int, end: float) -> None:
        self._requests, self._next, self._end = requests, first, end
        self._received = b""
        self.answered = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 200") or not body.startswith(b'{"faceEvent"'):
            self.done.set_exception(RuntimeError(self._received[:300].decode()))
            return
        self._received = b""
        self.answered += 1
        if time.perf_counter() < self._end:
            self._ask()
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("the server hung up"))


async def asked(
    port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> tuple[int, float]:
    """How many requests were answered in about *seconds*, and how many that is a second."""
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    callers = []
    for number in range(connections):
        first = number * len(requests) // connections
        _, caller = await loop.create_connection(
            lambda first=first: Caller(requests, first, began + seconds), "127.0.0.1", port
        )
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    count = sum(caller.answered for caller in callers)
    return count, count / (time.perf_counter() - began)


def spelled(event: str, secret: str) -> bytes:
    body = json.dumps({"eventUuid": event})
    return (
        f"POST {_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: benchmark/1\r\n"
        f"x-auth-apikey: {secret}\r\nx-auth-scheme: api-token\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


async def compare(home: Path, rounds: int, seconds: float, connections: int) -> bool:
    async with embedded_postgres(home) as dsn:
        await migrate(dsn)
        async with open_database(dsn) as database:
            ids, secret = await fill(database, home)
        requests = [spelled(it, secret) for it in ids]
        ratios, total = [], 0
        async with server("whole", dsn, home) as whole, server("bare", dsn, home) as bare:
            for number in range(-1, rounds):
                rates = {}
                for which in ("whole", "bare") if number % 2 else ("bare", "whole"):
                    port = whole if which == "whole" else bare
                    count, rates[which] = await asked(port, requests, connections, seconds)
                    total += count if which == "whole" else 0
                if number < 0:
                    continue  # warm-up
                ratios.append(rates["whole"] / rates["bare"])
                line = {it: round(rate) for it, rate in rates.items()}
                print(json.dumps({"round": number, **line, "ratio": round(ratios[-1], 3)}))
        async with connected(dsn) as connection:
            rows = await connection.fetchval("SELECT count(*) FROM audit_entry")
    print(
        json.dumps(
            {
                "median ratio": round(statistics.median(ratios), 3),
                "requests": total,
                "audit rows": rows,
                "connections": connections,
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "aiohttp": aiohttp.__version__,
                "asyncpg": asyncpg.__version__,
            }
        )
    )
    return rows == total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--quick", action="store_true", help="a few rounds")
    parser.add_argument("--serve", choices=["whole", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("--dsn", help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve = serve_whole if given.serve == "whole" else serve_bare
        asyncio.run(serve(given.dsn, given.home))
        return
    if given.quick:
        given.rounds = 10
    with tempfile.TemporaryDirectory(prefix="fw-bench-") as folder:
        os.chmod(folder, 0o755)
        exact = asyncio.run(compare(Path(folder), given.rounds, given.seconds, given.connections))
    if not exact:
        sys.exit("the audit log does not hold one row a request")


if __name__ == "__main__":
    main()
