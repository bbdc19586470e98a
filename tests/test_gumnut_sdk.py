"""Gumnut's own SDK over recorded events: of the contract's days, strictly, and the newest."""

import asyncio
import base64
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import ORG, a_template, turned
from gumnut_api import done, face_id, face_of, far, middle, person_id, visit, visits
from house_api import House, known, open_house

from facewatch.domain.ids import PersonId, new_id, to_prefixed, to_ruuid
from facewatch.store.blobs import LocalBlobs
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys
from facewatch.vision.pictures import JpegPngEncoder

ROOT = Path(__file__).parents[1]
CALLS = ROOT / "tests" / "oracle" / "gumnut_calls.py"


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


async def called(version: str, there: dict[str, Any]) -> Any:
    python = ROOT / ".venvs" / f"gumnut-{version}" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no .venvs/gumnut-{version}: run tests/oracle/make_gumnut.sh")
    process = await asyncio.create_subprocess_exec(python, CALLS, stdin=PIPE, stdout=PIPE)
    out, _ = await process.communicate(json.dumps(there).encode() + b"\n")
    assert process.returncode == 0
    return json.loads(out)


@pytest.mark.parametrize(("version", "strict"), [("0.85.0", True), ("0.178.0", False)])
async def test_the_sdk_makes_every_call(
    house: House, tmp_path: Path, version: str, strict: bool
) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    unnamed = PersonId(new_id())
    await house.sql.execute("INSERT INTO person (id, org) VALUES ($1, $2)", unnamed, ORG)
    probe, second = a_template(1), turned(a_template(1), 0.9, 1)
    record = await visit(house, ann, template=probe)
    await LocalBlobs(tmp_path / "blobs").put(record.thumbnail_key, b"her face", "image/jpeg")
    await visit(house, ann, template=second)
    await house.enrolled(bob, template=turned(probe, 0.5, 2))
    await visit(house, to_ruuid(unnamed), template=turned(probe, 0.3, 3))
    (other,) = await visits(house, 1)
    recorded = [record, other, *await visits(house, 10, 1)]
    _, viewer = await PostgresKeys(house.database).create(ORG, "eyes", "viewer")
    there = {
        "url": str(house.client._base_url),
        "key": house.client.headers["x-auth-apikey"],
        "viewer": viewer,
        "strict": strict,
        "library": to_prefixed("lib", ORG),
        "face": face_of(record),
        "asset": to_prefixed("asset", record.snapshot.id),
        "other": face_of(other),
        "ann": person_id(known(ann)),
        "bob": person_id(known(bob)),
        "unnamed": person_id(unnamed),
        "picture": base64.b64encode(JpegPngEncoder().png(np.zeros((48, 64, 3), np.uint8))).decode(),
    }
    going = asyncio.create_task(recording(house))

    said = await called(version, there)

    going.cancel()
    await asyncio.wait([going])
    assert said["distance"] == pytest.approx(far(probe, middle(probe, second)), abs=1e-5)
    whole = {face_id(face.id) for it in recorded for face in it.snapshot.faces}
    assert len(said["walked"]) == len(set(said["walked"]))
    assert whole <= set(said["walked"])
    pictures = {to_prefixed("asset", it.snapshot.id) for it in recorded}
    assert len(said["walked_assets"]) == len(set(said["walked_assets"]))
    assert pictures <= set(said["walked_assets"])
    assert (await done(house, "GET", f"people/{said['merged']}"))["name"] == "Bob"
    assert len(said["found"]) == 2


async def recording(house: House) -> None:
    """Visits keep coming, as many as a busy door has."""
    for number in range(1000, 2000):
        await visits(house, 1, number)
        await asyncio.sleep(0.05)
