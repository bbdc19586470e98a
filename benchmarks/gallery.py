"""What a gallery costs as it grows: searching it, holding it, starting with it, changing it.

Templates are drawn in clusters as those of SFace fall (the spectra between and within people are
those of LFW View 1, and so are the cosines: the first line shows them); two of an average person.
They go into an embedded Postgres with COPY. Then two processes follow one another, as two starts of
a service do: the first reads the table and keeps the gallery in its home, the second reads that,
is searched, and changes one face at a time. What it finds is held against all templates.

    .venv/bin/python benchmarks/gallery.py [--quick] [--templates N]

Sizes are 1,000, 10,000 and so on up to N, a million; with --quick 10,000 and 60,000. All take seven
minutes on a busy machine, and a million 4 GB of disk. Prints a JSON line a size, then a table;
milliseconds are medians.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import faiss
import numpy as np
from numpy.typing import NDArray
from similar import Generator, sizes_of_noise

from facewatch.cli.output import table
from facewatch.domain.ids import OrgId
from facewatch.gallery.live import HomeGalleries, LiveGallery
from facewatch.people.gallery import Galleries
from facewatch.store.database import connected, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.migrate import migrate
from facewatch.store.orgs import PostgresOrgs
from facewatch.store.people import PostgresPeople

_MODEL, _DIMENSIONS = "sface", 128
_BETWEEN, _WITHIN, _MEAN = (0.579, 1.7), (0.338, 1.4), 0.293
"""Sums of the variances, and how steeply they fall; length of the mean. Of LFW View 1."""
_CHUNK = 50_000
Floats = NDArray[np.float32]


# --- templates --------------------------------------------------------------------------------


def generator() -> Generator:
    rng = np.random.default_rng(0)

    def spread(total: float, steepness: float) -> Floats:
        falling = (1 - np.arange(_DIMENSIONS) / _DIMENSIONS) ** steepness
        turn = np.linalg.qr(rng.standard_normal((_DIMENSIONS, _DIMENSIONS)))[0]
        return np.asarray(np.sqrt(total * falling / falling.sum())[:, None] * turn, np.float32)

    mean = rng.standard_normal(_DIMENSIONS)
    mean = (mean / np.linalg.norm(mean) * _MEAN).astype(np.float32)
    return Generator(mean, spread(*_BETWEEN), spread(*_WITHIN))


def enrolled(count: int) -> tuple[Floats, NDArray[np.int64]]:
    """Templates, and the numbers of their people: half as many."""
    rng, draw = np.random.default_rng(1), generator()
    people, sizes = draw.people(rng, count // 2), sizes_of_noise(rng, count // 2)
    first = np.arange(count // 2)
    whose = np.concatenate([first, rng.integers(0, count // 2, count - len(first))])
    chunks = [whose[start : start + _CHUNK] for start in range(0, count, _CHUNK)]
    return np.concatenate([draw.looks(rng, people[it], sizes[it]) for it in chunks]), whose


def probes(count: int, each: int) -> Floats:
    """Looks at *each* of the people of `enrolled`, then at as many strangers."""
    rng, draw = np.random.default_rng(1), generator()
    people, sizes = draw.people(rng, count // 2), sizes_of_noise(rng, count // 2)
    rng = np.random.default_rng(2)
    some = rng.integers(0, count // 2, each)
    strangers = draw.people(rng, each), sizes_of_noise(rng, each)
    return np.concatenate([draw.looks(rng, people[some], sizes[some]), draw.looks(rng, *strangers)])


# --- into Postgres ----------------------------------------------------------------------------

_ROWS = """
INSERT INTO template (face, model, org, embedding)
SELECT face, {model}, '{org}', embedding FROM drawn;
INSERT INTO matchmaker (face, org, person, uploaded, revision_added)
SELECT face, '{org}', person, true, 1 FROM drawn;
DROP TABLE drawn;
"""


async def load(sql: asyncpg.Connection, org: OrgId, count: int) -> Floats:
    model = await sql.fetchval("SELECT register_model($1, $2)", _MODEL, _DIMENSIONS)
    templates, whose = enrolled(count)
    # whose faces and persons these are is checked by the tests, not here
    await sql.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    faces = _ids(np.random.default_rng(3), count)
    persons = _ids(np.random.default_rng(4), count // 2)[whose]
    for start in range(0, count, _CHUNK):
        some = slice(start, start + _CHUNK)
        await sql.execute("CREATE TEMP TABLE drawn (face uuid, person uuid, embedding vector)")
        rows = _binary(faces[some], persons[some], templates[some])
        await sql.copy_to_table("drawn", source=rows, format="binary")
        await sql.execute(_ROWS.format(org=org, model=model))
    await sql.execute("UPDATE gallery_revision SET revision = 1 WHERE org = $1", org)
    await sql.execute("ANALYZE")
    return templates


def _ids(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """(count, 16): version 7, dated a second apart, as enrolling makes them."""
    ids = rng.integers(0, 256, (count, 16), np.uint8)
    at = (1_700_000_000_000 + 1000 * np.arange(count, dtype=np.uint64)).astype(">u8")
    ids[:, :6] = at.view(np.uint8).reshape(count, 8)[:, 2:]
    ids[:, 6], ids[:, 8] = (ids[:, 6] & 0x0F) | 0x70, (ids[:, 8] & 0x3F) | 0x80
    return ids


async def _binary(faces: NDArray[np.uint8], persons: NDArray[np.uint8], templates: Floats) -> Any:
    """What COPY takes: fields with their lengths, all big-endian."""
    parts = [("fields", ">i2"), ("face_bytes", ">i4"), ("face", "u1", 16), ("person_bytes", ">i4")]
    parts += [("person", "u1", 16), ("vector_bytes", ">i4"), ("size", ">i2"), ("unused", ">i2")]
    rows = np.zeros(len(faces), [*parts, ("floats", ">f4", _DIMENSIONS)])
    rows["fields"], rows["face_bytes"], rows["person_bytes"] = 3, 16, 16
    rows["face"], rows["person"], rows["floats"] = faces, persons, templates
    rows["vector_bytes"], rows["size"] = 4 + 4 * _DIMENSIONS, _DIMENSIONS
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8) + rows.tobytes() + b"\xff\xff"


# --- a process that holds it ------------------------------------------------------------------


async def hold(dsn: str, folder: Path, count: int, again: bool) -> dict[str, Any]:
    """Start with the gallery; when *again*, from what is kept, and measure it."""
    async with open_database(dsn) as database:
        org = await database.default_org()
        gallery = LiveGallery(_DIMENSIONS, _MODEL, folder)
        galleries = Galleries(
            *(gallery, {}, PostgresPeople(database), PostgresOrgs(database), _MODEL),
            kept=HomeGalleries(folder),
        )
        before, start = _memory("VmRSS"), time.perf_counter()
        await galleries.catch_up()
        ready_s = time.perf_counter() - start
        if not again:
            await galleries.keep_outgrown()
            kept_s = time.perf_counter() - start - ready_s
            return {"first_s": ready_s, "written_s": kept_s, "first_peak_mib": _memory("VmHWM")}
        peak = _memory("VmHWM")  # before the probes: drawing them takes more than the gallery
        asked = probes(count, 500)
        found = [gallery.search(org, it, 5) for it in asked]
        said: dict[str, Any] = {
            "ready_s": ready_s,
            "search_ms": _median_ms(
                lambda at: gallery.resembling(org, asked[at : at + 1], 5), range(40, 80)
            ),
        }
        said["of_16_ms"] = (
            _median_ms(
                lambda at: gallery.resembling(org, asked[at : at + 16], 5), range(0, 160, 16)
            )
            / 16
        )
        said["mib"] = _memory("VmRSS") - before
        said |= await _changes(database.listen, galleries, dsn, org)
        said["peak_mib"], said["process_mib"] = peak, _memory("VmRSS")
        said["found"] = [[str(hit.face) for hit in hits] for hits in found]
        return said


async def _changes(listen: Any, galleries: Galleries, dsn: str, org: OrgId) -> dict[str, float]:
    """From the commit to being in force: one face that comes, one that goes."""
    come, go = [], []
    async with connected(dsn) as sql:
        await sql.execute("SET session_replication_role = replica")
        model = await sql.fetchval("SELECT id FROM model WHERE name = $1", _MODEL)
        for _ in range(12):
            face = await sql.fetchval(
                "INSERT INTO matchmaker (face, org, person, uploaded, revision_added) SELECT"
                " gen_random_uuid(), $1, gen_random_uuid(), true, revision + 1"
                " FROM gallery_revision WHERE org = $1 RETURNING face",
                org,
            )
            await sql.execute(
                "INSERT INTO template SELECT $1, $2, $3, embedding FROM template LIMIT 1",
                *(face, model, org),
            )
            come.append(await _in_force(sql, galleries, org))
            await sql.execute(
                "UPDATE matchmaker SET revision_removed = g.revision + 1"
                " FROM gallery_revision g WHERE g.org = $1 AND face = $2",
                org,
                face,
            )
            await sql.execute("DELETE FROM template WHERE face = $1", face)
            go.append(await _in_force(sql, galleries, org))
    return {"add_ms": statistics.median(come), "remove_ms": statistics.median(go)}


async def _in_force(sql: asyncpg.Connection, galleries: Galleries, org: OrgId) -> float:
    await sql.execute("UPDATE gallery_revision SET revision = revision + 1 WHERE org = $1", org)
    start = time.perf_counter()
    assert await galleries.catch_up(org) == [org]
    return (time.perf_counter() - start) * 1000


def _median_ms(ask: Any, places: range) -> float:
    took = []
    for at in places:
        start = time.perf_counter()
        ask(at)
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)


def _memory(what: str) -> float:
    """MiB of this process; VmHWM is the most that it ever held."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {what} in /proc/self/status")


