"""How long one event and a page of events take at many events, against the same at few.

Two databases of one embedded Postgres are drawn by `a_year.py`: a year of 10,000 events, and a
year of as many as are asked for. Each question below is asked at its first page and 900 pages
deep (at the last page where it has fewer), pages of 10: through the store, and some through two
`facewatch serve` over a socket. Rounds of both databases take turns, so that what else the
machine does falls on both; of a round's calls the p95 is taken, of the rounds the median. Asked
once more, the store's calls are measured in CPU time, which a busy machine does not stretch.

    .venv/bin/python benchmarks/events.py [--quick] [--events 10000000] [--rounds N] [--calls N]

10,000,000 events need 25 GB of disk below --place until it ends, whichever way it ends, and ten
minutes of two cores.
Prints a JSON line a question with the indexes that its calls used (Postgres' own counters: scans
and rows a call), then a table. The ratio is that of the p95s.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from a_year import LARGE, RARE, SMALL, YEAR, event_ids, fill, number

from facewatch.cli.output import table
from facewatch.domain.events import EventFilter
from facewatch.domain.ids import CameraId, EventId, LocationId, OrgId, to_ruuid
from facewatch.store.database import Database, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.migrate import migrate

FEW = 10_000
PAGE = 10
DEEP = 900
ASKED = PAGE + 1
"""What the API reads for a page: one more tells whether there is another."""
_ROOT = Path(__file__).parent.parent
_BASE = "/api/faceRecognition/faceEvent/"
_VARIANTS = 5
_OVER_A_SOCKET = ("a week", "common name", "camera", "location", "has a name")

Ask = Callable[[int], Awaitable[object]]
"""Asks the nth variant of a question."""
Clock = Callable[[], float]
"""Seconds since whenever."""


@dataclass(frozen=True)
class Question:
    """What somebody looks for; the variants differ in values that lead to other rows."""

    name: str
    variants: Sequence[EventFilter]
    org: int = LARGE


@dataclass
class Base:
    """A database that is asked.

    Attributes:
        events: How many it holds.
        backend: The process in Postgres that the one connection of *database* has.
        deep: By question and variant, the last event before its deep page, and the page's number.
    """

    events: int
    dsn: str
    database: Database
    backend: int
    orgs: dict[int, OrgId]
    ids: list[UUID]
    deep: dict[tuple[str, int], tuple[EventId | None, int]] = field(default_factory=dict)


# What is asked ----------------------------------------------------------------------------------


async def questions(sql: asyncpg.Connection, until: datetime) -> list[Question]:
    """The ten of the issue, and where lists have been slow or could be."""
    year = [
        EventFilter(since=until - YEAR, until=until - n * timedelta(days=7))
        for n in range(_VARIANTS)
    ]
    weeks = [_window(until - n * timedelta(days=60), timedelta(days=7)) for n in range(_VARIANTS)]
    hours = [_window(until - n * timedelta(days=60), timedelta(hours=1)) for n in range(_VARIANTS)]
    name = {n: await _name(sql, n) for n in (RARE, 1, 7)}
    cameras = [CameraId(await number(sql, "camera", 80 + n)) for n in range(_VARIANTS)]
    quiet = [CameraId(await number(sql, "camera", 199 - n)) for n in range(_VARIANTS)]
    locations = [LocationId(await number(sql, "location", 5 + n)) for n in range(_VARIANTS)]
    rooms = [LocationId(await number(sql, "room", 21 + 5 * n)) for n in range(_VARIANTS)]

    def each(windows: Sequence[EventFilter], **wanted: Any) -> list[EventFilter]:
        """*wanted* in each window; of a list, which holds a value a variant, the nth in the nth."""
        return [
            replace(
                window,
                **{k: frozenset([v[n]]) if isinstance(v, list) else v for k, v in wanted.items()},
            )
            for n, window in enumerate(windows)
        ]

    common, rare = frozenset([name[1]]), frozenset([name[RARE]])
    return [
        Question("a week", weeks),
        Question("an hour", hours),
        Question("a year", year),
        Question("common name", each(year, names=common)),
        Question("rare name", each(year, names=rare)),
        Question("label", each(year, labels=frozenset(["staff"]))),
        Question("camera", each(year, cameras=cameras)),
        Question("camera, an hour", each(hours, cameras=cameras)),
        Question("location", each(year, locations=locations)),
        Question("room", each(year, locations=rooms)),
        Question("has a name", each(year, has_name=True)),
        Question("has no name", each(year, has_name=False)),
        Question("name contains ann", each(year, name_part="ann")),
        Question("no template", each(year, has_template=False)),
        Question("common name, quiet camera", each(year, names=common, cameras=quiet)),
        Question("common name, room", each(year, names=common, locations=rooms)),
        Question("label, quiet camera", each(year, labels=frozenset(["staff"]), cameras=quiet)),
        Question("has a name, quiet camera", each(year, has_name=True, cameras=quiet)),
        Question("small org, a year", year, SMALL),
        Question("small org, has a name", each(year, has_name=True), SMALL),
    ]


def _window(until: datetime, length: timedelta) -> EventFilter:
    return EventFilter(since=until - length, until=until)


async def _name(sql: asyncpg.Connection, n: int) -> str:
    person = await number(sql, "person", n)
    name: str = await sql.fetchval("SELECT name FROM person WHERE id = $1", person)
    return name


# Through the store -------------------------------------------------------------------------------


async def find_deep_pages(few: Base, many: Base, question: Question) -> None:
    """The 900th pages, by the store's own statement; of the events only the ids are read.

    Where there are not so many, *many* is asked for its last page, and *few* from the moment on at
    which that page of *many* begins.
    """
    for n, wanted in enumerate(question.variants):
        for base in (many, few):
            found = await _ids_found(base, question, wanted)
            pages = len(found) // PAGE
            before = found[(pages - 1) * PAGE - 1] if pages > 1 else None
            base.deep[question.name, n] = before, max(pages, 1)
        if few.deep[question.name, n][1] < min(DEEP, many.deep[question.name, n][1]):
            before = many.deep[question.name, n][0]
            newer = sum(before is not None and id >= before for id in found)
            few.deep[question.name, n] = before, 1 + newer // PAGE


async def _ids_found(base: Base, question: Question, wanted: EventFilter) -> list[EventId]:
    events = PostgresFaceEvents(base.database)
    statement, values = await events._search(base.orgs[question.org], wanted)
    rows = await base.database.fetch(statement, **values, limit=DEEP * PAGE)
    return [row["id"] for row in rows]


def through_store(base: Base, question: Question, deep: bool) -> Ask:
    events, org = PostgresFaceEvents(base.database), base.orgs[question.org]

    async def ask(n: int) -> object:
        n %= _VARIANTS
        before = base.deep[question.name, n][0] if deep else None
        return await events.find(org, question.variants[n], ASKED, before)

    return ask


def one_through_store(base: Base) -> Ask:
    events, org = PostgresFaceEvents(base.database), base.orgs[LARGE]
    return lambda n: events.get(org, EventId(base.ids[n % len(base.ids)]))


# Through the API ---------------------------------------------------------------------------------


@asynccontextmanager
async def service(base: Base, home: Path) -> AsyncIterator[str]:
    """A `facewatch serve` over *base*, with a home of its own; its URL."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("FACEWATCH_")},
        "FACEWATCH_HOME": str(home),
        "FACEWATCH_DATABASE_URL": base.dsn,
        "FACEWATCH_MODELS_DIRECTORY": str(_ROOT / ".home" / "models"),
        "FACEWATCH_HTTP_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "facewatch", "serve"),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(60):
            while not (found := re.search(r"answers at (\S+)", said)):
                line = await process.stderr.readline()
                if not line:
                    raise SystemExit(f"facewatch serve ended:\n{said}")
                said += line.decode()
        reading = asyncio.create_task(process.stderr.read())  # a full pipe would stop it
        yield found[1]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
        reading.cancel()


