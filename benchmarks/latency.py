"""How long from a picture's capture until its event is visible through the API, at two loads.

`facewatch bench` says first how many cameras this machine carries. Then a `facewatch serve` of its
own watches half of them, and in a second part twice as many. Cameras are real RTSP from a process
of their own, whose clock is this machine's: a frame's capture is the time in its sender reports.
The newest events are asked for over HTTP every 100 ms; an event's capture is that of the picture
that it shows when it is seen first. `since_seen` counts from the first sight of the person, which
takes in what it needs to be sure of somebody.

    .venv/bin/python benchmarks/latency.py [--quick] [--carried N] [--seconds S]

Bars: at half load p95 under 1 s; at twice the load each camera its share (most / least looks at
most 1.5), p95 under 2 s, memory flat (the last third of the time at most 1.05 of the third before).
Prints a JSON line a load, then a table.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from facewatch.app.capacity import filmed, wanted_of
from facewatch.app.machine import cores, machine_cpu_s
from facewatch.app.stores import Stores, open_stores
from facewatch.cli.output import table
from facewatch.demo.cameras import demo_cameras
from facewatch.domain.cameras import Camera
from facewatch.domain.ids import CameraId, EventId, from_ruuid, new_id
from facewatch.errors import NotFound
from facewatch.settings import Settings

_ROOT = Path(__file__).parent.parent
_FIND = "/api/faceRecognition/faceEvent/findFaceEventsByOrg"
_AGE = re.compile(r'^stage_seconds_(sum|count)\{stage="capture_to_look"\} (\S+)$', re.MULTILINE)
_LOOKS = re.compile(r'^frames_looked_at_total\{camera="([^"]+)"\} (\S+)$', re.MULTILINE)
_APART_S = 0.07
_WARM_S = 8.0


@dataclass
class Watched:
    """What was seen from outside while the service ran.

    Attributes:
        shown_s: Of each event, from the capture of its picture until it was seen.
        since_seen_s: The same from the first sight of its person.
        memory_mib: Of the service, every second.
    """

    shown_s: list[float] = field(default_factory=list)
    since_seen_s: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)

    def line(self) -> dict[str, Any]:
        third = max(len(self.memory_mib) // 3, 1)
        memory = np.array(self.memory_mib)
        last, before = memory[-third:].mean(), memory[-2 * third : -third].mean()
        return {
            "events": len(self.shown_s),
            **_quantiles("shown", self.shown_s),
            **_quantiles("since_seen", self.since_seen_s),
            "memory_mib": round(float(last)),
            "memory_growth": round(float(last / before), 3),
        }


@asynccontextmanager
async def served(settings: Settings) -> AsyncIterator[tuple[Process, str]]:
    """A `facewatch serve` in the home of *settings*, and its URL."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("FACEWATCH_")},
        "FACEWATCH_HOME": settings.home,
        "FACEWATCH_MODELS_DIRECTORY": settings.models.directory,
        "FACEWATCH_HTTP_PORT": "0",
        "FACEWATCH_LOG_LEVEL": "warning",
        "PYTHONPATH": str(_ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "facewatch", "serve"), env=environment, stderr=PIPE
    )
    assert process.stderr is not None
    try:
        said = ""
        while not (found := re.search(r"answers at (\S+)", said)):
            said += (line := (await process.stderr.readline()).decode())
            if not line:
                sys.exit(f"serve ended: {said}")
        hearing = asyncio.create_task(_hear(process.stderr))
        yield process, found[1]
        process.send_signal(signal.SIGTERM)
        await process.wait()
        await hearing
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _hear(stderr: asyncio.StreamReader) -> None:
    async for line in stderr:
        print(line.decode(), end="", file=sys.stderr)


async def looks(client: aiohttp.ClientSession) -> dict[str, float]:
    """Of each camera so far."""
    async with client.get("/metrics") as answer:
        return {name: float(value) for name, value in _LOOKS.findall(await answer.text())}


async def age(client: aiohttp.ClientSession) -> tuple[float, float]:
    """Seconds from capture to look of all frames so far, and how many these are."""
    async with client.get("/metrics") as answer:
        found = dict(_AGE.findall(await answer.text()))
    return float(found["sum"]), float(found["count"])


async def watch_events(client: aiohttp.ClientSession, stores: Stores, seen: Watched) -> None:
    """Note each event when it is visible first; those of before are not ours."""
    known: set[str] | None = None
    body = {"pageRequest": {"maxPageSize": 40}}
    while True:
        began = time.time()
        async with client.post(_FIND, json=body) as answer:
            events = (await answer.json())["faceEvents"]
        at = time.time()
        ids = {it["uuid"]: it for it in events}
        for uuid in ids.keys() - (ids.keys() if known is None else known):
            try:
                event = await stores.events.get(stores.org, EventId(from_ruuid(uuid)))
            except NotFound:
                continue
            seen.shown_s.append(at - event.best_at.timestamp())
            seen.since_seen_s.append(at - ids[uuid]["eventTimestamp"] / 1000)
        known = (known or set()) | ids.keys()
        await asyncio.sleep(max(0.0, began + 0.1 - time.time()))


async def watch_memory(process: Process, seen: Watched) -> None:
    while True:
        seen.memory_mib.append(memory_mib(process))
        await asyncio.sleep(1.0)


def memory_mib(process: Process) -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(process: Process) -> float:
    times = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


