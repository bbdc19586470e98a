"""How long one face, and lists in the Gumnut contract, take among many faces, against among few.

Two databases of one embedded Postgres: 10,000 faces, and as many as are asked for. Each face is in
a snapshot of its own, with a template: the middle of its person and noise, as real ones fall. A
thousand people have names, how often each is seen falls as Zipf's law has it, and half of the
faces are nobody's. Two `facewatch serve` are asked over a socket, in turns of rounds, so that what
else the machine does falls on both; of a round's calls the p95 is taken, of the rounds the median.

    .venv/bin/python benchmarks/gumnut.py [--quick] [--faces 1000000] [--rounds N] [--calls N]

Prints a JSON line a question, then a table. A million faces take four minutes to draw and 3 GB of
disk below --place until it ends.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import numpy as np
from events_over_http import service

from facewatch.cli.output import table
from facewatch.domain.ids import FaceId, OrgId, PersonId, to_prefixed
from facewatch.store.centroids import PostgresCentroids
from facewatch.store.database import Database, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.faces import PostgresFaces
from facewatch.store.keys import PostgresKeys
from facewatch.store.migrate import migrate

FEW = 10_000
PEOPLE = 1_000
_NOISES = 2_000
_DIMENSIONS = 128
_MODEL = "sface"

_DRAWN = """
CREATE FUNCTION dated(ms bigint, n bigint, salt text) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT overlay(overlay(md5(salt || n::text) placing lpad(to_hex(ms), 12, '0') || '7' from 1)
                   placing '8' from 17)::uuid
$$;
CREATE TABLE noise (n int PRIMARY KEY, v vector);
CREATE TABLE middle (n int PRIMARY KEY, v vector);
CREATE TABLE drawn (n int, ms bigint, person int);
"""

# Whole tables at once, without triggers: what they keep up is written by the last statements.
_FILL = """
INSERT INTO person (id, org, name)
SELECT dated(1700000000000 + n, n, 'person'), '{org}', 'Person ' || n
  FROM generate_series(1, {people}) AS n;
INSERT INTO asset (id, org, kind, captured_at, time_zone, width, height, size_bytes, sha256, mime,
                   file_name, key)
SELECT dated(ms, n, 'asset'), '{org}', 'snapshot', to_timestamp(ms / 1000.0), 'UTC', 1280, 720,
       60000, 'x', 'image/jpeg', 'frame.jpg', 'frame/' || n
  FROM drawn ORDER BY n;
INSERT INTO face (id, org, asset, box_left, box_top, box_right, box_bottom, landmarks, quality,
                  event, person, assigned_by, assigned_at, thumbnail_key)
SELECT dated(ms, n, 'face'), '{org}', dated(ms, n, 'asset'), 100, 80, 164, 160,
       '{{1,2,3,4,5,6,7,8,9,10}}', '{{0.9,0.8,0.7,0.6,0.95,1}}', dated(ms, n, 'event'),
       CASE WHEN person > 0 THEN dated(1700000000000 + person, person, 'person') END,
       CASE WHEN person > 0 THEN 'matcher' END, CASE WHEN person > 0 THEN now() END, 'face/' || n
  FROM drawn ORDER BY n;
INSERT INTO template (face, model, org, embedding)
SELECT dated(d.ms, d.n, 'face'), {model}, '{org}', m.v + e.v
  FROM drawn d
  JOIN middle m ON m.n = CASE WHEN d.person > 0 THEN d.person ELSE 1 + d.n % {people} END
  JOIN noise e ON e.n = d.n % {noises}
 ORDER BY d.n;
