"""The demo's photographs, videos and cameras."""

import asyncio
import os
import shutil
import signal
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from facewatch.demo.cameras import demo_cameras
from facewatch.demo.cast import FIGURES, HOPPER, PHOTOS
from facewatch.demo.material import DemoMaterial, prepare
from facewatch.demo.photos import fetch
from facewatch.demo.rooms import GATE, ROOMS
from facewatch.demo.scene import HEIGHT, WIDTH, Room, Stand, Walk
from facewatch.domain.faces import Pixels
from facewatch.errors import DemoUnavailable, HomeUnusable
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import ArrayPicture, decode

SHORT = replace(
    GATE,
    name="short",
    seconds=8,
    fps=10,
    walks=(
        Walk("hopper", (Stand(1, 290, 56, light=0), Stand(1.5, 290, 60), Stand(5, 420, 150))),
        Walk("obama", (Stand(2, 1400, 100, -0.5), Stand(4, 950, 180), Stand(6, 1500, 190, 0.7))),
        Walk("collins", (Stand(4.5, -200, 100, 0.5), Stand(5.5, 250, 130), Stand(7, 300, 140))),
    ),
)
"""A room of eight seconds: every person once, two at a time."""

NAMES = {"obama": "Barack Obama", "hopper": "Grace Hopper", "collins": None}


