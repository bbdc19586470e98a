"""The service as its users run it: a home, commands in it, demo people who were enrolled."""

import asyncio
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from facewatch.app.stores import open_stores
from facewatch.demo.cast import ENROLLED
from facewatch.demo.material import DemoMaterial
from facewatch.demo.rooms import GATE
from facewatch.demo.scene import Stand, Walk
from facewatch.domain.events import FaceEvent
from facewatch.settings import Settings

ROOM = replace(
    GATE,
    name="gate",
    seconds=10,
    fps=10,
    walks=(
        Walk("obama", (Stand(0.5, 900, 150), Stand(2, 800, 180), Stand(3.5, 1500, 190, 0.7))),
        Walk("collins", (Stand(4.5, -200, 120, 0.5), Stand(5.5, 300, 150), Stand(7, 350, 160))),
    ),
)
"""Ten seconds in which somebody enrolled comes, then a stranger."""


class House:
    """A home, and the commands that run in it."""

    def __init__(self, home: Path, models: Path, material: DemoMaterial) -> None:
        self.home = home
        self.material = material
        self.settings = Settings.model_validate(
            {"home": str(home), "models": {"directory": str(models)}}
        )
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("FACEWATCH_")},
            "FACEWATCH_HOME": str(home),
            "FACEWATCH_MODELS_DIRECTORY": str(models),
            "FACEWATCH_HTTP_PORT": "0",
            "FACEWATCH_CAMERAS_SILENT_S": "5",
        }

    async def start(self, *words: str, **environment: str) -> Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "facewatch", *words),
            env=self.environment | environment,
            stdout=PIPE,
            stderr=PIPE,
        )

    async def run(self, *words: str) -> str:
        process = await self.start(*words)
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    @asynccontextmanager
    async def serving(self, **environment: str) -> AsyncIterator[tuple[Process, str]]:
        """`facewatch serve` and its URL; it is ended cleanly unless the test has done so."""
        process = await self.start("serve", **environment)
        try:
            async with asyncio.timeout(30):
                yield process, await self._url(process)
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def _url(self, process: Process) -> str:
        assert process.stderr is not None
        said = []
        async for line in process.stderr:
            said.append(line.decode())
            if found := re.search(r"answers at (\S+)", said[-1]):
                return found[1]
        raise AssertionError("".join(said))

    async def events(self) -> list[FaceEvent]:
        """Newest first; from this process, beside the one that serves."""
        async with open_stores(self.settings) as stores:
            return await stores.events.page(stores.org, 100)

    async def wait_for_events(self, *, named: str | None, closed: bool = False) -> list[FaceEvent]:
        """The events of *named* (None: of nobody), once there are some."""
        while True:
            found = [
                it
                for it in await self.events()
                if it.person_name == named and (it.closed or not closed)
            ]
            if found:
                return found
            await asyncio.sleep(0.3)


async def enrol_demo_people(house: House, tmp_path: Path) -> None:
    enrolment = tmp_path / "photos"
    for name, photo in ENROLLED.items():
        (enrolment / name).mkdir(parents=True)
        photos = house.material.enrolment[name]
        source = next(it for it in photos if it.name == photo.file)
        shutil.copy(source, enrolment / name)
    await house.run("person", "enrol", str(enrolment))
