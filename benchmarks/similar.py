"""How fast, and how completely, `findSimilarFaceEvents` finds among many templates.

Templates are drawn by a generator that is fitted to real ones: the LFW View 1 pictures, embedded by
our own engine. A person is a point of a normal distribution (covariance between people), a look is
that point with noise (covariance within a person) whose size differs from person to person and from
look to look; then it is scaled to unit length. How many visits a person has is lognormal. The first
line compares cosines of drawn and real pairs; stop reading if they differ.

Then that many visits go into an embedded Postgres with COPY, and pages of ten are asked for over
`PostgresSimilarEvents`, as the API asks: what is found is held against every template in memory.
`--hnsw` builds pgvector's index on the same rows and measures what it would find.

    .venv/bin/python benchmarks/similar.py [--quick] [--templates 1000000] [--probes 40] [--hnsw]

Prints JSON lines. One million takes about 2 GB of disk and memory, and two minutes (ten more with
--hnsw). Wants ../shared/data/lfw-view1 and the models of `facewatch models fetch`.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray
from shared import SHARED, needed

from facewatch.domain.events import EventFilter, Likeness
from facewatch.domain.ids import OrgId
from facewatch.settings import load_for_process
from facewatch.store.database import Database, connected, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents, spelled
from facewatch.store.migrate import migrate
from facewatch.store.similar import PostgresSimilarEvents
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import decode
from facewatch.vision.registry import card
from facewatch.vision.runtime import Runtime

_LFW = SHARED / "lfw-view1" / "images"
_MODEL = "sface"
_PERSON_SPREAD, _LOOK_SPREAD = 0.2, 0.1  # of ln(size of the noise); chosen on the quantiles below
_CHUNK = 50_000
_START = datetime(2025, 1, 1, tzinfo=UTC)
_STEP_MS = 30_000
Floats = NDArray[np.float32]


# --- real templates, and others like them -----------------------------------------------------


def real_templates(engine: FaceEngine, most: int | None = None) -> tuple[Floats, NDArray[np.str_]]:
    """One of each LFW picture, of the face in its middle, and whose it is; of the first *most*."""
    templates, people = [], []
    for path in sorted(_LFW.rglob("*.jpg"))[:most]:
        picture = decode(path.read_bytes(), path.name)
        faces = engine.detect([picture])[0]
        if not faces:
            continue
        middle = min(
            faces,
            key=lambda f: (
                abs(f.box.left + f.box.right - picture.width)
                + abs(f.box.top + f.box.bottom - picture.height)
            ),
        )
        templates.append(engine.embed([engine.align(picture, middle.landmarks)])[0])
        people.append(path.parent.name)
    return np.array(templates), np.array(people)


@dataclass(frozen=True)
class Generator:
    """Draws people and their looks.

    Attributes:
        between, within: (d, d); times a row of standard normal numbers they give a deviation.
    """

    mean: Floats
    between: Floats
    within: Floats

    @classmethod
    def fitted(cls, templates: Floats, people: NDArray[np.str_]) -> "Generator":
        _, whose, counts = np.unique(people, return_inverse=True, return_counts=True)
        sums = np.zeros((len(counts), templates.shape[1]))
        np.add.at(sums, whose, templates)
        means = sums / counts[:, None]
        several = counts[whose] > 1
        unbiased = np.sqrt(counts / np.maximum(counts - 1, 1))[whose, None]
        noise = ((templates - means[whose]) * unbiased)[several]
        within = noise.T @ noise / len(noise)
        around = means - means.mean(0)
        between = around.T @ around / len(around) - within * np.mean(1 / counts)
        return cls(means.mean(0).astype(np.float32), _root(between), _root(within))

    def people(self, rng: np.random.Generator, count: int) -> Floats:
        drawn = rng.standard_normal((count, len(self.mean)), np.float32)
        return np.asarray(self.mean + drawn @ self.between)

    def looks(self, rng: np.random.Generator, people: Floats, sizes: Floats) -> Floats:
        """One of each row of *people*; *sizes* are those of a person's noise."""
        spread = np.exp(_LOOK_SPREAD * rng.standard_normal((len(people), 1), np.float32))
        noise = rng.standard_normal(people.shape, np.float32) @ self.within
        looks = people + sizes[:, None] * spread * noise
        return np.asarray(looks / np.linalg.norm(looks, axis=1, keepdims=True))


