"""/api/search and /api/assets over a socket: who is in which picture, and when."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from factories import LOCATION, NOON, ORG, a_face, a_record
from gumnut_api import done, face_id, face_of, person_id, refused, visit, visits, with_faces
from house_api import House, known, open_house

from facewatch.domain.events import EventRecord
from facewatch.domain.ids import new_id, to_prefixed, to_ruuid
from facewatch.store.blobs import LocalBlobs
from facewatch.store.database import Database
from facewatch.vision.pictures import JpegPngEncoder, header


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


def asset_of(record: EventRecord) -> str:
    return to_prefixed("asset", record.snapshot.id)


async def found(house: House, **params: Any) -> list[str]:
    page = await done(house, "GET", "search", params=params)
    assert all(it["distance"] is None for it in page["data"])
    return [it["asset"]["id"] for it in page["data"]]


async def together(house: House, *people: str) -> EventRecord:
    """A picture in which all of them are."""
    record = a_record(house.camera.id, closed=True)
    faces = [record.snapshot.faces[0], *(a_face(None) for _ in people[1:])]
    record = with_faces(record, *faces)
    await house.events.add([record])
    for person, face in zip(people, faces, strict=True):
        sent = {"person_id": person_id(known(person))}
        await done(house, "PATCH", f"faces/{face_id(face.id)}", json=sent)
    return record


async def test_a_whole_asset(house: House) -> None:
    await house.sql.execute(
        "UPDATE location SET time_zone = 'Asia/Kolkata' WHERE id = $1", LOCATION
    )
    ann = await house.person("Ann")
    record = await visit(house, ann)

    asset = await done(house, "GET", f"assets/{asset_of(record)}")

    assert [it["id"] for it in asset["faces"]] == [face_of(record)]
    assert [(it["id"], it["name"]) for it in asset["people"]] == [(person_id(known(ann)), "Ann")]
    assert (asset["width"], asset["height"], asset["file_size_bytes"]) == (1280, 720, 60_000)
    assert asset["local_datetime"] == "2026-11-21T17:30:00+05:30"
    assert asset["device_id"] == to_ruuid(house.camera.id)
    assert asset["checksum"] == "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    assert asset["metadata"]["timezone"] == "Asia/Kolkata"
    assert asset["metrics"] == {"best_face_score": pytest.approx(0.95)}
    assert asset["asset_urls"].keys() == {"thumbnail", "preview", "original"}
    searched = await done(
        house, "GET", "search", params={"person_ids": person_id(known(ann)), "threshold": 0.5}
    )
    shown = searched["data"][0]["asset"]
    assert shown.keys() == asset.keys()
    assert (shown["id"], searched["has_more"]) == (asset["id"], False)


async def test_the_variants_of_an_asset(house: House, tmp_path: Path) -> None:
    (record,) = await visits(house, 1)
    jpeg = JpegPngEncoder().jpeg(np.zeros((720, 1280, 3), np.uint8), 85)
    await LocalBlobs(tmp_path / "blobs").put(record.frame_key, jpeg, "image/jpeg")
    urls = (await done(house, "GET", f"assets/{asset_of(record)}"))["asset_urls"]

    async with aiohttp.ClientSession() as anybody:
        sizes = {}
        for variant, shown in urls.items():
            async with anybody.get(shown["url"]) as answer:
                assert (answer.status, answer.content_type) == (200, shown["mimetype"])
                body = await answer.read()
            sizes[variant] = header(body).width
            assert sizes[variant] == shown["width"]
            for other in urls.keys() - {variant}:
                async with anybody.get(shown["url"].replace(variant, other)) as answer:
                    assert answer.status == 401
        assert sizes == {"thumbnail": 320, "preview": 1280, "original": 1280}
        await house.events.remove(ORG, record.id)
        async with anybody.get(urls["original"]["url"]) as answer:
            assert answer.status == 404


async def test_pictures_in_which_all_of_them_are(house: House) -> None:
    ann, bob, cy = [await house.person(name) for name in ("Ann", "Bob", "Cy")]
    both = await together(house, ann, bob)
    alone = await together(house, ann)
    hers, his = person_id(known(ann)), person_id(known(bob))

    assert set(await found(house, person_ids=hers)) == {asset_of(both), asset_of(alone)}
    assert await found(house, person_ids=f"{hers},{his}") == [asset_of(both)]
    assert await found(house, person_ids=[hers, his, hers]) == [asset_of(both)]
    assert await found(house, person_ids=f"{hers},{person_id(known(cy))}") == []
    await house.done("POST", f"people/{ann}/merge", json={"others": [bob]})
    assert set(await found(house, person_ids=f"{hers},{his}")) == {asset_of(both), asset_of(alone)}


async def test_when_a_picture_was_captured(house: House) -> None:
    await house.sql.execute(
        "UPDATE location SET time_zone = 'Asia/Kolkata' WHERE id = $1", LOCATION
    )
    records = await visits(house, 3)  # at noon in UTC, half past five in the place
    newest_first = [asset_of(it) for it in reversed(records)]
    at = NOON + timedelta(seconds=1)

    async def since(after: str) -> list[str]:
        return await found(house, captured_after=after)

    assert await since(at.isoformat()) == newest_first[:1]
    assert await since("2026-11-21T17:30:01") == newest_first[:1]
    assert await since("2026-11-21T17:30:01+05:30") == newest_first[:1]
    assert await since("2026-11-21 12:00:01z") == newest_first[:1]
    assert await since("2026-11-21") == newest_first
    assert await found(house, captured_before=at.isoformat()) == newest_first[2:]
    window = {"captured_after": NOON.isoformat(), "captured_before": "2026-11-21T17:30:02"}
    assert await found(house, **window) == newest_first[1:2]
    assert await found(house, captured_before="0001-01-01T00:00:00") == []
    assert await found(house, captured_after="9999-12-31T23:59:59Z") == []


async def test_numbered_pages_are_exact(house: House) -> None:
    records = await visits(house, 7)
    until = (NOON + timedelta(seconds=6)).isoformat()
    pages = []
    for page in (1, 2, 3):
        pages += await found(house, captured_before=until, limit=2, page=page)
        await visits(house, 1, 10 + page)

    assert pages == [asset_of(it) for it in reversed(records[:6])]
    assert await found(house, captured_before=until, limit=2, page=4) == []
    assert await found(house, captured_before=until, page=10**30) == []


async def test_an_erased_asset_shows_no_pixels(house: House) -> None:
    ann = await house.person("Ann")
    record = await visit(house, ann)
    late = replace(a_record(house.camera.id), snapshot=record.snapshot, face=record.face)
    await house.events.add([late])
    await house.done("DELETE", f"people/{ann}")

    asset = await done(house, "GET", f"assets/{asset_of(record)}")

    assert asset["asset_urls"] is None
    assert asset["people"] == []


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({}, 400),
        ({"query": ""}, 400),
        ({"threshold": "0.5"}, 400),
        ({"query": "a beach"}, 422),
        ({"query": "😀" * 300}, 422),
        ({"captured_after": "2026-01-01", "page": "0"}, 422),
        ({"captured_after": "2026-01-01", "limit": "0"}, 422),
        ({"captured_after": "2026-01-01", "limit": "201"}, 422),
        ({"captured_after": "2026-01-01", "threshold": "2"}, 422),
        ({"captured_after": "2026-01-01", "threshold": "nan"}, 422),
        ({"captured_after": "yesterday"}, 422),
        ({"captured_after": "1700000000"}, 422),
        ({"captured_after": "0001-01-01T00:00:00+14:00"}, 422),
        ({"person_ids": "person_x"}, 404),
        ({"person_ids": to_prefixed("person", new_id())}, 404),
        ({"captured_after": "2026-01-01", "library_id": "lib_x"}, 404),
    ],
)
async def test_what_cannot_be_looked_for(house: House, params: dict[str, str], status: int) -> None:
    said, detail = await refused(house, "GET", "search", params=params)

    assert said == status
    assert detail


async def test_an_asset_that_is_not_there(house: House) -> None:
    for asset in (to_prefixed("asset", new_id()), "asset_x", "face_x"):
        assert (await refused(house, "GET", f"assets/{asset}"))[0] == 404
