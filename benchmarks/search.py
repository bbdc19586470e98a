"""How fast, and how completely, words find pictures among many, with filters and without.

Vectors are drawn as pictures of cameras fall: all share a direction (what models see in every
picture), scenes lie around it in a space of falling variance, sizes of scenes follow a power law,
and a picture is its scene with noise. Half of the scenes are there all year, half for three days.
What is asked for lies beside a scene, as a text's vector lies beside those of pictures: far from
all of them, nearer to some. A line tells the cosines.

They go into an embedded Postgres with COPY, the index is built, and pages of ten are asked for
over `PostgresPictureVectors.near`, as the API asks; what is found is held against every vector in
memory. Selectivity 1 is no filter, 0.1 and 0.001 are windows of time, and 0.001 also somebody who
is in so many pictures. `cpu_ms` is what Postgres and this process take for one search: others that
use the machine leave it alone.

    .venv/bin/python benchmarks/search.py [--vectors 100000] [--probes 100] [--quick]

Prints JSON lines, then a table. 100,000 take 2 minutes and 1 GB of disk, one million about 20 times
as much (the index grows slower than its table does).
"""

import argparse
import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray

from facewatch.cli.output import table
from facewatch.domain.ids import OrgId, PersonId, new_id
from facewatch.domain.library import AssetFilter, Described
from facewatch.store.assets import PostgresAssets
from facewatch.store.database import connected, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.migrate import migrate
from facewatch.store.vectors import PostgresPictureVectors

_SIZE = 512
_CHUNK = 20_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_YEAR_S = 365 * 86_400
_TOP = 10
Floats = NDArray[np.float32]
Halves = NDArray[np.float16]