def sizes_of_noise(rng: np.random.Generator, people: int) -> Floats:
    """Of each person, so that the mean square over all looks is one."""
    drawn = rng.standard_normal(people, np.float32)
    return np.asarray(np.exp(_PERSON_SPREAD * drawn - _PERSON_SPREAD**2 - _LOOK_SPREAD**2))


def _root(covariance: NDArray[np.float64]) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))).T, np.float32)


def likeness_of_cosines(
    generator: Generator, templates: Floats, people: NDArray[np.str_]
) -> dict[str, Any]:
    """Quantiles of cosines: of one person and of strangers, real and drawn."""
    upper = np.triu_indices(len(templates), 1)
    same = (people[:, None] == people[None])[upper]
    cosines = (templates @ templates.T)[upper]
    rng = np.random.default_rng(1)
    sizes = sizes_of_noise(rng, 3000)
    faces = generator.people(rng, 3000)
    first, second = (generator.looks(rng, faces, sizes) for _ in range(2))
    strangers = (first @ first.T)[np.triu_indices(len(first), 1)]
    genuine, impostor = (
        [0.01, 0.05, 0.25, 0.5, 0.75, 0.95],
        [0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999],
    )
    return {
        "pairs_of_one_person": int(same.sum()),
        "quantiles": genuine,
        "one_person_real": _quantiles(cosines[same], genuine),
        "one_person_drawn": _quantiles((first * second).sum(1), genuine),
        "stranger_quantiles": impostor,
        "strangers_real": _quantiles(cosines[~same], impostor),
        "strangers_drawn": _quantiles(strangers, impostor),
    }


def _quantiles(values: Floats, at: list[float]) -> list[float]:
    return [round(float(q), 3) for q in np.quantile(values, at)]


def drawn(generator: Generator, count: int) -> Iterator[Floats]:
    """*count* looks in the order of their visits, in chunks."""
    rng = np.random.default_rng(2)
    visits: list[int] = []
    while sum(visits) < count:
        visits += np.minimum(3000, np.ceil(np.exp(rng.normal(2, 1.3, 1000)))).astype(int).tolist()
    whose = rng.permutation(np.repeat(np.arange(len(visits)), visits))[:count]
    people, sizes = generator.people(rng, len(visits)), sizes_of_noise(rng, len(visits))
    for start in range(0, count, _CHUNK):
        some = whose[start : start + _CHUNK]
        yield generator.looks(rng, people[some], sizes[some])


# --- into Postgres ----------------------------------------------------------------------------


async def load(sql: asyncpg.Connection, org: OrgId, model: int, chunks: Iterator[Floats]) -> Floats:
    """Assets, faces, templates and events of *chunks*, as the service would have written them."""
    rng = np.random.default_rng(3)
    kept, start = [], 0
    # the rows of a million visits are checked by the tests, not by each of these inserts
    await sql.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for chunk in chunks:
        ids = _ids(rng, start, len(chunk))
        await sql.execute("CREATE TEMP TABLE drawn (id uuid, embedding vector)")
        await sql.copy_to_table("drawn", source=_binary(ids, chunk), format="binary")
        await sql.execute(_ROWS.format(org=org, model=model))
        kept.append(chunk)
        start += len(chunk)
    return np.concatenate(kept)