@dataclass
class Client:
    """Somebody with a key to each org of a service."""

    session: aiohttp.ClientSession
    base: Base
    keys: dict[int, str]
    turned: dict[tuple[str, int], str | None] = field(default_factory=dict)

    async def ask(self, operation: str, org: int, body: object) -> Any:
        headers = {"x-auth-apikey": self.keys[org], "x-auth-scheme": "api-token"}
        async with self.session.post(_BASE + operation, json=body, headers=headers) as answer:
            said = await answer.json()
        if answer.status != 200 or said.get("error"):
            raise SystemExit(f"{operation} {json.dumps(body)}: {answer.status} {said}")
        return said

    async def page(self, question: Question, n: int, size: int, key: str | None = None) -> Any:
        page = {"maxPageSize": size} | ({"lastEvaluatedKey": key} if key else {})
        body = {"searchFilter": spelled(question.variants[n]), "pageRequest": page}
        return await self.ask("findFaceEventsByOrg", question.org, body)

    async def turn_pages(self, question: Question) -> None:
        """To the key of the deep page that the store was asked for, in larger steps."""
        for n in range(_VARIANTS):
            left, key = (self.base.deep[question.name, n][1] - 1) * PAGE, None
            while left:
                size = min(left, 1000)
                page = await self.page(question, n, size, key)
                key, left = page.get("lastEvaluatedKey"), left - size
            self.turned[question.name, n] = key