class Scenes:
    """Draws pictures, and what is asked for."""

    def __init__(self, pictures: int) -> None:
        rng = np.random.default_rng(1)
        self._spread = (1.0 / np.sqrt(1 + np.arange(_SIZE) / 24)).astype(np.float32)
        self._spread /= np.linalg.norm(self._spread)
        self._turn = np.linalg.qr(rng.standard_normal((_SIZE, _SIZE)))[0].astype(np.float32)
        self._shared = _unit(rng.standard_normal(_SIZE).astype(np.float32))
        count = max(pictures // 60, 50)
        self.centres = self._drawn(rng, count)
        share = 1.0 / (1 + np.arange(count)) ** 0.8
        self._share = share / share.sum()
        self._days = rng.uniform(0, _YEAR_S - 3 * 86_400, count)

    def _drawn(self, rng: np.random.Generator, count: int) -> Floats:
        return (rng.standard_normal((count, _SIZE), np.float32) * self._spread) @ self._turn

    def pictures(self, rng: np.random.Generator, count: int) -> tuple[Floats, NDArray[np.float64]]:
        """Vectors, and the second of the year of each."""
        scenes = rng.choice(len(self._share), count, p=self._share)
        vectors = 0.9 * self._shared + self.centres[scenes] + 0.45 * self._drawn(rng, count)
        brief = self._days[scenes] + rng.uniform(0, 3 * 86_400, count)
        always = rng.uniform(0, _YEAR_S, count)
        return _unit(vectors), np.where(scenes % 2, brief, always)

    def words(self, rng: np.random.Generator, count: int) -> Floats:
        """Each near a scene of its own, most often a common one."""
        scenes = rng.choice(len(self._share), count, p=self._share)
        away = _unit(rng.standard_normal((count, _SIZE)).astype(np.float32))
        return _unit(0.4 * _unit(self.centres[scenes]) + away)


def _unit(vectors: Floats) -> Floats:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


# --- into Postgres ----------------------------------------------------------------------------


async def load(
    sql: asyncpg.Connection, org: OrgId, model: int, scenes: Scenes, count: int
) -> tuple[NDArray[np.uint8], Halves, NDArray[np.float64]]:
    """Ids, vectors and seconds of what was written, in the order of capture."""
    rng = np.random.default_rng(2)
    seconds = np.empty(count)
    halves = np.empty((count, _SIZE), np.float16)
    for start in range(0, count, _CHUNK):
        some = slice(start, min(start + _CHUNK, count))
        halves[some], seconds[some] = scenes.pictures(rng, some.stop - start)
    order = np.argsort(seconds)
    seconds, ids = seconds[order], rng.integers(0, 256, (count, 16), np.uint8)
    halves = halves[order]
    # what a million rows hold up to is checked by the tests, not by each of these inserts
    await sql.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for start in range(0, count, _CHUNK):
        some = slice(start, start + _CHUNK)
        await sql.execute("CREATE TEMP TABLE drawn (id uuid, at float8, embedding halfvec)")
        rows = _binary(ids[some], seconds[some], halves[some])
        await sql.copy_to_table("drawn", source=rows, format="binary")
        await sql.execute(_ROWS.format(org=org, model=model, start=_START.isoformat()))
    return ids, halves, seconds


_ROWS = """
INSERT INTO asset (id, org, kind, captured_at, time_zone, width, height, size_bytes, sha256, mime,
                   file_name, key)
SELECT id, '{org}', 'snapshot', timestamptz '{start}' + make_interval(secs => at), 'UTC', 1280, 720,
       60000, 'x', 'image/jpeg', 'frame.jpg', id::text
  FROM drawn ORDER BY at;
INSERT INTO picture_vector (asset, model, at_ms, org, captured_at, wall, embedding)
SELECT a.id, {model}, 0, a.org, a.captured_at, a.captured_at AT TIME ZONE 'UTC', d.embedding
  FROM drawn d JOIN asset a ON a.id = d.id ORDER BY d.at;
DROP TABLE drawn;
"""


async def _binary(
    ids: NDArray[np.uint8], seconds: NDArray[np.float64], halves: Halves
) -> AsyncIterator[bytes]:
    """As COPY takes it: rows of a uuid, a double and a halfvec."""
    head = [("fields", ">i2"), ("of_id", ">i4"), ("id", "u1", 16), ("of_at", ">i4"), ("at", ">f8")]
    vector = [("of_vector", ">i4"), ("dims", ">i2"), ("unused", ">i2"), ("vector", ">f2", _SIZE)]
    rows = np.zeros(len(ids), [*head, *vector])
    rows["fields"], rows["of_id"], rows["of_at"] = 3, 16, 8
    rows["of_vector"], rows["dims"] = 4 + 2 * _SIZE, _SIZE
    rows["id"], rows["at"], rows["vector"] = ids, seconds, halves
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
    yield rows.tobytes()
    yield b"\xff\xff"


async def somebody(
    sql: asyncpg.Connection, org: OrgId, ids: NDArray[np.uint8], count: int
) -> tuple[PersonId, NDArray[np.int64]]:
    """A person who is in *count* pictures, drawn from all."""
    person = PersonId(new_id())
    places = np.sort(np.random.default_rng(3).choice(len(ids), count, replace=False))
    await sql.execute("INSERT INTO person (id, org, name) VALUES ($1, $2, 'Ann')", person, org)
    await sql.execute(
        "INSERT INTO face (id, org, asset, box_left, box_top, box_right, box_bottom, landmarks,"
        " quality, person, assigned_by)"
        " SELECT gen_random_uuid(), $1, a, 0, 0, 9, 9, '{}', '{0.9,0.9,0.9,0.9,0.9}', $2, 'matcher'"
        " FROM unnest($3::uuid[]) AS a",
        *(org, person, [UUID(bytes=ids[place].tobytes()) for place in places]),
    )
    return person, places


# --- measured ---------------------------------------------------------------------------------


async def searched(
    home: Path,
    vectors: PostgresPictureVectors,
    org: OrgId,
    asked: Floats,
    wanted: AssetFilter,
    there: tuple[NDArray[np.uint8], Halves],
    model: int,
    farthest: float = 2.0,
) -> dict[str, Any]:
    """First pages of ten, against all that the filter lets through: *there*, ids and vectors."""
    ids, halves = there
    took, shares = [], []
    best = _nearest(asked, halves, 1 - farthest)
    worked = cpu_s(home)
    for probe, nearest in zip(asked, best, strict=True):
        like = Described(model, probe, farthest)
        began = time.perf_counter()
        found = await vectors.near(org, like, wanted, _TOP + 1, 0)
        took.append((time.perf_counter() - began) * 1000)
        told = {asset.id.bytes for asset, _ in found[:_TOP]}
        shares += [ids[place].tobytes() in told for place in nearest]
    return {
        "recall_at_10": round(float(np.mean(shares)), 4),
        "cpu_ms": round(1000 * (cpu_s(home) - worked) / len(asked), 1),
        **{f"p{q}_ms": round(float(np.percentile(took, q)), 1) for q in (50, 95, 99)},
    }


def cpu_s(home: Path) -> float:
    """Of this process and of the home's Postgres so far, its helpers that ended among them."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is not ours to look at
            if Path(os.readlink(process / "cwd")).is_relative_to(home):
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK") + time.process_time()


def _nearest(asked: Floats, halves: Halves, least: float) -> list[NDArray[np.int64]]:
    """Places of the ten nearest of each, exactly, as far as their cosine is *least*."""
    cosines = np.concatenate(
        [
            _unit(halves[start : start + _CHUNK].astype(np.float32)) @ asked.T
            for start in range(0, len(halves), _CHUNK)
        ]
    )
    best = [np.argsort(-of)[:_TOP] for of in cosines.T]
    return [places[of[places] >= least] for places, of in zip(best, cosines.T, strict=True)]


def say(**what: Any) -> dict[str, Any]:
    print(json.dumps(what | {"load": round(os.getloadavg()[0], 1)}), flush=True)
    return what


async def measure(home: Path, count: int, probes: int) -> None:
    scenes = Scenes(count)
    asked = scenes.words(np.random.default_rng(4), probes)
    async with embedded_postgres(home) as dsn:
        await migrate(dsn)
        async with open_database(dsn) as database, connected(dsn) as sql:
            org = await database.default_org()
            vectors = PostgresPictureVectors(
                database, PostgresAssets(database, PostgresFaceEvents(database))
            )
            model = await vectors.want("drawn", "drawn", _SIZE)
            await sql.execute(f"DROP INDEX picture_vector_{model}_near")
            ids, halves, seconds = await load(sql, org, model, scenes, count)
            person, hers = await somebody(sql, org, ids, max(count // 1000, _TOP))
            await _indexed(sql, model)
            some = halves[:: max(count // 2000, 1)].astype(np.float32)
            cosines = some @ some.T
            near = np.sort(some @ asked.T, axis=0)
            say(
                what="drawn",
                pictures=count,
                cosines=_quantiles(cosines[np.triu_indices(len(some), 1)]),
                of_words=_quantiles(near),
            )
            rows = []
            for name, wanted, places in _filters(seconds, person, hers):
                there = (ids[places], halves[places])
                for _ in range(2):  # the first time warms
                    found = await searched(home, vectors, org, asked, wanted, there, model)
                rows.append(say(what=name, pictures=len(there[0]), **found))
            strict = 1 - float(np.median(near[-5]))
            found = await searched(
                home, vectors, org, asked[:10], AssetFilter(), (ids, halves), model, strict
            )
            rows.append(say(what="a threshold that leaves about five", pictures=count, **found))
            columns = ["what", "pictures", "recall_at_10", "cpu_ms", "p50_ms", "p95_ms", "p99_ms"]
            table(columns, [[row[column] for column in columns] for row in rows])


async def _indexed(sql: asyncpg.Connection, model: int) -> None:
    part = f"picture_vector_{model}"
    began = time.perf_counter()
    await sql.execute("SET maintenance_work_mem = '2GB'; SET max_parallel_maintenance_workers = 1")
    await sql.execute(
        f"CREATE INDEX {part}_near ON {part} USING hnsw"
        f" ((embedding::halfvec({_SIZE})) halfvec_cosine_ops)"
        " WITH (m = 24, ef_construction = 128)",
        timeout=7200,
    )
    built_s = time.perf_counter() - began
    await sql.execute("VACUUM ANALYZE", timeout=600)
    say(
        what="index",
        build_s=round(built_s),
        index_mib=await sql.fetchval(f"SELECT pg_relation_size('{part}_near') >> 20"),
        table_mib=await sql.fetchval(f"SELECT pg_table_size('{part}') >> 20"),
    )


def _filters(
    seconds: NDArray[np.float64], person: PersonId, hers: NDArray[np.int64]
) -> list[tuple[str, AssetFilter, slice | NDArray[np.int64]]]:
    count = len(seconds)

    def window(share: float) -> tuple[AssetFilter, slice]:
        first = count // 3
        last = first + max(int(count * share), _TOP)
        after, before = (_moment((seconds[at - 1] + seconds[at]) / 2) for at in (first, last))
        return AssetFilter(after=after, before=before), slice(first, last)

    return [
        ("everything", AssetFilter(), slice(0, count)),
        ("a window of 0.1", *window(0.1)),
        ("a window of 0.001", *window(0.001)),
        ("somebody who is in 0.001", AssetFilter(people=frozenset([person])), hers),
    ]


def _moment(second: float) -> datetime:
    return _START + timedelta(seconds=float(second))


def _quantiles(values: Floats) -> dict[str, float]:
    at = (0.01, 0.5, 0.99, 0.9999)
    return {str(q): round(float(np.quantile(values, q)), 3) for q in at}


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--vectors", type=int, default=100_000)
    arguments.add_argument("--probes", type=int, default=100)
    arguments.add_argument("--quick", action="store_true")
    given = arguments.parse_args()
    sizes = (12_000, 30) if given.quick else (given.vectors, given.probes)
    with tempfile.TemporaryDirectory(prefix="facewatch-search-") as folder:
        os.chmod(folder, 0o755)
        asyncio.run(measure(Path(folder), *sizes))


if __name__ == "__main__":
    main()