_ROWS = """
INSERT INTO template (face, model, org, embedding)
SELECT id, {model}, '{org}', embedding FROM drawn;
INSERT INTO visit_template (face, model, org, event, embedding)
SELECT id, {model}, '{org}', id, embedding::halfvec FROM drawn;
INSERT INTO face_event (
    id, version, closed, org, location, place, camera, first_seen, last_seen, best_at, time_source,
    looks, tracks, face, asset, has_template, quality, frame_key, thumbnail_key, look_keys,
    gallery_revision, retention)
SELECT id, 1, true, '{org}', '{org}', '{{}}', '{org}', now(), now(), now(), 'rtcp',
       10, 1, id, id, true, '{{0.9,0.8,0.7,0.6,0.95}}', 'frame', 'face', '{{}}', 0, 'unknown'
  FROM drawn;
DROP TABLE drawn;
"""


def _ids(rng: np.random.Generator, start: int, count: int) -> NDArray[np.uint8]:
    """(count, 16): UUIDv7 of one visit every half a minute."""
    first = int(_START.timestamp() * 1000)
    at = (first + (start + np.arange(count, dtype=np.uint64)) * _STEP_MS).astype(">u8")
    ids = rng.integers(0, 256, (count, 16), np.uint8)
    ids[:, :6] = at.view(np.uint8).reshape(count, 8)[:, 2:]
    ids[:, 6] = (ids[:, 6] & 0x0F) | 0x70
    ids[:, 8] = (ids[:, 8] & 0x3F) | 0x80
    return ids


async def _binary(ids: NDArray[np.uint8], templates: Floats) -> Any:
    """As COPY takes it: rows of a uuid and a vector."""
    size = templates.shape[1]
    id, vector = ("id", "u1", 16), ("vector", ">f4", size)
    head = [("fields", ">i2"), ("of_id", ">i4"), id, ("of_vector", ">i4")]
    rows = np.zeros(len(ids), [*head, ("dims", ">i2"), ("unused", ">i2"), vector])
    rows["fields"], rows["of_id"], rows["of_vector"] = 2, 16, 4 + 4 * size
    rows["id"], rows["dims"], rows["vector"] = ids, size, templates
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8)
    yield rows.tobytes()
    yield b"\xff\xff"


# --- measured ---------------------------------------------------------------------------------


async def searched(
    database: Database, org: OrgId, least: float, templates: Floats, probes: NDArray[np.int64]
) -> dict[str, Any]:
    """A first page of ten, and all that is found against all that there is."""
    similar = PostgresSimilarEvents(database, PostgresFaceEvents(database))
    took, shares, neighbours = [], [], []
    for probe in probes:
        like = Likeness(templates[probe], _MODEL, least)
        start = time.perf_counter()
        await similar.find(org, like, EventFilter(), 11)
        took.append((time.perf_counter() - start) * 1000)
        found = await similar.find(org, like, EventFilter(), len(templates))
        there = int((templates @ templates[probe] >= least).sum())
        shares.append(len(found) / there)
        neighbours.append(there)
    return {
        "found": round(float(np.mean(shares)), 4),
        "least_found": round(min(shares), 4),
        "neighbours_p50": int(np.median(neighbours)),
        "page_ms": _times(took),
    }


async def indexed(
    sql: asyncpg.Connection, least: float, templates: Floats, probes: NDArray[np.int64], model: int
) -> None:
    """What HNSW finds of them, walked from the nearest on until the first that is too far."""
    await sql.execute(
        "SET maintenance_work_mem = '1500MB'; SET max_parallel_maintenance_workers = 2"
    )
    table, size = f"visit_template_{model}", templates.shape[1]
    start = time.perf_counter()
    await sql.execute(
        f"CREATE INDEX near ON {table} USING hnsw"
        f" ((embedding::halfvec({size})) halfvec_cosine_ops)",
        timeout=7200,
    )
    built_s = time.perf_counter() - start
    mib = await sql.fetchval("SELECT pg_relation_size('near') >> 20")
    say(what="hnsw", build_s=round(built_s), memory="1500MB", workers=2, index_mib=mib)
    await sql.execute(
        "SET enable_seqscan = off; SET hnsw.iterative_scan = 'relaxed_order';"
        " SET hnsw.max_scan_tuples = 200000; SET work_mem = '64MB'"
    )
    nearest = (
        f"SELECT 1 - (embedding::halfvec({size}) <=> $1::text::halfvec({size})) AS similarity"
        f" FROM {table} ORDER BY embedding::halfvec({size}) <=> $1::text::halfvec({size})"
    )
    for ef in (40, 200, 400, 1000):
        await sql.execute(f"SET hnsw.ef_search = {ef}")
        took, shares = [], []
        for probe in probes:
            there = int((templates @ templates[probe] >= least).sum())
            begun, found = time.perf_counter(), 0
            async with sql.transaction():
                async for row in sql.cursor(nearest, spelled(templates[probe])):
                    if row["similarity"] < least:
                        break
                    found += 1
            took.append((time.perf_counter() - begun) * 1000)
            shares.append(found / there)
        say(what="hnsw", ef_search=ef, found=round(float(np.mean(shares)), 4), ms=_times(took))


