"""/api/v1 of the running service: what it changes is in force within a second."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from homes import a_home

from facewatch.app.recognition import open_recognition
from facewatch.app.serve import run_service
from facewatch.app.stores import open_stores
from facewatch.settings import Settings


@asynccontextmanager
async def knocked_at() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A port where a camera could be, and whether anybody knocked."""
    knocked = asyncio.Event()

    async def attend(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        knocked.set()
        writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], knocked


async def test_a_camera_of_a_new_org_is_watched_within_a_second_and_shows_its_state(
    models: Path,
) -> None:
    with a_home() as home:
        settings = Settings.model_validate(
            {"home": str(home), "models": {"directory": str(models)}, "http": {"port": 0}}
        )
        stop = asyncio.Event()
        async with (
            knocked_at() as (port, knocked),
            open_stores(settings) as stores,
            open_recognition(settings, stores) as recognition,
            asyncio.TaskGroup() as group,
        ):
            answering: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            group.create_task(
                run_service(
                    settings,
                    stores,
                    recognition,
                    stop=stop,
                    ready=answering.set_result,
                    written=lambda _visit, _record: None,
                )
            )
            url = await answering
            _, _, secret = await stores.orgs.create("shop")
            headers = {"x-auth-apikey": secret}
            camera = {"name": "door", "url": f"rtsp://u:s3cret@127.0.0.1:{port}/x"}
            async with aiohttp.ClientSession(url, headers=headers) as client:
                async with client.post("/api/v1/cameras", json=camera) as answer:
                    where = answer.headers["Location"]
                async with asyncio.timeout(1):
                    await knocked.wait()
                async with asyncio.timeout(20):
                    state = ""
                    while state != "gone":
                        await asyncio.sleep(0.1)
                        async with client.get(where) as answer:
                            shown = await answer.json()
                        state = shown["state"]
                assert shown["reason"]
                assert "s3cret" not in str(shown)
                async with client.delete(where) as answer:
                    assert answer.status == 204
            stop.set()
