"""/api/assets over a socket: lists of pictures, walked while new ones come."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import LOCATION, NOON, ORG
from gumnut_api import done, person_id, refused, visit, visits
from house_api import House, known, open_house

from facewatch.domain.events import EventRecord
from facewatch.domain.ids import new_id, to_prefixed
from facewatch.store.database import Database


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


def asset_of(record: EventRecord) -> str:
    return to_prefixed("asset", record.snapshot.id)


async def walked(house: House, **params: Any) -> list[str]:
    """Every id of the list, page by page."""
    found: list[str] = []
    while len(found) < 200:
        page = await done(house, "GET", "assets", params=params)
        found += [it["id"] for it in page["data"]]
        if not page["has_more"]:
            break
        params["starting_after_id"] = found[-1]
    return found


async def test_assets_come_newest_capture_first_or_oldest(house: House) -> None:
    there = [asset_of(it) for it in await visits(house, 5)]

    assert await walked(house, limit=2) == there[::-1]
    assert await walked(house, limit=2, order="asc") == there
    assert await walked(house, media_type="image") == there[::-1]
    assert await walked(house, media_type="video") == []
    assert await walked(house, state="all") == there[::-1]
    assert await walked(house, state="trashed") == []


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_walk_meets_every_asset_once_while_events_come(house: House, order: str) -> None:
    there = {asset_of(it) for it in await visits(house, 20)}
    going = True

    async def recording() -> None:
        number = 100
        while going:
            await visits(house, 2, number)
            number += 2

    recorder = asyncio.create_task(recording())
    found: list[str] = []
    params: dict[str, Any] = {"limit": 3, "order": order}
    async with asyncio.timeout(20):
        while len(found) < 21:
            page = await done(house, "GET", "assets", params=params)
            found += [it["id"] for it in page["data"]]
            params["starting_after_id"] = found[-1]
            if not page["has_more"]:
                break
    going = False
    await recorder
    found += await walked(house, **params)

    assert len(found) == len(set(found))
    assert there <= set(found)


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_walk_goes_on_behind_an_asset_that_is_gone(house: House, order: str) -> None:
    records = await visits(house, 6)
    first = await done(house, "GET", "assets", params={"limit": 3, "order": order})
    last = first["data"][-1]["id"]
    gone = next(it for it in records if asset_of(it) == last)
    await house.events.remove(ORG, gone.id)

    rest = await walked(house, limit=2, order=order, starting_after_id=last)

    assert len(rest) == 3
    assert {*rest, *(it["id"] for it in first["data"])} == {asset_of(it) for it in records}


async def test_the_filters_of_a_list(house: House) -> None:
    await house.sql.execute(
        "UPDATE location SET time_zone = 'Asia/Kolkata' WHERE id = $1", LOCATION
    )
    ann, bob = await house.person("Ann"), await house.person("Bob")
    hers, his = await visit(house, ann), await visit(house, bob)
    first, second, third = await visits(house, 3, 60)
    people = {name: person_id(known(who)) for name, who in (("ann", ann), ("bob", bob))}

    assert await walked(house, person_id=people["ann"]) == [asset_of(hers)]
    assert await walked(house, person_ids=[*people.values()]) == []
    assert await walked(house, person_id=people["ann"], person_ids=people["ann"], limit=1) == (
        [asset_of(hers)]
    )
    ids = [asset_of(second), asset_of(his), to_prefixed("asset", new_id())]
    assert await walked(house, ids=ids, limit=1) == [asset_of(second), asset_of(his)]
    assert await walked(house, ids=",".join(ids), order="asc") == [asset_of(his), asset_of(second)]
    assert await walked(house, ids=ids, person_id=people["bob"]) == [asset_of(his)]
    at = (NOON + timedelta(seconds=61)).isoformat()
    assert await walked(house, local_datetime_after=at) == [asset_of(third)]
    assert await walked(house, local_datetime_after="2026-11-21T17:31:01") == [asset_of(third)]
    window = {"local_datetime_after": NOON.isoformat(), "local_datetime_before": at}
    assert await walked(house, **window) == [asset_of(first)]
    assert await walked(house, local_datetime_before="0001-01-01T00:00:00") == []
    assert await walked(house, local_datetime_after="9999-12-31T23:59:59Z") == []


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"limit": "0"}, 422),
        ({"limit": "201"}, 422),
        ({"include": "everything"}, 422),
        ({"media_type": "sound"}, 422),
        ({"order": "best"}, 422),
        ({"state": "lost"}, 422),
        ({"local_datetime_after": "yesterday"}, 422),
        ({"ids": ["asset_x"]}, 404),
        ({"ids": [to_prefixed("asset", new_id())] * 201}, 422),
        ({"person_id": to_prefixed("person", new_id())}, 404),
        ({"person_id": "face_x"}, 404),
        ({"album_id": to_prefixed("album", new_id())}, 404),
        ({"library_id": to_prefixed("lib", new_id())}, 404),
        ({"starting_after_id": "asset_x"}, 404),
    ],
)
async def test_what_cannot_be_listed(house: House, params: dict[str, Any], status: int) -> None:
    said, detail = await refused(house, "GET", "assets", params=params)

    assert said == status
    assert detail


async def test_ids_of_what_was_deleted_are_404_wherever_they_stand(house: House) -> None:
    ann = await house.person("Ann")
    record = await visit(house, ann)
    ids = {"person_id": person_id(known(ann)), "asset_id": asset_of(record)}
    await done(house, "DELETE", f"assets/{ids['asset_id']}")
    await done(house, "DELETE", f"people/{ids['person_id']}")

    for method, path in (("GET", "assets"), ("DELETE", "assets"), ("GET", "people")):
        gone = ids["person_id" if path == "people" else "asset_id"]
        assert (await refused(house, method, f"{path}/{gone}"))[0] == 404
    for path, params in (
        ("faces", {"asset_id": ids["asset_id"]}),
        ("faces", {"person_id": ids["person_id"]}),
        ("people", {"asset_id": ids["asset_id"]}),
        ("assets", {"person_id": ids["person_id"]}),
        ("search", {"person_ids": ids["person_id"]}),
    ):
        assert (await refused(house, "GET", path, params=params))[0] == 404, (path, params)
    for path, name in (("assets", "asset_id"), ("people", "person_id")):
        assert (await done(house, "GET", path, params={"ids": ids[name]}))["data"] == []


async def test_what_one_asset_can_show_beside_the_rest(house: House) -> None:
    (record,) = await visits(house, 1)
    path = f"assets/{asset_of(record)}"

    asked = await done(house, "GET", path, params={"include": "faces,file_data,variants"})

    assert asked["file_data"]["checksum"] == asked["checksum"]
    status, detail = await refused(house, "GET", path, params={"include": "faces,cats"})
    assert (status, detail[0]["loc"]) == (422, ["query", "include", 1])


async def test_somebody_answers_without_a_key(house: House) -> None:
    async with house.client.get("/api/server/ping", headers={"x-auth-apikey": ""}) as answer:
        assert (answer.status, await answer.text()) == (200, "pong")


async def test_a_list_reads_no_more_than_its_page(house: House) -> None:
    await visits(house, 3)
    await house.sql.execute("ANALYZE asset")
    first, last = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
    given = {"org": ORG, "limit": 5, "from_id": first, "to_id": last, "is_clip": None}
    given |= {"from_at": NOON - timedelta(days=1), "to_at": NOON + timedelta(days=1)}
    given |= dict.fromkeys(("after", "before", "after_wall", "before_wall"))
    for name in ("asset_page", "asset_page_oldest"):
        statement = house.database._statements[name]
        async with house.sql.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            plan = await connection.fetch(f"EXPLAIN {statement.sql}", *statement.arguments(given))
        text = "\n".join(row[0] for row in plan)
        assert "using asset_org" in text, text
        assert "Sort" not in text, text