# --- the whole --------------------------------------------------------------------------------


async def measure(home: Path, count: int) -> dict[str, Any]:
    async with embedded_postgres(home) as dsn:
        await migrate(dsn)
        async with open_database(dsn) as database, connected(dsn) as sql:
            templates = await load(sql, await database.default_org(), count)
        first, second = [await _process(dsn, home / "gallery", count, it) for it in (False, True)]
    found = second.pop("found")
    asked = probes(count, 500)
    start = time.perf_counter()
    _, exact = faiss.knn(asked, templates, 5, metric=faiss.METRIC_INNER_PRODUCT)
    exact_ms = (time.perf_counter() - start) * 1000 / len(asked)
    faces = [UUID(bytes=it.tobytes()) for it in _ids(np.random.default_rng(3), count)]
    same = [[str(faces[at]) for at in row] == hits for row, hits in zip(exact, found, strict=True)]
    top = [str(faces[row[0]]) == hits[0] for row, hits in zip(exact, found, strict=True)]
    said = {"templates": count, **first, **second, "exact_of_1000_ms": exact_ms}
    said |= {"recall_1": float(np.mean(top)), "same_five": float(np.mean(same))}
    return {name: round(it, 4 if it < 10 else 1) for name, it in said.items()}


async def _process(dsn: str, folder: Path, count: int, again: bool) -> dict[str, Any]:
    command = [sys.executable, __file__, "--hold", dsn, str(folder), str(count), str(int(again))]
    done = await asyncio.to_thread(subprocess.run, command, check=True, stdout=subprocess.PIPE)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def likeness() -> dict[str, list[float]]:
    """Quantiles of cosines of strangers, and of two looks at one person."""
    templates, whose = enrolled(6000)
    cosines = templates @ templates.T
    upper = np.triu_indices(len(templates), 1)
    same = (whose[:, None] == whose[None])[upper]
    return {
        "strangers": _quantiles(cosines[upper][~same], [0.5, 0.99, 0.9999]),
        "one_person": _quantiles(cosines[upper][same], [0.05, 0.25, 0.5]),
    }