def spelled(wanted: EventFilter) -> dict[str, object]:
    """As Rhombus' clients ask for it."""
    assert wanted.since
    assert wanted.until
    listed = {
        "deviceUuids": [to_ruuid(id) for id in wanted.cameras or ()],
        "locationUuids": [to_ruuid(id) for id in wanted.locations or ()],
        "faceNames": sorted(wanted.names or ()),
        "labels": sorted(wanted.labels or ()),
    }
    single = {
        "faceNameContains": wanted.name_part,
        "hasName": wanted.has_name,
        "hasEmbedding": wanted.has_template,
    }
    window = {
        "rangeStart": int(wanted.since.timestamp() * 1000),
        "rangeEnd": int(wanted.until.timestamp() * 1000),
    }
    return {"timestampFilter": window, **listed} | {
        k: v for k, v in single.items() if v is not None
    }


def through_api(client: Client, question: Question, deep: bool) -> Ask:
    def ask(n: int) -> Awaitable[object]:
        n %= _VARIANTS
        key = client.turned[question.name, n] if deep else None
        return client.page(question, n, PAGE, key)

    return ask


def one_through_api(client: Client) -> Ask:
    ids = client.base.ids
    return lambda n: client.ask("getFaceEvent", LARGE, {"eventUuid": to_ruuid(ids[n % len(ids)])})


# Measuring ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """Milliseconds: of each round's calls the share, of the rounds the median."""

    p50: float
    p95: float

    @classmethod
    def of(cls, rounds: Sequence[Sequence[float]]) -> "Timing":
        shares = (
            statistics.median(1e3 * sorted(each)[int(share * len(each))] for each in rounds)
            for share in (0.5, 0.95)
        )
        return cls(*(round(share, 3) for share in shares))


def spent_on(base: Base) -> Clock:
    """CPU seconds of this process and of the connection's in Postgres: others do not add to it."""
    of_postgres = Path(f"/proc/{base.backend}/schedstat")
    return lambda: time.process_time() + int(of_postgres.read_text().split()[0]) / 1e9


async def compared(
    few: Ask, many: Ask, args: argparse.Namespace, clocks: tuple[Clock, Clock]
) -> tuple[Timing, Timing]:
    """Rounds of both in turns, each warmed up, by the clock of each."""
    took: tuple[list[list[float]], list[list[float]]] = ([], [])
    counts = itertools.count(), itertools.count()
    for _ in range(args.rounds):
        for ask, clock, rounds, count in zip((few, many), clocks, took, counts, strict=True):
            for _ in range(2 * _VARIANTS):
                await ask(next(count))
            rounds.append([])
            for _ in range(args.calls):
                began = clock()
                await ask(next(count))
                rounds[-1].append(clock() - began)
    return Timing.of(took[0]), Timing.of(took[1])