async def at_load(
    name: str, settings: Settings, stores: Stores, urls: Sequence[str], seconds: float
) -> dict[str, Any]:
    """A service that watches *urls* for so long."""
    cameras = [
        Camera(CameraId(new_id()), stores.org, stores.location, f"{name}-{n:03}", url)
        for n, url in enumerate(urls)
    ]
    key, secret = await stores.keys.create(stores.org, name, "operator")
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    async with (
        served(settings) as (process, url),
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        for camera in cameras:
            await stores.cameras.add(camera)
            await asyncio.sleep(_APART_S)
        await all_watched(client, len(cameras))
        old = await age(client)
        before = await looks(client), cpu_s(process), machine_cpu_s() or 0.0, time.monotonic()
        seen = await watched(client, stores, process, seconds)
        took = time.monotonic() - before[3]
        after = await looks(client), cpu_s(process), machine_cpu_s() or 0.0
        new = await age(client)
    for camera in cameras:
        await stores.cameras.remove(stores.org, camera.id)
    await stores.keys.revoke(stores.org, key.id)
    each = [(after[0][it.name] - before[0][it.name]) / took for it in cameras]
    return {
        **{"benchmark": "latency", "load": name, "cameras": len(cameras), "seconds": round(took)},
        **_shares(each),
        "look_after_s": round((new[0] - old[0]) / max(new[1] - old[1], 1), 2),
        **seen.line(),
        "cores": round((after[1] - before[1]) / took, 2),
        "machine_cores": round((after[2] - before[2]) / took, 2),
    }


async def all_watched(client: aiohttp.ClientSession, cameras: int) -> None:
    """Wait until each was looked at, and some seconds more.

    Raises:
        TimeoutError: one never was.
    """
    async with asyncio.timeout(60):
        while True:
            if len(await looks(client)) >= cameras:
                break
            await asyncio.sleep(0.5)
    await asyncio.sleep(_WARM_S)


async def watched(
    client: aiohttp.ClientSession, stores: Stores, process: Process, seconds: float
) -> Watched:
    """What is to be seen of the service in so many seconds."""
    seen = Watched()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            group.create_task(watch_events(client, stores, seen))
            group.create_task(watch_memory(process, seen))
    return seen


def _shares(each: Sequence[float]) -> dict[str, float]:
    """How the looks, a camera's a second, are shared out."""
    return {
        "looks_per_s": round(sum(each), 1),
        "least": round(min(each), 2),
        "most": round(max(each), 2),
        "most_by_least": round(max(each) / max(min(each), 1e-9), 2),
    }


def _quantiles(name: str, values: Sequence[float]) -> dict[str, float | None]:
    return {
        f"{name}_p{share}_s": round(float(np.percentile(values, share)), 2) if values else None
        for share in (50, 95, 99)
    }


def met(line: dict[str, Any]) -> bool:
    """Whether the bars of its load are."""
    shown = line["shown_p95_s"] or 1e9
    if line["load"] == "half":
        return bool(shown < 1.0)
    fair = line["most_by_least"] <= 1.5 and line["memory_growth"] <= 1.05
    return bool(shown < 2.0 and fair)


async def carried(size: tuple[int, int], fps: int, seconds: float) -> int:
    """How many cameras `facewatch bench` says this machine carries."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "facewatch", "bench", "--json", "--seconds", str(seconds)),
        *("--resolution", "{}x{}".format(*size), "--fps", str(fps)),
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "FACEWATCH_HOME": str(_ROOT / ".home")},
    )
    out, _ = await process.communicate()
    if process.returncode:
        sys.exit(f"facewatch bench ended with status {process.returncode}")
    found = json.loads(out)
    print(json.dumps({"benchmark": "latency", "carried": found["cameras"], "says": found["says"]}))
    return max(int(found["cameras"]), 1)


async def measure(
    size: tuple[int, int], fps: int, most: int, seconds: float
) -> list[dict[str, Any]]:
    ours = Settings.model_validate({"home": str(_ROOT / ".home")})
    wanted = wanted_of(ours, *size, fps, None, 2 * most)
    material = await asyncio.to_thread(filmed, ours, wanted, lambda _what, _share: None)
    (video,) = material.cameras.values()
    lines = []
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-") as folder:
        os.chmod(folder, 0o755)  # Postgres may have to run as another user
        settings = Settings.model_validate(
            {"home": folder, "models": {"directory": str(ours.model_directory)}}
        )
        videos = {f"c{n}": video for n in range(2 * most)}
        async with open_stores(settings) as stores, demo_cameras(videos) as urls:
            every = list(urls.values())
            for name, count in (("half", max(most // 2, 1)), ("twice", 2 * most)):
                line = await at_load(name, settings, stores, every[:count], seconds)
                lines.append(line | {"met": met(line)})
                print(json.dumps(lines[-1]), flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--carried", type=int, help="cameras; else `facewatch bench` is asked")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load")
    parser.add_argument("--quick", action="store_true", help="12 seconds each, nobody asked")
    parser.add_argument("--resolution", default="1280x720")
    parser.add_argument("--fps", type=int, default=15)
    given = parser.parse_args()
    began = datetime.now(UTC)
    width, height = map(int, given.resolution.split("x"))
    if given.quick:
        given.seconds, given.carried = 12.0, given.carried or 2 * cores()
    size, fps = (width, height), given.fps
    most = given.carried or asyncio.run(carried(size, fps, seconds=90.0))
    lines = asyncio.run(measure(size, fps, most, given.seconds))
    columns = [
        *("load", "cameras", "looks_per_s", "most_by_least", "look_after_s", "events"),
        "shown_p50_s",
        *("shown_p95_s", "since_seen_p50_s", "since_seen_p95_s", "memory_mib", "memory_growth"),
        *("cores", "met"),
    ]
    table(columns, [[line[it] for it in columns] for line in lines])
    print(f"{(datetime.now(UTC) - began).total_seconds():.0f} s")


if __name__ == "__main__":
    main()
