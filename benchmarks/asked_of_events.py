"""What is asked of a year of face events, and how: `events.py` and `growth.py` measure it."""

import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from a_year import LARGE, RARE, SMALL, YEAR, event_ids, fill, number

from facewatch.domain.events import EventFilter
from facewatch.domain.ids import CameraId, EventId, LocationId, OrgId
from facewatch.store.database import Database, open_database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.migrate import migrate

FEW = 10_000
PAGE = 10
DEEP = 900
ASKED = PAGE + 1
"""What the API reads for a page: one more tells whether there is another."""
VARIANTS = 5

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


async def questions(sql: asyncpg.Connection, until: datetime) -> list[Question]:
    """The ten of the issue, and where lists have been slow or could be."""
    year = [
        EventFilter(since=until - YEAR, until=until - n * timedelta(days=7))
        for n in range(VARIANTS)
    ]
    weeks = [_window(until - n * timedelta(days=60), timedelta(days=7)) for n in range(VARIANTS)]
    hours = [_window(until - n * timedelta(days=60), timedelta(hours=1)) for n in range(VARIANTS)]
    name = {n: await _name(sql, n) for n in (RARE, 1, 7)}
    cameras = [CameraId(await number(sql, "camera", 80 + n)) for n in range(VARIANTS)]
    quiet = [CameraId(await number(sql, "camera", 199 - n)) for n in range(VARIANTS)]
    locations = [LocationId(await number(sql, "location", 5 + n)) for n in range(VARIANTS)]
    rooms = [LocationId(await number(sql, "room", 21 + 5 * n)) for n in range(VARIANTS)]

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
        n %= VARIANTS
        before = base.deep[question.name, n][0] if deep else None
        return await events.find(org, question.variants[n], ASKED, before)

    return ask


def one_through_store(base: Base) -> Ask:
    events, org = PostgresFaceEvents(base.database), base.orgs[LARGE]
    return lambda n: events.get(org, EventId(base.ids[n % len(base.ids)]))


def spent_on(base: Base) -> Clock:
    """CPU seconds of this process and of the connection's in Postgres: others do not add to it."""
    of_postgres = Path(f"/proc/{base.backend}/schedstat")
    return lambda: time.process_time() + int(of_postgres.read_text().split()[0]) / 1e9


# Databases ---------------------------------------------------------------------------------------


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
