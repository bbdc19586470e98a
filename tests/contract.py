"""schemathesis against a running service: `python tests/contract.py --examples 100`.

`rhombus`, `ours` or `house` behind it runs that document alone, `--only REGEX` these paths. Prints
one line of JSON for each operation of each run: how its calls ended, and which share was a success;
schemathesis' own reports go to stderr.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from factories import (
    LOCATION,
    NOON,
    ORG,
    a_camera,
    a_decision,
    a_face,
    a_record,
    a_template,
    some_deps,
)
from homes import a_home

from facewatch.api.rhombus.embedding import Embedding
from facewatch.api.server import application, serving
from facewatch.domain.cameras import SuppressedRegion
from facewatch.domain.geometry import Box
from facewatch.domain.ids import RegionId, new_id, to_prefixed, to_ruuid
from facewatch.domain.keys import event_prefix
from facewatch.people.look import Looker
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.migrate import migrate
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault
from facewatch.vision.engine import open_engine
from facewatch.vision.pictures import JpegPngEncoder, decode, header

ROOT = Path(__file__).parents[1]
VENV = ROOT / ".venvs" / "contract" / "bin"
RHOMBUS = ROOT.parent / "shared" / "spec" / "rhombus-openapi.json"
MODELS, PHOTOS = ROOT / ".home" / "models", ROOT / ".home" / "test-photos"
OURS = "/api/openapi/public.json"
SHARE = 0.3
"""Of every operation's answers, so many at least are a 200 without error."""

_GUMNUT = "/api/(?:faces|people|assets|search)"
_UNFIT = {
    "rhombus": [
        "status_code_conformance",  # it declares only 200
        "positive_data_acceptance",  # it does not declare its bounds: pages of 1..1000
        "negative_data_rejection",  # we take more: null for an object, epoch milliseconds
    ],
    "ours": [],
    "house": [
        "positive_data_acceptance",  # what may not stand together is no matter of a schema
        "unsupported_method",  # cameras/probe is a camera's id to other methods
        "allow_header_conformance",
    ],
    "gumnut": [
        "positive_data_acceptance",  # nobody is merged into themselves, names are not blank
    ],
}


_SETTINGS = """
[phases.coverage.extra-data-sources]
responses = false
[phases.fuzzing.extra-data-sources]
responses = false
"""
"""Ids of earlier answers are few, and it tries none twice: what takes nothing but an id would be
asked a score of times. Ids come from `hooks.py`."""