def _quantiles(values: Floats, at: list[float]) -> list[float]:
    return [round(float(it), 3) for it in np.quantile(values, at)]


def sizes(least: int, most: int) -> Iterator[int]:
    size = least
    while size < most:
        yield size
        size *= 10
    yield most


_SHOWN = ("search_ms", "of_16_ms", "mib", "ready_s", "add_ms", "remove_ms", "recall_1", "same_five")


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--templates", type=int)
    arguments.add_argument("--hold", nargs=4, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.hold:
        dsn, folder, count, again = given.hold
        said = asyncio.run(hold(dsn, Path(folder), int(count), again == "1"))
        print(json.dumps(said))
        return
    print(json.dumps({"benchmark": "gallery", "what": "cosines", **likeness()}), flush=True)
    rows = []
    least, most = (10_000, 60_000) if given.quick else (1_000, 1_000_000)
    for size in sizes(least, given.templates or most):
        with tempfile.TemporaryDirectory(prefix="facewatch-gallery-") as home:
            os.chmod(home, 0o755)
            measured = asyncio.run(measure(Path(home), size))
        load = round(os.getloadavg()[0], 1)
        print(json.dumps({"benchmark": "gallery", **measured, "load": load}), flush=True)
        rows.append([f"{size:,}", *(measured[name] for name in _SHOWN)])
    table(["templates", *_SHOWN], rows)


if __name__ == "__main__":
    main()
