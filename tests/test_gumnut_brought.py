"""Pictures and clips that are brought, from the upload to the events, with `facewatch serve`."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from homes import a_home
from houses import House, enrol_demo_people
from videos import shifted

from facewatch.demo.material import DemoMaterial

NOON = "2026-11-21T12:00:00"


@dataclass
class Desk:
    """Where an investigator brings files."""

    house: House
    client: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **given: Any) -> tuple[int, Any]:
        async with self.client.request(method, f"/api/{path}", **given) as answer:
            return answer.status, await answer.json(content_type=None)

    async def bring(self, body: bytes, name: str, **told: str) -> tuple[int, Any]:
        return await self.ask("POST", "assets", data=form(body, name, **told))

    async def looked_at(self, asset: str) -> Any:
        """The asset, once it was."""
        while True:
            _, shown = await self.ask("GET", f"assets/{asset}")
            if shown["ingest"]["status"] in ("success", "failure"):
                return shown
            await asyncio.sleep(0.2)


def cut_off(clip: bytes, folder: Path) -> bytes:
    """The first part of it, ending in mid-frame; its index stands in front."""
    (folder / "whole.mp4").write_bytes(clip)
    whole = shifted(folder / "whole.mp4", folder / "front.mp4", 0, movflags="faststart")
    return whole.read_bytes()[: whole.stat().st_size * 45 // 100]


def form(body: bytes, name: str, **told: str) -> aiohttp.FormData:
    data = aiohttp.FormData()
    fields = {
        "device_asset_id": name,
        "device_id": "her phone",
        "file_created_at": NOON,
        "file_modified_at": NOON,
        **told,
    }
    for field, value in fields.items():
        data.add_field(field, value)
    data.add_field("asset_data", body, filename=name, content_type="application/octet-stream")
    return data


@asynccontextmanager
async def desk_of(house: House, key: str, url: str) -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {key}"}) as client:
        yield Desk(house, client)


@pytest.fixture(scope="module")
def clip(material: DemoMaterial) -> bytes:
    """Ten seconds in which somebody enrolled comes, then a stranger."""
    return material.cameras["gate"].read_bytes()


async def test_what_is_brought_is_found_as_what_a_camera_sees(
    models: Path, material: DemoMaterial, tmp_path: Path, clip: bytes
) -> None:
    with a_home() as home:
        house = House(home, models, material)
        await enrol_demo_people(house, tmp_path)
        key = json.loads(await house.run("key", "create", "t", "--role", "operator", "--json"))
        async with asyncio.timeout(90):
            async with house.serving() as (process, url), desk_of(house, key["key"], url) as desk:
                status, brought = await desk.bring(clip, "gate.mp4")
                assert status == 201, brought
                process.kill()
                await process.wait()
            async with house.serving() as (_, url), desk_of(house, key["key"], url) as desk:
                shown = await desk.looked_at(brought["id"])
                status, again = await desk.bring(clip, "twice.mp4")
                assert (status, again["id"]) == (200, brought["id"])
                _, found = await desk.ask(
                    "GET", "search", params={"person_ids": shown["people"][0]["id"]}
                )
                events = await house.events()
                photo = material.enrolment["Barack Obama"][0].read_bytes()
                _, picture = await desk.bring(photo, "obama.jpg")
                _, cut = await desk.bring(cut_off(clip, tmp_path), "cut.mp4")
                looked = [await desk.looked_at(it["id"]) for it in (picture, cut)]
                (frame,) = {
                    it.frame_key for it in await house.events() if "/brought/" in it.frame_key
                }
                rhombus = {"x-auth-apikey": key["key"], "x-auth-scheme": "api-token"}
                async with desk.client.get(
                    "/media/faces", params={"s3ObjectKey": frame}, headers=rhombus
                ) as answer:
                    assert await answer.read() == photo

    assert shown["ingest"] == {"status": "success", "percent": 100.0, "message": None}
    assert [it["name"] for it in shown["people"]] == ["Barack Obama"]
    assert brought["id"] in [it["asset"]["id"] for it in found["data"]]
    at_ms = [it["timestamp_ms"] for it in shown["faces"]]
    assert 500 <= at_ms[0] < 3500 <= 4500 < at_ms[1] < 8000
    assert shown["duration"] == pytest.approx(10, abs=0.2)
    assert (shown["device_id"], shown["device_asset_id"]) == ("her phone", "gate.mp4")
    assert {it.first_seen.date().isoformat() for it in events} == {NOON[:10]}
    assert sorted(it.person_name or "" for it in events) == ["", "Barack Obama"]
    assert all(it.closed for it in events)
    picture, cut = looked
    assert picture["ingest"]["status"] == "success"
    assert [(it["timestamp_ms"], it["person_id"]) for it in picture["faces"]] == [
        (None, shown["people"][0]["id"])
    ]
    assert cut["ingest"]["status"] == "success"
    assert "it was cut off" in cut["ingest"]["message"]
    assert [it["name"] for it in cut["people"]] == ["Barack Obama"]
