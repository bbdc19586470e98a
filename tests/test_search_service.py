"""Search by words as its users switch it on: commands, a setting, the service as a process."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import numpy as np
import pytest
from clips import a_pair, coloured
from embedders import beside
from factories import NOON, a_camera, a_record
from gumnut_api import done, refused
from homes import a_home
from house_api import open_house
from houses import House

from facewatch.app.stores import Stores, open_stores
from facewatch.app.words import open_words
from facewatch.domain.cameras import Camera
from facewatch.errors import NotFound
from facewatch.flow.metrics import Metrics
from facewatch.settings import Settings
from facewatch.store.assets import PostgresAssets
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.vectors import PostgresPictureVectors
from facewatch.vision.clip_cards import card
from facewatch.vision.pictures import JpegPngEncoder

S0 = card("mobileclip2-s0")
SEARCH = {"FACEWATCH_MODELS_SEARCH": S0.name}
UNUSED: Any = None


async def a_snapshot(
    stores: Stores, camera: Camera, rgb: tuple[int, int, int], second: int
) -> None:
    record = a_record(camera.id, NOON + timedelta(seconds=second), closed=True)
    record = replace(record, org=stores.org, location=stores.location)
    jpeg = JpegPngEncoder().jpeg(coloured(*rgb), 90)
    await stores.blobs.put(record.frame_key, jpeg, "image/jpeg")
    await stores.events.add([record])


async def found(client: aiohttp.ClientSession, url: str, **params: Any) -> Any:
    async with client.get(f"{url}/api/search", params=params) as answer:
        assert answer.status == 200
        return (await answer.json())["data"]


async def some(client: aiohttp.ClientSession, url: str, words: str) -> bool:
    return bool(await found(client, url, query=words))


async def nothing_waits(client: aiohttp.ClientSession, url: str) -> bool:
    async with client.get(f"{url}/metrics") as got:
        return "\npictures_waiting 0.0\n" in await got.text()


async def until(it_is_so: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await it_is_so():
            return
        await asyncio.sleep(0.05)


async def test_search_by_words_is_switched_on_and_survives_kill_9(
    models: Path, tmp_path: Path
) -> None:
    with a_home() as home:
        house = House(home, beside(models, tmp_path / "models"), UNUSED)
        files = [str(it) for it in a_pair(S0, tmp_path / "fetched")]
        told = await house.run("models", "pin", S0.name, *files, "--accept-licence", "--json")
        assert [json.loads(it)["file"] for it in told.splitlines()] == [it.name for it in S0.files]
        async with open_stores(house.settings) as stores, asyncio.timeout(120):
            camera = replace(a_camera(url=""), org=stores.org, location=stores.location)
            await stores.cameras.add(camera)
            for second in range(60):
                await a_snapshot(stores, camera, (255, 4 * second, 4 * second), second)
            _, key = await stores.keys.create(stores.org, "test", "viewer")
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as client:
                async with house.serving(**SEARCH) as (process, url):
                    await until(lambda: some(client, url, "red"))
                    process.kill()
                    await process.wait()
                await a_snapshot(stores, camera, (0, 0, 255), 61)
                # what was in hand is anybody's again after 20 seconds: let them have passed
                await stores.database._pool.execute("UPDATE unseen_picture SET taken_until = now()")
                async with house.serving(**SEARCH) as (_, url):
                    await until(lambda: nothing_waits(client, url))
                    reds = await found(client, url, query="red", threshold=1, limit=200)
                    assert len({it["asset"]["id"] for it in reds}) == 61
                    distances = np.array([it["distance"] for it in reds])
                    assert (np.diff(distances) >= 0).all()
                    assert distances[0] < 0.1 < 0.9 < distances[-1]
                    async with client.get(f"{url}/readyz") as ready:
                        part = (await ready.json())["parts"]["search"]
                    assert part == {"ready": True, "detail": "mobileclip2-s0, 0 pictures wait"}


async def test_without_a_model_the_service_says_how_to_get_one(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"home": str(tmp_path), "models": {"search": S0.name}})
    events = PostgresFaceEvents(database)
    vectors = PostgresPictureVectors(database, PostgresAssets(database, events))
    stores: Any = SimpleNamespace(vectors=vectors)
    async with (
        open_words(settings, stores, Metrics.on()) as words,
        open_house(database, tmp_path, words=words.search) as house,
    ):
        status, detail = await refused(house, "GET", "search", params={"query": "red"})
        there = await done(house, "GET", "search", params={"captured_after": "2026-11-21"})

    assert (status, there["data"], words.looking) == (422, [], None)
    assert "facewatch models fetch mobileclip2-s0 --accept-licence" in detail[0]["msg"]
    assert "facewatch models pin mobileclip2-s0" in detail[0]["msg"]


async def test_a_model_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    settings = Settings.model_validate({"home": str(tmp_path), "models": {"search": "clip"}})
    with pytest.raises(NotFound, match="there are: mobileclip2-s0"):
        async with open_words(settings, UNUSED, Metrics.on()):
            pass