_USE = """
SELECT coalesce(p.relname, c.relname) AS index, sum(s.idx_scan) AS scans,
       sum(s.idx_tup_read) AS rows
  FROM pg_stat_user_indexes s
  JOIN pg_class c ON c.oid = s.indexrelid
  LEFT JOIN pg_inherits i ON i.inhrelid = s.indexrelid
  LEFT JOIN pg_class p ON p.oid = i.inhparent
 WHERE s.relname LIKE 'face_event%'
 GROUP BY 1
 UNION ALL
SELECT 'Seq Scan', sum(seq_scan), sum(seq_tup_read)
  FROM pg_stat_user_tables WHERE relname LIKE 'face_event%'
"""


async def used(base: Base, ask: Ask) -> dict[str, dict[str, float]]:
    """Scans and rows of each index a call, by Postgres' own counters.

    Asked on the one connection that has asked all along: with its plans.
    """
    pool, calls = base.database._pool, 4 * _VARIANTS

    async def counted() -> dict[str, tuple[int, int]]:
        await pool.execute("SELECT pg_stat_force_next_flush()")
        return {row["index"]: (row["scans"], row["rows"]) for row in await pool.fetch(_USE)}

    before = await counted()
    for n in range(calls):
        await ask(n)
    after = await counted()
    return {
        index: {
            "scans": round(float(scans - before[index][0]) / calls, 1),
            "rows": round(float(rows - before[index][1]) / calls, 1),
        }
        for index, (scans, rows) in after.items()
        if scans > before[index][0]
    }


async def line(
    through: str, question: str, few: Ask, many: Ask, args: argparse.Namespace, **more: Any
) -> dict[str, Any]:
    timings = await compared(few, many, args, (time.perf_counter, time.perf_counter))
    found = {"benchmark": "events", "through": through, "question": question} | more
    return found | _timed("", *timings)


def _timed(what: str, few: Timing, many: Timing) -> dict[str, float]:
    return {
        f"few_p50_{what}ms": few.p50,
        f"few_p95_{what}ms": few.p95,
        f"many_p50_{what}ms": many.p50,
        f"many_p95_{what}ms": many.p95,
        f"{what}ratio": round(many.p95 / few.p95, 2),
    }


async def measure_store(
    few: Base, many: Base, asked: Sequence[Question], args: argparse.Namespace
) -> AsyncIterator[dict[str, Any]]:
    clocks = spent_on(few), spent_on(many)

    async def lines(name: str, asks: tuple[Ask, Ask], **more: Any) -> dict[str, Any]:
        found = await line("store", name, *asks, args, **more)
        found |= _timed("cpu_", *await compared(*asks, args, clocks))
        return found | {"indexes": await used(many, asks[1])}

    yield await lines("getFaceEvent", (one_through_store(few), one_through_store(many)), page=[])
    for question in asked:
        await find_deep_pages(few, many, question)
        for deep in (False, True):
            page = [_page(few, question, deep), _page(many, question, deep)]
            if not deep or page != [1, 1]:
                asks = through_store(few, question, deep), through_store(many, question, deep)
                yield await lines(question.name, asks, page=page)


async def measure_api(
    few: Client, many: Client, asked: Sequence[Question], args: argparse.Namespace
) -> AsyncIterator[dict[str, Any]]:
    ones = one_through_api(few), one_through_api(many)
    yield await line("api", "getFaceEvent", *ones, args, page=[])
    for question in asked:
        for client in (few, many):
            await client.turn_pages(question)
        for deep in (False, True):
            page = [_page(few.base, question, deep), _page(many.base, question, deep)]
            if not deep or page != [1, 1]:
                asks = through_api(few, question, deep), through_api(many, question, deep)
                yield await line("api", question.name, *asks, args, page=page)


def _page(base: Base, question: Question, deep: bool) -> int:
    """Which page it is; of variants that are not equally long, the deepest."""
    return max(base.deep[question.name, n][1] for n in range(_VARIANTS)) if deep else 1