async def ran(*words: object, **environment: str) -> str:
    """What a program printed that ended well."""
    process = await asyncio.create_subprocess_exec(
        *map(str, words), env={**os.environ, **environment}, stdout=PIPE, stderr=STDOUT
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@dataclass(frozen=True)
class Run:
    """What schemathesis found: its report, and how the calls of each operation ended."""

    passed: bool
    report: str
    counts: dict[str, dict[str, int]]

    def shares(self) -> dict[str, float]:
        """Of each operation, how many answers are as a caller likes them."""
        return {
            name: sum(n for how, n in ends.items() if how in ("200", "201", "204"))
            / sum(ends.values())
            for name, ends in self.counts.items()
        }

    def fitting(self) -> dict[str, float]:
        """The same, of the calls that fit the document alone."""
        fit = {
            name: {how: n for how, n in ends.items() if "negative" not in how}
            for name, ends in self.counts.items()
        }
        return replace(self, counts={name: ends for name, ends in fit.items() if ends}).shares()


@asynccontextmanager
async def stocked(
    database: Database, place: Path, models: Path, photos: Path, events: int
) -> AsyncIterator[dict[str, object]]:
    """A running service with many visits; what `hooks.py` wants to know of it."""
    deps = replace(some_deps(database, place), clock=lambda: datetime.now(UTC))
    camera = a_camera(url="rtsp://door/1")
    await PostgresCameras(database, Vault(place)).add(camera)
    still = [SuppressedRegion(RegionId(new_id()), Box(0, 0, 9, 9), NOON) for _ in range(events)]
    await deps.regions.keep(camera.id, still)
    ann = await PostgresPeople(database).create(ORG, "Ann")
    now = datetime.now(UTC)
    pixels = JpegPngEncoder().jpeg(np.full((120, 100, 3), 127, np.uint8), 85)
    records = []
    for index in range(events):
        at = now - timedelta(minutes=index + 1)
        record = a_record(camera.id, at, closed=True, decision=a_decision(ann.id))
        face = a_face(record.id, box=Box(101.0, 80.0, 161.0, 160.0))
        shown = replace(record.snapshot, faces=(face,))
        prefix = event_prefix(ORG, record.id, at)
        pictures = {"frame_key": f"{prefix}/1.jpg", "thumbnail_key": f"{prefix}/2.jpg"}
        records.append(replace(record, face=face.id, snapshot=shown, **pictures))
    for start in range(0, events, 200):
        part = records[start : start + 200]
        keys = [key for it in part for key in (it.frame_key, it.thumbnail_key, *it.look_keys)]
        await deps.blobs.put_all([(key, pixels, "image/jpeg") for key in keys])
        await PostgresFaceEvents(database).add(part)
    keys = PostgresKeys(database)
    operator, admin = [await keys.create(ORG, role, role) for role in ("operator", "admin")]
    engine = open_engine(models)
    with ThreadPoolExecutor(1) as eye, ThreadPoolExecutor(1) as hand:
        looker = Looker(engine, JpegPngEncoder(), header, decode, eye, hand)
        app = application(replace(deps, looker=looker))
        async with serving(app, "127.0.0.1", 0) as url:
            yield {
                "url": url,
                "operator": operator[1],
                "admin": admin[1],
                "our_keys": [to_ruuid(key.id) for key, _ in (operator, admin)],
                "events": [to_ruuid(it.id) for it in records],
                "pictures": [records[0].frame_key, records[0].thumbnail_key],
                "photo": str(photos / "astronaut.png"),
                "embedding": Embedding.of(a_template(), "sface", 0.9).model_dump(by_alias=True),
                "owner": to_ruuid(ann.id),
                "org": to_ruuid(ORG),
                "camera": to_ruuid(camera.id),
                "regions": [to_ruuid(it.id) for it in still],
                "asset": to_prefixed("asset", records[0].snapshot.id),
                "shown_faces": [to_prefixed("face", it.face) for it in reversed(records)],
                "location": to_ruuid(LOCATION),
            }


async def tried(
    stock: dict[str, object], name: str, examples: int, phases: str, only: str = ""
) -> Run:
    """What it finds in the run *name* with *examples* an operation, of paths like *only*."""
    document, secret, paths = runs(stock)[name]
    with tempfile.TemporaryDirectory() as folder:
        files = {"STOCK": Path(folder) / "stock.json", "COUNTS": Path(folder) / "counts.json"}
        files["STOCK"].write_text(json.dumps(stock))
        settings = Path(folder) / "schemathesis.toml"
        settings.write_text(_SETTINGS)
        process = await asyncio.create_subprocess_exec(
            *(VENV / "st", "--config-file", settings),
            *("run", document, "--url", stock["url"]),
            *("-H", f"x-auth-apikey: {secret}", "--include-path-regex", f"{paths}.*(?:{only})"),
            *("--max-examples", str(examples), "--seed", "1", "--no-color", "--no-shrink"),
            *("--phases", phases, "--checks", "all"),
            *("--continue-on-failure", "--generation-database", "none"),
            *(["--exclude-checks", ",".join(_UNFIT[name])] if _UNFIT[name] else []),
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT / "tests" / "oracle"),
                "SCHEMATHESIS_HOOKS": "hooks",
                **{f"FACEWATCH_{name}": str(path) for name, path in files.items()},
            },
            stdout=PIPE,
            stderr=STDOUT,
        )
        out, _ = await process.communicate()
        counts: dict[str, dict[str, int]] = defaultdict(dict)
        with contextlib.suppress(FileNotFoundError):
            for operation, mode, how, number in json.loads(files["COUNTS"].read_text()):
                counts[operation][how if mode == "positive" else f"{how} {mode}"] = number
        return Run(process.returncode == 0, out.decode(), dict(counts))


def runs(stock: dict[str, object]) -> dict[str, tuple[str, str, str]]:
    """What is tried: a document, whose key it is asked with, and how the paths begin."""
    operator, admin = str(stock["operator"]), str(stock["admin"])
    ours = f"{stock['url']}{OURS}"
    return {
        "rhombus": (str(RHOMBUS), operator, "^"),
        "ours": (ours, operator, f"^(?!/api/v1/|/media/signed/|{_GUMNUT})"),
        "gumnut": (ours, operator, f"^(?={_GUMNUT})"),
        "house": (ours, admin, "^(?=/api/v1/)"),
    }


async def main(examples: int, phases: str, only: str, which: list[str]) -> int:
    bad = False
    with a_home() as home, tempfile.TemporaryDirectory() as place:
        async with embedded_postgres(home) as dsn:
            await migrate(dsn)
            async with (
                open_database(dsn) as database,
                stocked(database, Path(place), MODELS, PHOTOS, 60 * examples + 200) as stock,
            ):
                for name in which:
                    run = await tried(stock, name, examples, phases, only)
                    print(run.report, file=sys.stderr)
                    for operation, share in run.shares().items():
                        ends = run.counts[operation]
                        print(
                            json.dumps(
                                {
                                    "run": name,
                                    "operation": operation,
                                    "share": round(share, 2),
                                    "fitting": round(run.fitting().get(operation, 0), 2),
                                    **ends,
                                }
                            )
                        )
                    # lists of many filters are asked far more that does not fit than that does
                    shares = run.fitting() if name == "gumnut" else run.shares()
                    bad = bad or not run.passed or min(shares.values(), default=0) < SHARE
    return int(bad)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--phases", default="examples,coverage,fuzzing")
    parser.add_argument(
        "--only", default="", help="a regular expression: of the operations these paths"
    )
    parser.add_argument("which", nargs="*", default=["rhombus", "ours", "house", "gumnut"])
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.examples, given.phases, given.only, given.which)))