def _times(took: list[float]) -> dict[str, float]:
    return {f"p{q}": round(float(np.percentile(took, q)), 1) for q in (50, 95, 99)}


def say(**what: Any) -> None:
    print(json.dumps(what | {"load": round(os.getloadavg()[0], 1)}), flush=True)


async def measure(home: Path, templates: int, probes: int, hnsw: bool, photos: int | None) -> None:
    engine = open_engine(
        load_for_process(None, {}).model_directory,
        embedder=_MODEL,
        runtime=Runtime(threads=os.cpu_count() or 1),
    )
    real, people = real_templates(engine, photos)
    generator = Generator.fitted(real, people)
    say(what="generator", **likeness_of_cosines(generator, real, people))
    calibration = card(_MODEL).calibration
    assert calibration is not None
    least = calibration.similarity(0.7, 0)
    async with embedded_postgres(home) as dsn:
        await migrate(dsn)
        async with open_database(dsn) as database, connected(dsn) as sql:
            org = await database.default_org()
            model = await sql.fetchval("SELECT register_model($1, $2)", _MODEL, real.shape[1])
            months = templates * _STEP_MS // (28 * 86_400_000) + 2
            for month in range(months):
                await sql.execute("SELECT make_month($1)", _START + timedelta(days=28 * month))
            start = time.perf_counter()
            kept = await load(sql, org, model, drawn(generator, templates))
            loaded_s = time.perf_counter() - start
            await sql.execute("VACUUM ANALYZE")
            mib = await sql.fetchval(f"SELECT pg_table_size('visit_template_{model}') >> 20")
            index = await sql.fetchval(f"SELECT pg_indexes_size('visit_template_{model}') >> 20")
            settings = {
                name: await sql.fetchval("SELECT current_setting($1)", name)
                for name in ("shared_buffers", "work_mem", "max_parallel_workers_per_gather")
            }
            chosen = np.random.default_rng(5).integers(0, len(kept), probes)
            say(
                what="loaded",
                templates=len(kept),
                seconds=round(loaded_s),
                table_mib=mib,
                index_mib=index,
                **settings,
            )
            await searched(database, org, least, kept, chosen[:5])  # warm
            say(what="exact", **await searched(database, org, least, kept, chosen))
            if hnsw:
                await indexed(sql, least, kept, chosen, model)


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--templates", type=int, default=1_000_000)
    arguments.add_argument("--probes", type=int, default=40)
    arguments.add_argument("--hnsw", action="store_true")
    arguments.add_argument("--quick", action="store_true", help="20,000 templates, few probes")
    given = arguments.parse_args()
    needed(_LFW)
    if given.quick:
        given.templates, given.probes = 20_000, 10
    photos = 600 if given.quick else None
    with tempfile.TemporaryDirectory(prefix="facewatch-similar-") as folder:
        os.chmod(folder, 0o755)
        asyncio.run(measure(Path(folder), given.templates, given.probes, given.hnsw, photos))


if __name__ == "__main__":
    main()
