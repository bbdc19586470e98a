"""Exporting face events as CSV, over a real socket and a real Postgres."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from factories import NOON, ORG, a_camera, a_decision, a_record, some_deps

from facewatch.api.server import application, serving
from facewatch.domain.events import EventFilter, FaceEvent
from facewatch.domain.ids import CameraId, EventId, OrgId, new_id, to_ruuid
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, connected
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault

EXPORT = "/api/faceRecognition/faceEvent/exportFaceEventsByOrg"


class CountedEvents(PostgresFaceEvents):
    """Counts the pages that it was asked for, and gives those behind the first while it may."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.later_pages = 0
        self.open = asyncio.Event()
        self.open.set()

    async def find(
        self, org: OrgId, wanted: EventFilter, limit: int, before: EventId | None = None
    ) -> list[FaceEvent]:
        if before is not None:
            self.later_pages += 1
            await self.open.wait()
        return await super().find(org, wanted, limit, before)


@dataclass
class House:
    client: aiohttp.ClientSession
    events: CountedEvents
    people: PostgresPeople
    camera: CameraId

    async def rows(self, **searched: Any) -> list[dict[str, str]]:
        async with self.client.post(EXPORT, json={"searchFilter": searched}) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/csv; charset=UTF-8"
            return list(csv.DictReader(io.StringIO((await answer.read()).decode(), newline="")))

    async def seen(self, count: int, at: datetime = NOON - timedelta(hours=1)) -> list[str]:
        """The ids of *count* visits, the newest first."""
        records = [
            a_record(self.camera, at - timedelta(seconds=n), decision=None) for n in range(count)
        ]
        for start in range(0, count, 500):
            await self.events.add(records[start : start + 500])
        return [to_ruuid(record.id) for record in records]


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    await PostgresCameras(database, Vault(tmp_path)).add(camera := a_camera())
    events = CountedEvents(database)
    deps = some_deps(database, tmp_path, events=events)
    _, secret = await deps.keys.create(ORG, "tests", "viewer")
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        yield House(client, events, PostgresPeople(database), camera.id)


async def test_every_event_of_the_week_is_a_row_newest_first(house: House) -> None:
    ids = await house.seen(1_203)
    await house.seen(3, at=NOON - timedelta(days=8))

    assert [row["uuid"] for row in await house.rows()] == ids


async def test_a_filter_and_a_window_narrow_it_as_they_do_the_list(house: House) -> None:
    await house.seen(2)
    old = await house.seen(2, at=NOON - timedelta(days=40))

    window = {"rangeEnd": (NOON - timedelta(days=39)).isoformat()}
    assert [row["uuid"] for row in await house.rows(timestampFilter=window)] == old
    assert await house.rows(deviceUuids=["nobody's"]) == []
    assert len(await house.rows(hasName=False)) == 2


@pytest.mark.parametrize(
    "name", ["=1+cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1"]
)  # fmt: skip
async def test_a_name_is_no_formula(house: House, name: str) -> None:
    person = await house.people.create(ORG, name)
    record = a_record(house.camera, NOON - timedelta(hours=1), decision=a_decision(person.id))
    await house.events.add([record])

    [row] = await house.rows()

    assert row["faceName"] == f"'{person.name}"
    assert row["personUuid"] == to_ruuid(person.id)
    assert float(row["matchConfidence"]) == pytest.approx(0.93)


async def test_a_name_keeps_its_commas_quotes_and_lines(house: House) -> None:
    person = await house.people.create(ORG, 'Ann "the\nlobby", née Ó')
    record = a_record(house.camera, NOON - timedelta(hours=1), decision=a_decision(person.id))
    await house.events.add([record])

    [row] = await house.rows()

    assert row["faceName"] == person.name
    assert row["eventTime"] == "2026-11-21T11:00:00.000+00:00"
    assert row["eventTimestamp"] == str(int((NOON - timedelta(hours=1)).timestamp() * 1000))


async def test_nothing_found_is_a_head_alone(house: House) -> None:
    async with house.client.post(EXPORT, json={}) as answer:
        text = await answer.text()

    assert text.endswith("thumbnailS3Key\r\n")
    assert text.count("\r\n") == 1
    assert "X-Request-Id" in answer.headers


async def test_another_org_exports_its_own(house: House, dsn: str, database: Database) -> None:
    await house.seen(2)
    other = OrgId(new_id())
    async with connected(dsn) as sql:
        await sql.execute("INSERT INTO org (id, name) VALUES ($1, 'theirs')", other)
    _, secret = await PostgresKeys(database).create(other, "theirs", "viewer")

    async with house.client.post(EXPORT, json={}, headers={"x-auth-apikey": secret}) as answer:
        assert len((await answer.text()).splitlines()) == 1


async def test_a_body_of_other_types_is_a_400(house: House) -> None:
    async with house.client.post(EXPORT, json={"searchFilter": {"hasName": "yes"}}) as answer:
        assert answer.status == 400
        assert (await answer.json())["msg"].startswith("searchFilter.hasName")


async def test_whoever_goes_away_is_read_no_further_for(house: House) -> None:
    await house.seen(2_100)
    house.events.open.clear()

    async with house.client.post(EXPORT, json={}) as answer:
        await answer.content.readline()
        answer.close()
    await house.rows(deviceUuids=["nobody's"])  # the service has noticed meanwhile
    house.events.open.set()

    await house.rows(deviceUuids=["nobody's"])
    assert house.events.later_pages == 1