INSERT INTO stale_centroid (org, person)
SELECT '{org}', id FROM person;
"""


@dataclass
class Base:
    """A database of so many faces; `dsn` is what `events.service` asks for."""

    count: int
    dsn: str
    database: Database
    org: OrgId
    backend: int
    faces: list[FaceId]
    common: PersonId
    session: aiohttp.ClientSession | None = None

    async def get(self, path: str, **params: str) -> Any:
        assert self.session is not None
        async with self.session.get(path, params=params) as answer:
            said = await answer.json()
        if answer.status != 200:
            raise SystemExit(f"{path} {params}: {answer.status} {said}")
        return said


async def fill(sql: asyncpg.Connection, org: OrgId, model: int, count: int) -> list[UUID]:
    """Draw *count* faces; some of their ids."""
    rng = np.random.default_rng(1)
    await sql.execute(_DRAWN)
    shares = 1 / np.arange(1, PEOPLE + 1)
    who = rng.choice(PEOPLE, count, p=shares / shares.sum()) + 1
    who = np.where(rng.random(count) < 0.5, who, 0)
    end_ms, year_ms = 1_790_000_000_000, 365 * 86_400_000
    at = np.sort(rng.integers(end_ms - year_ms, end_ms, count))
    rows = zip(range(count), at.tolist(), who.tolist(), strict=True)
    await sql.copy_records_to_table("drawn", records=rows)
    for name, number, length in (("middle", PEOPLE, 1.0), ("noise", _NOISES, 0.9)):
        vectors = rng.standard_normal((number, _DIMENSIONS))
        vectors *= length / np.linalg.norm(vectors, axis=1, keepdims=True)
        first = 1 if name == "middle" else 0
        spelled = [
            (first + n, f"[{','.join(f'{x:.5f}' for x in v)}]") for n, v in enumerate(vectors)
        ]
        await sql.executemany(f"INSERT INTO {name} VALUES ($1, $2::text::vector)", spelled)
    # what a million rows hold up to is checked by the tests, not by each of these inserts
    await sql.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    await sql.execute(
        _FILL.format(org=org, model=model, people=PEOPLE, noises=_NOISES), timeout=1800
    )
    await sql.execute("SET session_replication_role = origin")
    await sql.execute("DROP TABLE drawn, noise, middle")
    await sql.execute("VACUUM ANALYZE asset", timeout=600)
    await sql.execute("VACUUM ANALYZE face", timeout=600)
    await sql.execute("VACUUM ANALYZE template", timeout=600)
    return [
        row["id"] for row in await sql.fetch("SELECT id FROM face TABLESAMPLE SYSTEM_ROWS(2000)")
    ]


@asynccontextmanager
async def opened(dsn: str, name: str, count: int) -> AsyncIterator[Base]:
    server = await asyncpg.connect(dsn)
    try:
        await server.execute(f"CREATE DATABASE {name}")
    finally:
        await server.close()
    dsn = dsn.replace("/facewatch?", f"/{name}?")
    await migrate(dsn)
    start = time.perf_counter()
    sql = await asyncpg.connect(dsn)
    await sql.execute("CREATE EXTENSION IF NOT EXISTS tsm_system_rows")
    async with open_database(dsn, connections=1) as database:
        org = await database.default_org()
        model = await sql.fetchval("SELECT register_model($1, $2)", _MODEL, _DIMENSIONS)
        ids = await fill(sql, org, model, count)
        common = await sql.fetchval("SELECT id FROM person WHERE name = 'Person 1'")
        await PostgresCentroids(database).refresh_all()
        backend = await database._pool.fetchval("SELECT pg_backend_pid()")
        await sql.close()
        line = {"faces": count, "filled_s": round(time.perf_counter() - start, 1)}
        print(json.dumps({"benchmark": "gumnut", **line}), flush=True)
        faces = [FaceId(it) for it in ids]
        yield Base(count, dsn, database, org, backend, faces, PersonId(common))


Ask = Callable[[Base, FaceId], Awaitable[Any]]


def face_path(face: FaceId) -> str:
    return f"/api/faces/{to_prefixed('face', face)}"


QUESTIONS: dict[str, Ask] = {
    "GET /api/faces/{id}": lambda base, face: base.get(face_path(face)),
    "the same, include=cluster_assignment": lambda base, face: base.get(
        face_path(face), include="cluster_assignment"
    ),
    "GET /api/faces": lambda base, face: base.get(
        "/api/faces", starting_after_id=to_prefixed("face", face)
    ),
    "GET /api/faces?person_id (the commonest)": lambda base, face: base.get(
        "/api/faces",
        person_id=to_prefixed("person", base.common),
        starting_after_id=to_prefixed("face", face),
    ),
    "GET /api/assets": lambda base, _face: base.get("/api/assets"),
}


SLOW = {"GET /api/assets"}
"""Asked a tenth as often: everybody who is on the page has their pictures counted."""


async def compared(few: Base, many: Base, ask: Ask, rounds: int, calls: int) -> dict[str, float]:
    """Milliseconds; the rounds take turns."""
    took: dict[int, list[list[float]]] = {few.count: [], many.count: []}
    draw = random.Random(7)
    for number in range(rounds + 1):
        for base in (few, many):
            times = []
            for _ in range(calls):
                face = draw.choice(base.faces)
                start = time.perf_counter()
                await ask(base, face)
                times.append(1e3 * (time.perf_counter() - start))
            if number:  # the first round warms up
                took[base.count].append(sorted(times))

    def share(base: Base, part: float) -> float:
        return statistics.median(times[int(part * calls)] for times in took[base.count])

    return {
        "p50_few_ms": round(share(few, 0.5), 2),
        "p50_many_ms": round(share(many, 0.5), 2),
        "p95_few_ms": round(share(few, 0.95), 2),
        "p95_many_ms": round(share(many, 0.95), 2),
        "ratio_p95": round(share(many, 0.95) / share(few, 0.95), 2),
    }


async def cpu_of(base: Base, calls: int) -> float:
    """Milliseconds of CPU of a face read through the store: of this process and its connection."""
    of_postgres = Path(f"/proc/{base.backend}/schedstat")
    faces = PostgresFaces(base.database, PostgresFaceEvents(base.database))

    def clock() -> float:
        return time.process_time() + int(of_postgres.read_text().split()[0]) / 1e9

    spent = []
    for face in random.Random(8).choices(base.faces, k=calls):
        start = clock()
        await faces.get(base.org, face)
        spent.append(clock() - start)
    return 1e3 * statistics.median(spent[calls // 10 :])


async def main_in(home: Path, args: argparse.Namespace) -> None:
    lines = []
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(embedded_postgres(home))
        bases = [
            await stack.enter_async_context(opened(dsn, name, count))
            for name, count in (("few", FEW), ("many", args.faces))
        ]
        cpu = [[await cpu_of(base, args.calls) for base in bases] for _ in range(args.rounds)]
        spent = [statistics.median(it) for it in zip(*cpu, strict=True)]
        for number, base in enumerate(bases):
            place = home / f"serve-{number}"
            place.mkdir()
            url = await stack.enter_async_context(service(base, place))  # type: ignore[arg-type]
            _, secret = await PostgresKeys(base.database).create(base.org, "bench", "viewer")
            headers = {"Authorization": f"Bearer {secret}"}
            base.session = await stack.enter_async_context(
                aiohttp.ClientSession(url, headers=headers)
            )
        few, many = bases
        for question, ask in QUESTIONS.items():
            calls = args.calls // 10 if question in SLOW else args.calls
            found = await compared(few, many, ask, args.rounds, calls)
            lines.append({"question": question, "faces": many.count, **found})
            print(json.dumps({"benchmark": "gumnut", **lines[-1]}), flush=True)
    ratio = round(spent[1] / spent[0], 2)
    said = {"question": "one face through the store, CPU", "ms": [round(it, 3) for it in spent]}
    print(json.dumps({"benchmark": "gumnut", **said, "ratio": ratio}))
    print_table(lines)


def print_table(lines: Sequence[dict[str, Any]]) -> None:
    head = ["asked", "p50 at 10 k", "p50 at many", "p95 at 10 k", "p95 at many", "ratio of p95"]
    names = ["question", "p50_few_ms", "p50_many_ms", "p95_few_ms", "p95_many_ms", "ratio_p95"]
    table(head, [[str(it[name]) for name in names] for it in lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--place", type=Path, default=Path("/tmp"))
    args = parser.parse_args()
    if args.quick:
        args.faces, args.rounds, args.calls = 30_000, 2, 60
    with tempfile.TemporaryDirectory(prefix="fw-gumnut-", dir=args.place) as folder:
        home = Path(folder)
        home.chmod(0o755)
        asyncio.run(main_in(home, args))


if __name__ == "__main__":
    sys.exit(main())