@pytest.fixture(scope="module")
def home(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(photos, home / "demo")
    return home


@pytest.fixture(scope="module")
def material(home: Path) -> DemoMaterial:
    return prepare(home, lambda *_: None, [SHORT])


@pytest.fixture(scope="module")
def engine(models: Path) -> FaceEngine:
    return open_engine(models)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one photograph, fetched just now."""
    folder = tmp_path_factory.mktemp("registry")
    try:
        fetch([HOPPER], folder, lambda *_: None)
    except DemoUnavailable as unreachable:
        pytest.skip(f"the package registry cannot be reached: {unreachable}")
    return folder


def templates(engine: FaceEngine, pixels: Pixels) -> list[tuple[float, NDArray[np.float32]]]:
    """Centre x and template of every face."""
    picture = ArrayPicture(pixels)
    (found,) = engine.detect([picture])
    if not found:
        return []
    embedded = engine.embed([engine.align(picture, each.landmarks) for each in found])
    centres = [(each.box.left + each.box.right) / 2 for each in found]
    return list(zip(centres, embedded, strict=True))


def pictures(video: str) -> Iterator[tuple[float, Pixels]]:
    with av.open(video) as container:
        for frame in container.decode(video=0):
            yield float(frame.time or 0), frame.to_ndarray(format="bgr24")


def in_view(room: Room, t_s: float) -> dict[str, float]:
    """x of everybody whose whole face is in the picture."""
    stands = {walk.who: walk.at(t_s) for walk in room.walks}
    return {
        who: stand.x
        for who, stand in stands.items()
        if stand and stand.face_px < stand.x < WIDTH - stand.face_px
    }


def test_the_real_models_know_the_enrolled_and_not_the_stranger(
    material: DemoMaterial, engine: FaceEngine
) -> None:
    known = {
        name: templates(engine, decode(photo.read_bytes(), name).full())[0][1]
        for name, (photo,) in material.enrolment.items()
    }
    seen: dict[str, int] = defaultdict(int)
    for index, (t_s, pixels) in enumerate(pictures(str(material.cameras["short"]))):
        if index % 5:
            continue
        found = templates(engine, pixels)
        for who, x in in_view(SHORT, t_s).items():
            _, template = min(found, key=lambda each: abs(each[0] - x))
            similar = {name: float(template @ enrolled) for name, enrolled in known.items()}
            others = [value for name, value in similar.items() if name != NAMES[who]]
            assert max(others) < 0.35, (who, t_s, similar)
            if name := NAMES[who]:
                assert similar[name] > 0.5, (who, t_s, similar)
            seen[who] += 1

    assert min(seen[who] for who in NAMES) >= 3


def test_nobody_is_found_where_nobody_is(material: DemoMaterial, engine: FaceEngine) -> None:
    for t_s, pixels in pictures(str(material.cameras["short"])):
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        if not any(walk.at(t_s) for walk in SHORT.walks):
            assert not templates(engine, pixels), t_s


def test_the_second_time_nothing_is_fetched_or_filmed(home: Path, material: DemoMaterial) -> None:
    before = {path: path.stat().st_mtime_ns for path in (home / "demo").iterdir()}
    told: list[str] = []

    again = prepare(home, lambda what, _: told.append(what), [SHORT])

    assert again == material
    assert {path: path.stat().st_mtime_ns for path in (home / "demo").iterdir()} == before
    assert told == ["photographs"]


def test_everybody_is_credited(material: DemoMaterial) -> None:
    for name in ("Barack Obama", "Grace Hopper", "Eileen Collins"):
        assert name in material.credits


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_each_walk_is_one_visit(room: Room) -> None:
    """Also across the seam, where the video begins again."""
    for who in FIGURES:
        walks = [
            (walk.stands[0].t_s + shift, walk.stands[-1].t_s + shift)
            for shift in (0, room.seconds)
            for walk in room.walks
            if walk.who == who
        ]
        gaps = [begin - end for (_, end), (begin, _) in pairwise(walks)]
        assert gaps, f"{who} never comes"
        assert min(gaps) > 4


def test_two_people_are_in_view_at_once() -> None:
    assert any(len(in_view(room, t_s)) > 1 for room in ROOMS for t_s in range(int(room.seconds)))


def test_a_registry_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))

    with pytest.raises(DemoUnavailable, match=r"face-recognition==1\.3\.0.*registry"):
        fetch(PHOTOS, tmp_path / "photos", lambda *_: None)


def test_a_photograph_that_was_tampered_with_is_replaced(registry: Path) -> None:
    genuine = (registry / HOPPER.file).read_bytes()
    (registry / HOPPER.file).write_bytes(b"somebody else")

    fetch([HOPPER], registry, lambda *_: None)

    assert (registry / HOPPER.file).read_bytes() == genuine


@pytest.mark.usefixtures("registry")
def test_another_archive_of_the_same_name_is_refused(tmp_path: Path) -> None:
    wrong = replace(HOPPER, archive_sha256="0" * 64)

    with pytest.raises(DemoUnavailable, match=r"matplotlib==3\.10\.8.*HASHES"):
        fetch([wrong], tmp_path, lambda *_: None)


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file stands in the way")

    with pytest.raises(HomeUnusable, match="--home"):
        prepare(tmp_path / "home", lambda *_: None)


async def test_cameras_play_the_videos(material: DemoMaterial) -> None:
    async with demo_cameras(material.cameras) as urls:
        t_s, pixels = await asyncio.to_thread(lambda: next(pictures(urls["short"])))
        assert t_s < 1
        assert pixels.shape == (HEIGHT, WIDTH, 3)

    with pytest.raises(OSError):  # noqa: PT011 - whatever it is called, nobody answers any more
        av.open(urls["short"], timeout=5)


async def test_a_server_that_ends_is_noticed(material: DemoMaterial) -> None:
    async def watched() -> None:
        async with demo_cameras(material.cameras):
            os.kill(child(), signal.SIGKILL)
            await asyncio.Event().wait()

    with pytest.raises(DemoUnavailable, match="ended with status -9"):
        await asyncio.wait_for(watched(), 20)


async def test_a_video_that_is_not_there(tmp_path: Path) -> None:
    cameras = demo_cameras({"lost": tmp_path / "lost.mp4"})

    with pytest.raises(DemoUnavailable, match=r"lost\.mp4"):
        await cameras.__aenter__()


async def test_errors_of_the_body_come_through_as_they_are(material: DemoMaterial) -> None:
    with pytest.raises(ZeroDivisionError):
        async with demo_cameras(material.cameras):
            raise ZeroDivisionError


async def test_the_cameras_end_with_us_even_when_we_are_killed(material: DemoMaterial) -> None:
    script = f"""
import asyncio
from pathlib import Path
from facewatch.demo.cameras import demo_cameras
async def main():
    async with demo_cameras({{"short": Path({str(material.cameras["short"])!r})}}) as urls:
        print(urls["short"], flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE
    )
    assert demo.stdout is not None
    url = (await demo.stdout.readline()).decode().strip()
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    demo.kill()
    await demo.wait()

    async with asyncio.timeout(10):
        while await answers(port):  # noqa: ASYNC110 - a process that is nobody's child any more
            await asyncio.sleep(0.05)


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def child() -> int:
    """Process id of our RTSP server."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if parent == os.getpid() and "rtsp_server" in command:
                return int(entry.name)
    raise AssertionError("no RTSP server runs")
