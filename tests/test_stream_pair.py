"""Two streams of one camera: found in the small one, cut from the large one."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from rtsp_server import FaultyServer, answering, joined
from videos import coded_as, counting_pictures, number_in

from facewatch.domain.cameras import Camera
from facewatch.domain.events import TimeSource
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, LocationId, OrgId, new_id
from facewatch.errors import CameraRefused, CameraTrouble, CameraUnreachable, InvalidRequest
from facewatch.ports.streams import Frame, Source
from facewatch.stream.encode import encode_video
from facewatch.stream.held import HeldStream, Moment
from facewatch.stream.pair import PairedPicture, PairedSource
from facewatch.stream.rtp import CodedVideo
from facewatch.stream.rtsp import RtspSource
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


def impatient(which: Camera) -> PairedSource:
    """Tries a sub-stream that fails again after a quarter of a second."""

    def open_one(one: Camera) -> RtspSource:
        return RtspSource(one, looks_per_s=10, open_timeout_s=1, read_timeout_s=1)

    return PairedSource(which, open_one, 10, alone_s=0.25)


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
        self.came_s: list[float] = []
        self.trouble: CameraTrouble | None = None
        self.stop = threading.Event()

    def read(self) -> None:
        try:
            for frame in self.source.frames(self.stop):
                self.frames.append(frame)
                self.came_s.append(time.monotonic())
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


async def test_a_camera_that_goes_away_with_both_is_gone(
    videos: tuple[CodedVideo, CodedVideo],
) -> None:
    large, small = videos
    async with FaultyServer({"main": Mount(large), "sub": Mount(small)}) as server:
        it = Reading(paired(camera(server.url("main"), server.url("sub"))))
        task = asyncio.create_task(asyncio.to_thread(it.read))
        async with asyncio.timeout(10):
            await it.until(lambda: len(it.frames) >= 3)
    async with asyncio.timeout(10):
        await task

    assert isinstance(it.trouble, CameraUnreachable)


@pytest.mark.parametrize("sub_url", ["/a/file.mp4", "http://h/", "rtsp:///x", "rtsp://h:99999/x"])
def test_only_cameras_have_two_streams(tmp_path: Path, sub_url: str) -> None:
    with pytest.raises(InvalidRequest, match="two streams"):
        open_source(camera("rtsp://10.0.0.7/main", sub_url), looks_per_s=5)


async def test_a_sub_stream_that_does_not_answer_is_tried_beside_the_main_one(
    videos: tuple[CodedVideo, CodedVideo],
) -> None:
    async with FaultyServer({"main": Mount(videos[0])}) as server, answering(None) as port:
        which = camera(server.url("main"), f"rtsp://127.0.0.1:{port}/sub")
        async with reading(impatient(which)) as it:
            await it.until(lambda: len(it.frames) >= 25)

    assert {(it.picture.width, it.picture.height) for it in it.frames} == {LARGE}
    assert max(b - a for a, b in pairwise(it.came_s)) < 0.7, "each try takes a second or two"


async def test_a_sub_stream_that_comes_back_is_watched_again(
    videos: tuple[CodedVideo, CodedVideo],
) -> None:
    large, small = videos
    async with (
        FaultyServer({"main": Mount(large)}) as main,
        FaultyServer({"sub": Mount(small)}, hang_up_after=40) as sub,
    ):
        source = impatient(camera(main.url("main"), sub.url("sub")))
        async with reading(source) as it:
            await it.until(lambda: "sub-stream fails" in source.handicap)
            await it.until(lambda: not source.handicap)
            so_far = len(it.frames)
            await it.until(lambda: len(it.frames) >= so_far + 5)

    assert isinstance(it.frames[-1].picture, PairedPicture)


async def test_a_main_stream_of_another_size_is_counted_and_said(
    videos: tuple[CodedVideo, CodedVideo], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = []
    for size in (SMALL, (1280, 720)):
        encode_video(tmp_path / f"{size[0]}.mp4", counting_pictures(25, *size), fps=25, gop=25)
        parts.append(CodedVideo.read(tmp_path / f"{size[0]}.mp4"))
    both = joined(*parts)
    sizes = list[tuple[int, ...]]()
    async with served({"main": Mount(both), "sub": Mount(videos[1])}) as which:
        source = paired(which)
        async with reading(source) as it:

            def changed() -> bool:
                sizes.extend(frame.picture.full().shape[1::-1] for frame in it.frames[len(sizes) :])
                return (1280, 720) in sizes

            await it.until(changed)
            changes = source.changes

    assert changes == 1
    assert "pictures of its main stream are 1280 x 720 now, not 320 x 240" in caplog.text


async def test_a_seldom_look_does_not_wait_for_the_next_one(tmp_path: Path) -> None:
    order = {"g": "50", "bf": "3", "b_strategy": "0", "sc_threshold": "0"}
    path = coded_as(tmp_path / "b.mp4", counting_pictures(100, *LARGE), "yuv420p", order)
    large = CodedVideo.read(path)
    async with served({"main": Mount(large), "sub": Mount(large)}) as which:
        async with reading(paired(which, looks_per_s=1)) as it:
            await it.until(lambda: len(it.frames) >= 4)
        came = [c + time.time() - time.monotonic() for c in it.came_s[2:]]

    taken = [frame.at.timestamp() for frame in it.frames[2:]]
    assert all(frame.time_source is TimeSource.RTCP for frame in it.frames[2:])
    assert all(c - t < 0.9 for c, t in zip(came, taken, strict=True))


async def test_streams_whose_clocks_differ_belong_together_by_their_arrival(
    videos: tuple[CodedVideo, CodedVideo], caplog: pytest.LogCaptureFixture
) -> None:
    large, small = videos
    async with (
        FaultyServer({"main": Mount(large)}, clock_off_s=-4) as main,
        FaultyServer({"sub": Mount(small)}) as sub,
    ):
        source = paired(camera(main.url("main"), sub.url("sub")))
        apart = list[int]()
        async with reading(source) as it:
            # what each shows differs by when it began to play: the main one first
            for count in range(10, 31):
                await it.until(lambda least=count: len(it.frames) >= least)  # type: ignore[misc]
                picture = it.frames[count - 1].picture
                apart.append((number_in(picture.full()) - number_in(picture.fit(*SMALL))) % 100)

    assert min(apart[-10:]) > 2, "the enlarged small picture would be the same as the small one"
    assert max(apart[-10:]) - min(apart[-10:]) <= 2
    assert caplog.text.count("the clocks of its two streams are") == 1


# --- what is held -----------------------------------------------------------------------------


ONE_GROUP = {"g": "100", "bf": "0", "sc_threshold": "0"}


@pytest.mark.parametrize("pyramid", ["none", "normal"])
def test_of_pictures_that_come_out_of_order_each_is_decoded_once(
    tmp_path: Path, pyramid: str
) -> None:
    order = ONE_GROUP | {"bf": "3", "b_strategy": "0", "b-pyramid": pyramid}
    path = coded_as(tmp_path / "b.mp4", counting_pictures(100, 160, 120), "yuv420p", order)
    wanted, got = [n / 25 for n in range(10, 90, 4)], list[int]()
    with av.open(str(path)) as container:
        held = HeldStream(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.pts is not None and packet.time_base is not None:
                at = float(packet.pts * packet.time_base)
                held.hold(packet, Moment(at, at))
            while wanted and held.reaches(Moment(wanted[0], wanted[0]), 0):
                at = wanted.pop(0)
                frame = held.picture(Moment(at, at), 0.01)
                assert frame is not None
                got.append(number_in(frame.to_ndarray(format="bgr24")))

    assert got == list(range(10, 90, 4))
    assert held.decoded <= 100


def test_decoding_for_one_picture_ends_in_time_and_goes_on_with_the_next(tmp_path: Path) -> None:
    long = coded_as(tmp_path / "long.mp4", counting_pictures(100, 160, 120), "yuv420p", ONE_GROUP)
    with av.open(str(long)) as container:
        held = HeldStream(container.streams.video[0], patience_s=0.0)
        for packet in container.demux(video=0):
            if packet.pts is not None and packet.time_base is not None:
                at = float(packet.pts * packet.time_base)
                held.hold(packet, Moment(at, at))
        wanted = Moment(2.0, 2.0)
        tries = [held.picture(wanted, 0.1) for _ in range(60)]

    assert tries[:10] == [None] * 10, "each decodes one picture"
    assert tries[-1] is not None
    assert number_in(tries[-1].to_ndarray(format="bgr24")) == 50


def test_a_group_of_pictures_that_is_too_large_is_given_up_to_the_next_key_picture(
    tmp_path: Path,
) -> None:
    encode_video(tmp_path / "fat.mp4", counting_pictures(2, 1920, 1080), fps=25, gop=2, crf=5)
    with av.open(str(tmp_path / "fat.mp4")) as container:
        held = HeldStream(container.streams.video[0])
        key, other = (it for it in container.demux(video=0) if it.size)
    held.hold(key, Moment(0.0, 0.0))
    for number in range(1 + ((32 << 20) - key.size) // other.size):
        assert not held.given_up
        held.hold(other, Moment(number / 25, number / 25))

    assert held.given_up
    assert held.picture(Moment(0.0, 0.0), 0.1) is None
    held.hold(key, Moment(9.0, 9.0))
    assert not held.given_up
    assert held.picture(Moment(9.0, 9.0), 0.1) is not None
