"""Two streams of one camera: found in the small one, cut from the large one."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rtsp_server import FaultyServer
from videos import counting_pictures, number_in

from facewatch.domain.cameras import Camera
from facewatch.domain.events import TimeSource
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, LocationId, OrgId, new_id
from facewatch.errors import CameraRefused, CameraTrouble, InvalidRequest
from facewatch.ports.streams import Frame, Source
from facewatch.stream.encode import encode_video
from facewatch.stream.pair import PairedPicture, PairedSource
from facewatch.stream.rtp import CodedVideo
from facewatch.stream.rtsp_server import Mount
from facewatch.stream.sources import open_source

LARGE, SMALL = (640, 480), (320, 240)


def camera(url: str, sub_url: str, sub: tuple[str, str] | None = None) -> Camera:
    return Camera(
        *(CameraId(new_id()), OrgId(new_id()), LocationId(new_id()), "lobby", url),
        sub_url=sub_url,
        sub_credentials=sub,
    )


def paired(which: Camera, looks_per_s: float = 10) -> PairedSource:
    source = open_source(which, looks_per_s=looks_per_s, open_timeout_s=2, read_timeout_s=1)
    assert isinstance(source, PairedSource)
    return source


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[CodedVideo, CodedVideo]:
    """The same four seconds, large and small, counted in the picture."""
    folder = tmp_path_factory.mktemp("pair")
    for name, size, gop in (("large", LARGE, 50), ("small", SMALL, 25)):
        encode_video(folder / f"{name}.mp4", counting_pictures(100, *size), fps=25, gop=gop)
    return CodedVideo.read(folder / "large.mp4"), CodedVideo.read(folder / "small.mp4")


@asynccontextmanager
async def served(mounts: Mapping[str, Mount]) -> AsyncIterator[Camera]:
    """A camera whose streams are at main and sub, if they are mounted."""
    async with FaultyServer(mounts) as server:
        yield camera(server.url("main"), server.url("sub"))


class Reading:
    """A source read in a thread of its own."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.frames: list[Frame] = []
        self.trouble: CameraTrouble | None = None
        self.stop = threading.Event()

    def read(self) -> None:
        try:
            for frame in self.source.frames(self.stop):
                self.frames.append(frame)
        except CameraTrouble as trouble:
            self.trouble = trouble

    async def until(self, so: Callable[[], bool]) -> None:
        while not so():
            assert self.trouble is None, self.trouble
            await asyncio.sleep(0.02)


@asynccontextmanager
async def reading(source: Source) -> AsyncIterator[Reading]:
    it = Reading(source)
    task = asyncio.create_task(asyncio.to_thread(it.read))
    try:
        async with asyncio.timeout(20):
            yield it
    finally:
        it.stop.set()
        await task


def begin_s(frame: Frame) -> float:
    """When the video began that *frame* is of: each path begins for its first guest."""
    assert frame.time_source is TimeSource.RTCP
    return frame.at.timestamp() - number_in(frame.picture.full()) / 25


async def test_found_in_the_small_picture_cut_from_the_large_one_of_the_same_moment(
    videos: tuple[CodedVideo, CodedVideo],
) -> None:
    large, small = videos
    mounts = {"main": Mount(large), "sub": Mount(small)}
    async with FaultyServer(mounts) as server:
        which = camera(server.url("main"), server.url("sub"))
        main = open_source(replace(which, sub_url=""), looks_per_s=10)
        async with reading(paired(which)) as it, reading(main) as alone:
            await it.until(lambda: len(it.frames) >= 20 and len(alone.frames) >= 15)
            frames, began_s = it.frames[-10:], begin_s(alone.frames[-1])
            shown = [number_in(frame.picture.full()) for frame in frames]
            pieces = [frame.picture.cut(Box(64, 48, 192, 144)) for frame in frames]
            handicap = it.source.handicap

    due = [(frame.at.timestamp() - began_s) * 25 for frame in frames]
    assert all(abs((a - b + 50) % 100 - 50) <= 1 for a, b in zip(shown, due, strict=True)), shown
    assert len(set(shown)) == 10
    for frame, (pixels, corner) in zip(frames, pieces, strict=True):
        assert (frame.picture.width, frame.picture.height) == LARGE
        assert frame.picture.fit(*SMALL).shape == (SMALL[1], SMALL[0], 3)
        assert corner == (64, 48)
        assert np.abs(pixels.astype(int) - frame.picture.full()[48:144, 64:192]).max() <= 1
    assert handicap == ""


