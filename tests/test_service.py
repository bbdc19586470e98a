"""The main job from end to end: real RTSP, the service as a process, its API over a real socket."""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from homes import a_home
from houses import House, enrol_demo_people
from rtsp_server import answering

from facewatch.demo.cameras import demo_cameras
from facewatch.demo.material import DemoMaterial
from facewatch.domain.ids import to_ruuid

GET_EVENT = "/api/faceRecognition/faceEvent/getFaceEvent"
COST = 'camera_cpu_seconds_total{{camera="gate",stage="{}"}} (.+)'


@pytest.fixture
async def house(models: Path, material: DemoMaterial, tmp_path: Path) -> AsyncIterator[House]:
    """A home where the demo's people are enrolled."""
    with a_home() as home:
        house = House(home, models, material)
        await enrol_demo_people(house, tmp_path)
        yield house


async def test_from_rtsp_to_get_face_event(house: House) -> None:
    key = json.loads(await house.run("key", "create", "test", "--json"))["key"]
    headers = {"x-auth-apikey": key, "x-auth-scheme": "api-token"}
    async with (
        demo_cameras(house.material.cameras) as urls,
        answering(None) as mute,
        house.serving() as (process, url),
        aiohttp.ClientSession(headers=headers) as client,
        asyncio.timeout(60),
    ):
        await asyncio.gather(
            house.run("camera", "add", "gate", urls["gate"]),
            house.run("camera", "add", "absent", "rtsp://u:s3cret@127.0.0.1:9/x"),
            house.run("camera", "add", "missing", urls["gate"] + "-not"),
            house.run("camera", "add", "mute", f"rtsp://127.0.0.1:{mute}/x"),
        )
        obama = (await house.wait_for_events(named="Barack Obama", closed=True))[-1]
        await house.wait_for_events(named=None, closed=True)

        async with client.post(url + GET_EVENT, json={"eventUuid": to_ruuid(obama.id)}) as answer:
            event = (await answer.json())["faceEvent"]
        assert event["faceName"] == event["selectedPersonMatch"]["name"] == "Barack Obama"
        assert event["selectedPersonMatch"]["confidence"] > 0.7
        assert event["uuid"] == to_ruuid(obama.id)

        for key in ("imageS3Key", "thumbnailS3Key"):
            async with client.get(f"{url}/media/faces", params={"s3ObjectKey": event[key]}) as got:
                assert got.status == 200
                assert (await got.read()).startswith(b"\xff\xd8\xff")

        async with client.get(f"{url}/readyz") as ready:
            assert ready.status == 200
        async with client.get(f"{url}/metrics") as metrics:
            counted = await metrics.text()
        assert 'frames_looked_at_total{camera="gate"}' in counted
        for stage in ("decode", "convert", "detect", "follow", "align", "embed"):
            camera_s = float(re.findall(COST.format(stage), counted)[0])
            stage_s = float(re.findall(f'stage_seconds_sum{{stage="{stage}"}} (.+)', counted)[0])
            assert 0 < camera_s <= 1.05 * stage_s

        states: dict[str, str] = {}
        while states != {"gate": "live", "absent": "gone", "missing": "refused", "mute": "stalled"}:
            listed = await house.run("camera", "list", "--json")
            states = {it["name"]: it["state"] for it in map(json.loads, listed.splitlines())}
        assert "s3cret" not in listed

        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_one_home_is_watched_once_and_told_twice_to_stop_it_still_finishes(
    house: House,
) -> None:
    async with house.serving() as (process, _), asyncio.timeout(60):
        second = await house.start("serve")
        _, said = await second.communicate()
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    assert second.returncode == 1
    assert "another process watches the cameras" in said.decode()
    assert "what to do:" in said.decode()


async def test_nothing_is_lost_when_the_service_is_killed(house: House) -> None:
    async with demo_cameras(house.material.cameras) as urls, asyncio.timeout(60):
        await house.run("camera", "add", "gate", urls["gate"])
        async with house.serving() as (process, _):
            await house.wait_for_events(named="Barack Obama")
            process.kill()
            await process.wait()
            before = {it.id for it in await house.events()}
        async with house.serving():
            waiting = list((house.home / "spool").rglob("*.db"))
            after = {it.id for it in await house.events()}

    assert before
    assert before <= after
    assert len(waiting) == 1, "the dead process' spool was not adopted"


async def test_events_wait_while_the_object_store_is_down(house: House) -> None:
    nowhere = {
        "FACEWATCH_OBJECTS_URL": "s3://pictures/here",
        "FACEWATCH_OBJECTS_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
    }
    async with demo_cameras(house.material.cameras) as urls, asyncio.timeout(90):
        await house.run("camera", "add", "gate", urls["gate"])
        async with (
            house.serving(**nowhere) as (_, url),
            aiohttp.ClientSession() as client,
        ):
            backlog = 0.0
            while backlog < 1:
                async with client.get(f"{url}/metrics") as got:
                    found = re.search(r"^spool_backlog (\S+)$", await got.text(), re.MULTILINE)
                backlog = float(found[1]) if found else 0.0
                await asyncio.sleep(0.2)
            async with client.get(f"{url}/readyz") as ready:
                assert ready.status == 503
                assert not (await ready.json())["parts"]["objects"]["ready"]
            assert not await house.events()
        async with house.serving():
            await house.wait_for_events(named="Barack Obama")


async def test_a_port_in_use_is_said_and_ends_the_service(house: House) -> None:
    async with answering(None) as taken, asyncio.timeout(30):
        process = await house.start("serve", FACEWATCH_HTTP_PORT=str(taken))
        _, said = await process.communicate()

    assert process.returncode == 1
    assert str(taken).encode() in said
    assert b"http.port" in said
    assert b"Traceback" not in said


async def test_a_replay_again_makes_the_same_events_and_doubles_nothing(house: House) -> None:
    video = str(house.material.cameras["gate"])
    words = ("replay", video, "--camera", "recorder", "--start", "2026-11-01", "--json")
    first = [json.loads(it) for it in (await house.run(*words)).splitlines()]
    again = [json.loads(it) for it in (await house.run(*words)).splitlines()]

    assert [it["person"] for it in first] == ["Barack Obama", None]
    assert first == again
    assert {to_ruuid(it.id) for it in await house.events()} == {it["event"] for it in first}
