"""`facewatch bench`: real cameras, models, database; in a process, as its users run it."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import click
import pytest
from homes import a_home
from houses import House

from facewatch.cli.bench import Resolution, bench
from facewatch.demo.material import DemoMaterial

SMALL = ("--resolution", "320x180", "--fps", "10", "--looks-per-s", "2")


@pytest.fixture
async def house(models: Path, photos: Path, material: DemoMaterial) -> AsyncIterator[House]:
    with a_home() as home:
        shutil.copytree(photos, home / "demo")
        yield House(home, models, material)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Where it is to put what it deletes in the end."""
    with a_home() as folder:
        yield folder


def left_in(folder: Path) -> list[str]:
    """ONNX Runtime leaves a file of its own."""
    return [name for name in os.listdir(folder) if name.startswith("facewatch")]


async def there(folder: Path, what: str) -> None:
    """Wait until *folder* has such a file."""
    while not await asyncio.to_thread(lambda: list(folder.glob(what))):  # noqa: ASYNC110 no bell
        await asyncio.sleep(0.05)


async def test_it_says_how_many_cameras_and_leaves_nothing_behind(
    house: House, scratch: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "plot.svg"
    process = await house.start(
        *("bench", *SMALL, "--most", "1", "--json", "--plot", str(plot)),
        TMPDIR=str(scratch),
    )
    async with asyncio.timeout(90):
        out, said = await process.communicate()

    assert process.returncode == 0, said.decode()
    found = json.loads(out)
    (step,) = found["steps"]
    assert (found["cameras"], found["limit"]) == (1, "none")
    assert found["says"].startswith("at least 1 camera at 320x180, 10 frames/s, 2 looks/s each")
    assert 1.5 < step["looks_per_s"] < 2.5
    assert step["frames_per_s"] > 8
    assert 0 < step["decoding_cores"] < step["cpu_cores"]
    assert 0 < step["engine"] < 1
    assert found["machine"]["cores"] == found["wanted"]["cores"]
    assert plot.read_text().startswith("<?xml")
    assert left_in(scratch) == []
    assert os.listdir(house.home) == ["demo"]


async def test_ctrl_c_ends_it_cleanly_at_any_time(house: House, scratch: Path) -> None:
    process = await house.start("bench", *SMALL, TMPDIR=str(scratch))
    assert process.stderr is not None
    async with asyncio.timeout(90):
        async for line in process.stderr:
            if b"starting" in line:
                break
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()

    assert process.returncode == 130
    assert "Traceback" not in said.decode()
    assert left_in(scratch) == []


async def test_a_terminal_that_is_closed_leaves_nothing_behind(house: House, scratch: Path) -> None:
    process = await house.start("bench", *SMALL, TMPDIR=str(scratch))
    assert process.stderr is not None
    async with asyncio.timeout(90):
        async for line in process.stderr:
            if b"starting" in line:
                break
        await there(scratch, "*/postgres/data/postmaster.pid")
        process.send_signal(signal.SIGHUP)
        await process.communicate()

    assert left_in(scratch) == []


async def test_ctrl_c_is_not_kept_waiting_by_the_filming(house: House) -> None:
    process = await house.start("bench", "--resolution", "2560x1440", "--fps", "60")
    async with asyncio.timeout(60):
        await there(house.home / "demo", ".film-*/*")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):  # some minutes, if it films to the end
            _, said = await process.communicate()

    assert process.returncode == 130
    assert "Traceback" not in said.decode()
    left = os.listdir(house.home / "demo")
    assert not [name for name in left if name.endswith(".mp4") or name.startswith(".film")]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--plot", "plot.gif"), "plot.gif does not end in .svg or .png"),
        (("--plot", "nowhere/plot.svg"), "nowhere is no folder that can be written to"),
        (("--looks-per-s", "nan"), "'nan' is no number"),
        (("--looks-per-s", "0"), "not in the range"),
        (("--seconds", "inf"), "'inf' is no number"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_measured(
    words: tuple[str, str], why: str
) -> None:
    with pytest.raises(click.UsageError, match=why):
        bench.make_context("bench", list(words))


@pytest.mark.parametrize("text", ["720p", "1280x", "1281x720", "32x18", "1280x720x3", "x"])
def test_no_resolution(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no resolution such as 1280x720"):
        Resolution()(text)