async def test_nothing_of_the_main_stream_is_decoded_before_somebody_wants_it(
    videos: tuple[CodedVideo, CodedVideo],
) -> None:
    large, small = videos
    mounts = {"main": Mount(large), "sub": Mount(small)}
    async with served(mounts) as which, reading(paired(which)) as it:
        await it.until(lambda: len(it.frames) >= 12)
        old, new = it.frames[0].picture, it.frames[-1].picture
        assert new.full().shape == (LARGE[1], LARGE[0], 3)
        await it.until(lambda: len(it.frames) >= 60)

    assert isinstance(old, PairedPicture)
    # whoever asks after five seconds finds the packets gone, and the small picture enlarged
    assert old.full().shape == (LARGE[1], LARGE[0], 3)
    pixels, corner = old.cut(Box(-10, -10, 100, 80))
    assert (pixels.shape, corner) == ((80, 100, 3), (0, 0))
    assert new.full().shape == (LARGE[1], LARGE[0], 3)


async def test_without_the_main_stream_the_small_one_is_all_there_is(
    videos: tuple[CodedVideo, CodedVideo],
) -> None:
    _, small = videos
    async with served({"sub": Mount(small)}) as which, reading(paired(which)) as it:
        await it.until(lambda: len(it.frames) >= 3)

    assert {(it.picture.width, it.picture.height) for it in it.frames} == {SMALL}
    assert "main stream" in it.source.handicap
    assert "no such path" in it.source.handicap


async def test_without_the_sub_stream_the_main_one_is_watched_alone_and_no_password_is_told(
    videos: tuple[CodedVideo, CodedVideo], caplog: pytest.LogCaptureFixture
) -> None:
    large, small = videos
    mounts = {"main": Mount(large), "sub": Mount(small, ("viewer", "right"))}
    async with FaultyServer(mounts) as server:
        which = camera(server.url("main"), server.url("sub"), ("viewer", "letmein"))
        async with reading(paired(which)) as it:
            await it.until(lambda: len(it.frames) >= 3)

    assert {(it.picture.width, it.picture.height) for it in it.frames} == {LARGE}
    assert "sub-stream" in it.source.handicap
    assert "wrong user or password" in it.source.handicap
    assert "letmein" not in it.source.handicap + repr(it.source) + repr(which) + caplog.text


async def test_when_both_are_gone_the_camera_is(videos: tuple[CodedVideo, CodedVideo]) -> None:
    async with FaultyServer({"other": Mount(videos[0])}) as server:
        source = paired(camera(server.url("main"), server.url("sub")))
        async with asyncio.timeout(20):
            with pytest.raises(CameraRefused):
                await asyncio.to_thread(lambda: list(source.frames(threading.Event())))


async def test_a_camera_that_hangs_up_both_is_gone(
    videos: tuple[CodedVideo, CodedVideo],
) -> None:
    large, small = videos
    mounts = {"main": Mount(large), "sub": Mount(small)}
    async with FaultyServer(mounts, hang_up_after=60) as server:
        it = Reading(paired(camera(server.url("main"), server.url("sub"))))
        async with asyncio.timeout(20):
            task = asyncio.create_task(asyncio.to_thread(it.read))
            await asyncio.wait([task], timeout=8)
        it.stop.set()
        await task

    assert it.frames


@pytest.mark.parametrize("sub_url", ["/a/file.mp4", "http://h/", "rtsp:///x", "rtsp://h:99999/x"])
def test_only_cameras_have_two_streams(tmp_path: Path, sub_url: str) -> None:
    with pytest.raises(InvalidRequest, match="two streams"):
        open_source(camera("rtsp://10.0.0.7/main", sub_url), looks_per_s=5)