# Both databases ----------------------------------------------------------------------------------


@asynccontextmanager
async def opened(dsn: str, name: str, events: int, until: datetime) -> AsyncIterator[Base]:
    """A database *name* of the server at *dsn*, with a year of *events*."""
    server = await asyncpg.connect(dsn)
    try:
        await server.execute(f"CREATE DATABASE {name}")
    finally:
        await server.close()
    dsn = dsn.replace("/facewatch?", f"/{name}?")
    await migrate(dsn)
    began = time.perf_counter()
    await fill(dsn, events, until)
    took = time.perf_counter() - began
    print(
        json.dumps({"benchmark": "events", "events": events, "filled_s": round(took)}), flush=True
    )
    async with existing(dsn, events, until) as base:
        yield base


@asynccontextmanager
async def existing(dsn: str, events: int, until: datetime) -> AsyncIterator[Base]:
    """The database at *dsn*, with a year of *events* in it."""
    sql = await asyncpg.connect(dsn)
    try:
        orgs = {n: OrgId(await number(sql, "org", 0, n)) for n in (LARGE, SMALL)}
        ids = await event_ids(sql, events, until, random.Random(1).choices(range(events), k=5000))
    finally:
        await sql.close()
    async with open_database(dsn, connections=1) as database:
        backend = await database._pool.fetchval("SELECT pg_backend_pid()")
        yield Base(events, dsn, database, backend, orgs, ids)


async def measure(
    few: Base, many: Base, until: datetime, home: Path, args: argparse.Namespace
) -> None:
    sql = await asyncpg.connect(few.dsn)
    try:
        asked = await questions(sql, until)
    finally:
        await sql.close()
    lines = []
    async for found in measure_store(few, many, asked, args):
        lines.append(found)
        print(json.dumps(found), flush=True)
    async with AsyncExitStack() as stack:
        clients = []
        for base in (few, many):
            folder = home / f"service-{base.events}"
            session = aiohttp.ClientSession(await stack.enter_async_context(service(base, folder)))
            keys = {
                n: (await PostgresKeys(base.database).create(org, "benchmark", "viewer"))[1]
                for n, org in base.orgs.items()
            }
            clients.append(Client(await stack.enter_async_context(session), base, keys))
        some = [question for question in asked if question.name in _OVER_A_SOCKET]
        async for found in measure_api(*clients, some, args):
            lines.append(found)
            print(json.dumps(found), flush=True)
    print_table(few, many, lines)


def print_table(few: Base, many: Base, lines: Sequence[dict[str, Any]]) -> None:
    shares = [f"{base.events} {share}, ms" for base in (few, many) for share in ("p50", "p95")]
    columns = ["through", "question", "page", *shares, "ratio", "CPU ratio", "led by"]
    rows = []
    for it in lines:
        led = [index for index in it.get("indexes", ()) if index != "face_event_pkey"]
        page = "/".join(str(n) for n in dict.fromkeys(it["page"]))
        times = [it[f"{size}_{share}_ms"] for size in ("few", "many") for share in ("p50", "p95")]
        ratios = [it["ratio"], it.get("cpu_ratio")]
        rows.append([it["through"], it["question"], page, *times, *ratios, ", ".join(led)])
    table(columns, rows)


async def main_in(home: Path, args: argparse.Namespace) -> None:
    until = datetime.now(UTC).replace(microsecond=0)
    async with (
        embedded_postgres(home) as dsn,
        opened(dsn, "few", FEW, until) as few,
        opened(dsn, "many", args.events, until) as many,
    ):
        await measure(few, many, until, home, args)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument(
        "--place", help="a directory for the databases; by default that of temporary files"
    )
    parser.add_argument("--quick", action="store_true", help="100,000 events, one round")
    args = parser.parse_args()
    if args.quick:
        args.events, args.rounds, args.calls = 100_000, 1, 10
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-", dir=args.place) as folder:
        os.chmod(folder, 0o755)  # Postgres may have to run as another user
        asyncio.run(main_in(Path(folder), args))


if __name__ == "__main__":
    main()
