"""facewatch demo"""

import asyncio
import json
from dataclasses import dataclass, replace
from functools import partial

import aiohttp
import click

from facewatch.app.recognition import Recognition, enroller_of, open_recognition
from facewatch.app.serve import run_service
from facewatch.app.stores import Stores, open_stores
from facewatch.cli.events import FinishedEvents, show
from facewatch.cli.options import as_json, command
from facewatch.cli.output import counted, note, prepared, say
from facewatch.cli.serve import stop_on_signals
from facewatch.demo.cameras import demo_cameras
from facewatch.demo.material import DemoMaterial, prepare
from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import CameraId, new_id, to_ruuid
from facewatch.errors import NotFound
from facewatch.pipeline.visit import Visit
from facewatch.settings import Settings

_GET_FACE_EVENT = "/api/faceRecognition/faceEvent/getFaceEvent"


@click.command()
@click.option("--seconds", type=click.FloatRange(min=1), help="End by itself after this long.")
@as_json
@command
async def demo(settings: Settings, seconds: float | None, as_json: bool) -> None:
    """Watch three cameras that are made up.

    Photographs walk about before them, over real RTSP; two people are enrolled.

    Runs until Ctrl-C, or for --seconds and then exits 1 if no event was recorded.
    """
    note("getting the demo's photographs and videos ready: about a minute the first time")
    material = await prepared(partial(prepare, settings.home_path))
    note(material.credits)
    stop = stop_on_signals()
    async with (
        open_stores(settings) as stores,
        open_recognition(settings, stores) as recognition,
        demo_cameras(material.cameras) as urls,
    ):
        await _enrol(stores, recognition, material)
        watched = await _add_cameras(stores, urls)
        key, secret = await stores.keys.create(stores.org, "demo", "operator")
        people = {it.id: it.name for it in await stores.people.all(stores.org)}
        events = FinishedEvents(people, watched, say if as_json else lambda _: None)
        told = Commentary(stores, events, secret, quiet=as_json)

        def ready(url: str) -> None:
            told.begin(url)
            if seconds:
                asyncio.get_running_loop().call_later(seconds, stop.set)

        try:
            await run_service(
                settings, stores, recognition, stop=stop, ready=ready, written=told.written
            )
        finally:
            await stores.keys.revoke(stores.org, key.id)
    events.end()
    if not as_json:
        show(events.lines)
    note(f"{counted(len(events.lines), 'event')}")
    if seconds and not events.lines:
        raise SystemExit(1)


async def _enrol(stores: Stores, recognition: Recognition, material: DemoMaterial) -> None:
    enroller = enroller_of(stores, recognition)
    for name, photos in material.enrolment.items():
        for photo in photos:
            await enroller.enrol(stores.org, name, photo.name, photo.read_bytes())


async def _add_cameras(stores: Stores, urls: dict[str, str]) -> dict[CameraId, str]:
    """The demo's cameras at this run's addresses; a camera of an earlier run keeps its id."""
    watched = {}
    for name, url in urls.items():
        try:
            camera = replace(await stores.cameras.by_name(stores.org, name), url=url)
            await stores.cameras.change(camera)
        except NotFound:
            camera = Camera(CameraId(new_id()), stores.org, stores.location, name, url)
            await stores.cameras.add(camera)
        watched[camera.id] = name
    return watched


@dataclass
class Commentary:
    """Says what happens while it happens, and shows the API's answer once."""

    stores: Stores
    events: FinishedEvents
    secret: str
    quiet: bool
    url: str = ""
    asked: "asyncio.Task[None] | None" = None

    def begin(self, url: str) -> None:
        self.url = url
        note(f"\nfacewatch answers at {url}   (Ctrl-C ends the demo)\nAPI key: {self.secret}\n")

    def written(self, visit: Visit, record: EventRecord) -> None:
        """A version is durable; see `app.recording.Written`."""
        self.events.written(visit, record)
        person = record.decision.person if record.decision else None
        name = self.events.name(person) or "somebody unknown"
        if record.version == 1 and not self.quiet:
            camera = self.events.camera(record.camera)
            note(f"{record.first_seen:%H:%M:%S} UTC  {camera:<10} {name}")
        if person and self.asked is None:
            self.asked = asyncio.get_running_loop().create_task(self._ask(to_ruuid(record.id)))

    async def _ask(self, event: str) -> None:
        """Ask the API for *event*, as any program would, until it is there."""
        headers = {"x-auth-apikey": self.secret, "x-auth-scheme": "api-token"}
        body = {"eventUuid": event}
        async with aiohttp.ClientSession(headers=headers) as session:
            while True:
                async with session.post(self.url + _GET_FACE_EVENT, json=body) as response:
                    answer = await response.json()
                if "faceEvent" in answer:
                    break
                await asyncio.sleep(0.2)
        note(
            f"\n$ curl -X POST {self.url}{_GET_FACE_EVENT} \\\n"
            f"    -H 'x-auth-apikey: {self.secret}' -H 'x-auth-scheme: api-token' \\\n"
            f"    -H 'Content-Type: application/json' -d '{json.dumps(body)}'\n"
            f"{json.dumps(answer, indent=2)}\n"
        )
