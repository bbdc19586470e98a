"""Cameras over real sockets: what arrives, and what each way of failing is called."""

import asyncio
import contextlib
import logging
import socket
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from rtsp_server import FaultyServer, answering, joined, self_signed, wiped
from videos import counting_pictures, number_in

from facewatch.domain.cameras import Camera, Transport
from facewatch.domain.events import TimeSource
from facewatch.domain.ids import CameraId, LocationId, OrgId, new_id
from facewatch.errors import (
    CameraRefused,
    CameraStalled,
    CameraTrouble,
    CameraUnreachable,
    InvalidRequest,
    UnreadableStream,
)
from facewatch.ports.streams import Frame
from facewatch.stream import hardware
from facewatch.stream.encode import Codec, encode_video
from facewatch.stream.rtp import CodedVideo
from facewatch.stream.rtsp import RtspSource
from facewatch.stream.rtsp_server import Authentication, Mount
from facewatch.stream.sources import open_source, probe

FPS = 100
SECRET = ("ad min", "p@ss:w/ö%rd?#")


def camera(
    url: str,
    credentials: tuple[str, str] | None = None,
    transport: Transport = Transport.TCP,
) -> Camera:
    ids = CameraId(new_id()), OrgId(new_id()), LocationId(new_id())
    return Camera(*ids, "lobby", url, credentials, transport)


def source(which: Camera, looks_per_s: float = 1000) -> RtspSource:
    return RtspSource(which, looks_per_s=looks_per_s, open_timeout_s=2, read_timeout_s=1)


async def watch(
    watched: RtspSource, most: int = 10_000
) -> tuple[list[Frame], CameraTrouble | None]:
    """Its first frames in a reader thread of its own, and how it ended."""

    def read() -> tuple[list[Frame], CameraTrouble | None]:
        stop, frames = threading.Event(), list[Frame]()
        try:
            for frame in watched.frames(stop):
                frames.append(frame)
                if len(frames) >= most:
                    stop.set()
        except CameraTrouble as error:
            return frames, error
        return frames, None

    async with asyncio.timeout(15):
        return await asyncio.to_thread(read)


async def refusal(which: Camera) -> CameraTrouble:
    frames, error = await watch(source(which))
    assert not frames
    assert error is not None
    return error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cameras")


@pytest.fixture(scope="module")
def video(folder: Path) -> CodedVideo:
    """One second, so fast that tests need not wait long, a key picture every 10."""
    encode_video(folder / "h264.mp4", counting_pictures(FPS), fps=FPS, gop=10)
    return CodedVideo.read(folder / "h264.mp4")


@pytest.fixture(scope="module")
def hevc(folder: Path) -> CodedVideo:
    encode_video(folder / "hevc.mp4", counting_pictures(FPS), fps=FPS, gop=10, codec="hevc")
    return CodedVideo.read(folder / "hevc.mp4")


@pytest.mark.parametrize(
    ("transport", "codec", "b_frames"),
    [
        (Transport.TCP, "h264", 0),
        (Transport.TCP, "hevc", 2),
        (Transport.UDP, "h264", 2),
        (Transport.UDP, "hevc", 0),
    ],
)
async def test_frames_arrive_in_order_and_in_time(
    tmp_path: Path, transport: Transport, codec: Codec, b_frames: int
) -> None:
    path = tmp_path / "round.mp4"
    encode_video(path, counting_pictures(25), fps=50, gop=5, codec=codec, b_frames=b_frames)
    video = CodedVideo.read(path)
    assert max(len(nal) for unit in video.units for nal in unit.nals) > 1400  # goes in fragments

    async with FaultyServer({"a": Mount(video)}) as server:
        frames, error = await watch(source(camera(server.url("a"), transport=transport)), 40)

    assert error is None
    later = frames[5:40]  # while libav guesses what the stream is it may lose a picture
    numbers = [number_in(frame.picture.full()) for frame in later]
    assert {(b - a) % 25 for a, b in pairwise(numbers)} == {1}  # around the corner, too
    steps = [b.t_s - a.t_s for a, b in pairwise(later)]
    assert steps == pytest.approx([0.02] * len(steps), abs=0.001)
    assert {b.sequence - a.sequence for a, b in pairwise(later)} == {1}


async def test_only_frames_that_are_due_are_handed_on(folder: Path) -> None:
    path = folder / "long.mp4"
    encode_video(path, counting_pictures(FPS), fps=FPS, gop=1000)
    async with FaultyServer({"a": Mount(CodedVideo.read(path))}) as server:
        watched = source(camera(server.url("a")), looks_per_s=5)
        frames, _ = await watch(watched, 8)

    assert [b.sequence - a.sequence for a, b in pairwise(frames[1:])] == [FPS // 5] * 6
    assert watched.received >= 7 * FPS // 5


@pytest.mark.parametrize("authentication", list(Authentication))
async def test_the_right_password_opens_whatever_is_in_it(
    video: CodedVideo, authentication: Authentication
) -> None:
    async with FaultyServer({"a": Mount(video, SECRET, authentication)}) as server:
        frames, error = await watch(source(camera(server.url("a"), SECRET)), 2)

    assert error is None
    assert frames


@pytest.mark.parametrize("authentication", list(Authentication))
async def test_a_wrong_password_is_refused_and_told_to_nobody(
    video: CodedVideo, authentication: Authentication, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with FaultyServer({"a": Mount(video, SECRET, authentication)}) as server:
        error = await refusal(camera(server.url("a"), ("admin", "letmein")))

    assert isinstance(error, CameraRefused)
    assert "password" in str(error)
    told = "".join(traceback.format_exception(error)) + caplog.text + repr(error)
    assert "letmein" not in told
    assert error.__cause__ is error.__context__ is None


async def test_no_password_is_refused(video: CodedVideo) -> None:
    async with FaultyServer({"a": Mount(video, SECRET)}) as server:
        assert isinstance(await refusal(camera(server.url("a"))), CameraRefused)


async def test_a_path_that_is_not_there_is_refused(video: CodedVideo) -> None:
    async with FaultyServer({"a": Mount(video)}) as server:
        error = await refusal(camera(server.url("b")))

    assert isinstance(error, CameraRefused)
    assert "path" in str(error)


async def test_a_closed_port_is_unreachable() -> None:
    async with answering(None) as port:
        pass  # closed again: nobody listens there

    assert isinstance(await refusal(camera(f"rtsp://127.0.0.1:{port}/a")), CameraUnreachable)


async def test_a_host_that_does_not_take_the_connection_is_unreachable() -> None:
    with socket.socket() as full, contextlib.ExitStack() as others:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):  # more than it takes: the kernel drops whoever comes now
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(full.getsockname())

        error = await refusal(camera(f"rtsp://127.0.0.1:{full.getsockname()[1]}/a"))

    assert isinstance(error, CameraUnreachable)


async def test_a_name_that_nobody_has_is_unreachable() -> None:
    error = await refusal(camera("rtsp://camera.invalid/a", ("admin", "letmein")))

    assert isinstance(error, CameraUnreachable)
    assert "looked up" in str(error)
    assert "letmein" not in str(error)


async def test_a_camera_that_accepts_and_stays_silent_is_stalled() -> None:
    began = time.monotonic()
    async with answering(None) as port:
        error = await refusal(camera(f"rtsp://127.0.0.1:{port}/a"))

    assert isinstance(error, CameraStalled)
    assert time.monotonic() - began < 4  # twice the timeout for opening


async def test_what_is_no_camera_is_called_so() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") as port:
        error = await refusal(camera(f"rtsp://127.0.0.1:{port}/a"))

    assert isinstance(error, CameraTrouble)
    assert error.remedy


@pytest.mark.parametrize("name", [b"radio", "Büro".encode("latin-1")])
async def test_a_stream_without_video_is_unreadable_whatever_its_name(name: bytes) -> None:
    described = b"v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=%b\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n" % name
    head = b"RTSP/1.0 200 OK\r\nCSeq: %d\r\nContent-Type: application/sdp\r\n"
    answer = head % 2 + b"Content-Length: %d\r\n\r\n" % len(described) + described
    async with answering(answer) as port:
        error = await refusal(camera(f"rtsp://127.0.0.1:{port}/a"))

    assert isinstance(error, UnreadableStream)


@pytest.mark.parametrize("transport", list(Transport))
async def test_a_frozen_camera_is_stalled_within_the_read_timeout(
    video: CodedVideo, transport: Transport
) -> None:
    async with FaultyServer({"a": Mount(video)}, freeze_after=60) as server:
        frames, error = await watch(source(camera(server.url("a"), transport=transport)))
        silent_s = time.time() - frames[-1].at.timestamp()

    assert isinstance(error, CameraStalled)
    assert len(frames) >= 20
    assert 0.8 < silent_s < 2.5


async def test_a_camera_that_hangs_up_is_unreachable(video: CodedVideo) -> None:
    async with FaultyServer({"a": Mount(video)}, hang_up_after=60) as server:
        frames, error = await watch(source(camera(server.url("a"))))

    assert isinstance(error, CameraUnreachable)
    assert len(frames) >= 20


@pytest.mark.parametrize("codec", ["h264", "hevc"])
async def test_a_damaged_bitstream_is_survived(
    video: CodedVideo, hevc: CodedVideo, codec: Codec
) -> None:
    shown = video if codec == "h264" else hevc
    async with FaultyServer({"a": Mount(shown)}, damage_every=7) as server:
        frames, error = await watch(source(camera(server.url("a"))), 60)

    assert error is None
    assert len(frames) >= 60


async def test_a_stream_that_cannot_be_decoded_is_unreadable(video: CodedVideo) -> None:
    async with FaultyServer({"a": Mount(wiped(video))}) as server:
        watched = RtspSource(
            camera(server.url("a")), looks_per_s=5, open_timeout_s=1, read_timeout_s=0.5
        )
        _, error = await watch(watched)

    assert isinstance(error, UnreadableStream)


async def test_a_new_resolution_just_arrives(tmp_path: Path) -> None:
    parts = []
    for width, height in ((320, 240), (640, 360)):
        path = tmp_path / f"{width}.mp4"
        encode_video(path, counting_pictures(25, width, height), fps=50, gop=10)
        parts.append(CodedVideo.read(path))

    async with FaultyServer({"a": Mount(joined(*parts))}) as server:
        frames, error = await watch(source(camera(server.url("a"))), 60)

    assert error is None
    sizes = [frame.picture.full().shape[:2] for frame in frames]
    assert {(240, 320), (360, 640)} == set(sizes)
    assert all(frame.picture.fit(64, 64).shape == (64, 64, 3) for frame in frames)


async def test_a_camera_whose_timestamps_stand_still_is_looked_at_all_the_same(
    tmp_path: Path,
) -> None:
    path = tmp_path / "still.mp4"
    encode_video(path, counting_pictures(150), fps=25, gop=25)
    video = CodedVideo.read(path)
    still = replace(video, units=tuple(replace(it, shown_s=0.0) for it in video.units))
    async with FaultyServer({"a": Mount(still)}) as server, asyncio.timeout(10):
        frames, error = await watch(source(camera(server.url("a")), looks_per_s=5), 10)

    assert error is None
    numbers = [number_in(frame.picture.full()) for frame in frames[2:]]
    assert all(3 <= (b - a) % 150 <= 7 for a, b in pairwise(numbers)), numbers


async def test_rtsps_with_a_certificate_that_the_camera_made_itself(
    tmp_path: Path, video: CodedVideo
) -> None:
    async with FaultyServer({"a": Mount(video, SECRET)}, tls=self_signed(tmp_path)) as server:
        assert server.url("a").startswith("rtsps://")
        frames, error = await watch(source(camera(server.url("a"), SECRET)), 5)

    assert error is None
    assert len(frames) >= 5


@pytest.mark.parametrize("transport", list(Transport))
async def test_a_frame_carries_the_cameras_own_time(
    video: CodedVideo, transport: Transport
) -> None:
    # A clock that is 9 s slow: only the camera can have said so. Reports come every 0.5 s.
    async with FaultyServer({"a": Mount(video)}, clock_off_s=-9) as server:
        began = time.time()
        frames, _ = await watch(source(camera(server.url("a"), transport=transport)), 3 * FPS // 2)
        ended = time.time()

    dated = [frame for frame in frames if frame.time_source is TimeSource.RTCP]
    assert len(dated) >= FPS // 2
    assert all(began < frame.at.timestamp() + 9 < ended for frame in dated)
    # Every picture says the same of when the video began, but for whole rounds of one second.
    starts = [frame.at.timestamp() - number_in(frame.picture.full()) / FPS for frame in dated]
    assert max(abs(start - starts[0] - round(start - starts[0])) for start in starts) < 0.01
    undated = [frame for frame in frames if frame not in dated]
    assert {frame.time_source for frame in undated} <= {TimeSource.ARRIVAL}
    assert all(began < frame.at.timestamp() < ended for frame in undated)


async def test_a_camera_whose_clock_was_never_set_is_not_believed(
    video: CodedVideo, caplog: pytest.LogCaptureFixture
) -> None:
    async with FaultyServer({"a": Mount(video)}, clock_off_s=-3600) as server:
        began = time.time()
        frames, _ = await watch(source(camera(server.url("a"))), 60)

    assert {frame.time_source for frame in frames} == {TimeSource.ARRIVAL}
    assert all(began < frame.at.timestamp() < time.time() for frame in frames)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "3600 s behind" in warnings[0]


async def test_one_cameras_trouble_is_not_anothers(video: CodedVideo) -> None:
    async with (
        FaultyServer({"a": Mount(video)}) as good,
        FaultyServer({"a": Mount(video)}, freeze_after=10, damage_every=3) as bad,
    ):
        (frames, error), (_, trouble) = await asyncio.gather(
            watch(source(camera(good.url("a"))), 2 * FPS), watch(source(camera(bad.url("a"))))
        )

    assert isinstance(trouble, CameraStalled)
    assert error is None
    steps = [b.at - a.at for a, b in pairwise(frames[1:])]
    assert max(steps).total_seconds() < 0.5


async def test_stop_ends_a_silent_camera_too(video: CodedVideo) -> None:
    stop = threading.Event()
    async with FaultyServer({"a": Mount(video)}, freeze_after=20) as server, asyncio.timeout(5):
        frames = source(camera(server.url("a"))).frames(stop)
        reader = asyncio.create_task(asyncio.to_thread(list, frames))
        await server.frozen.wait()
        stop.set()
        await asyncio.wait([reader])

    assert reader.done()


async def test_64_clients_at_once(video: CodedVideo) -> None:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
    async with FaultyServer({"a": Mount(video)}) as server:
        url = server.url("a")
        results = await asyncio.gather(*(watch(source(camera(url)), 3) for _ in range(64)))

    assert all(error is None and len(frames) >= 3 for frames, error in results)


async def test_a_slow_client_loses_pictures_and_delays_nobody(tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    encode_video(path, counting_pictures(25, 960, 540), fps=25, gop=1, crf=5)
    async with FaultyServer({"a": Mount(CodedVideo.read(path))}) as server:
        url = server.url("a")
        slow = source(camera(url)).frames(threading.Event())
        await asyncio.to_thread(next, slow)
        frames, error = await watch(source(camera(url)), 60)
        waiting = server.waiting_bytes()
        await asyncio.to_thread(slow.close)

    assert error is None
    assert max(b.at - a.at for a, b in pairwise(frames[1:])).total_seconds() < 2
    assert 1 << 18 < waiting < 2 << 20


async def test_a_probe_says_what_a_camera_sends(hevc: CodedVideo) -> None:
    async with FaultyServer({"a": Mount(hevc)}) as server:
        found = await asyncio.to_thread(probe, camera(server.url("a")))

    assert (found.codec, found.width, found.height) == ("hevc", 320, 240)
    assert found.fps == pytest.approx(FPS, rel=0.02)
    assert found.has_clock
    assert 0 < found.first_frame_s < 3


async def test_a_file_in_a_cameras_place_plays_in_real_time(
    folder: Path, video: CodedVideo
) -> None:
    for url in (f"file://{folder}/h264.mp4", f"{folder}/h264.mp4"):
        frames = open_source(camera(url), looks_per_s=5).frames(threading.Event())
        seen = [next(frames) for _ in range(4)]
        assert (seen[3].at - seen[0].at).total_seconds() == pytest.approx(0.6, abs=0.2)
        assert {frame.time_source for frame in seen} == {TimeSource.ARRIVAL}


def test_a_file_in_a_cameras_place_hangs_up_at_its_end(tmp_path: Path) -> None:
    encode_video(tmp_path / "short.mp4", counting_pictures(5), fps=25)
    frames = open_source(camera(f"{tmp_path}/short.mp4"), looks_per_s=5).frames(threading.Event())

    with pytest.raises(CameraUnreachable, match="at its end"):
        list(frames)


def test_an_unknown_scheme_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match="http"):
        open_source(camera("http://camera/stream"), looks_per_s=5)


async def test_a_gpu_that_is_not_there_is_said_once_and_the_cpu_decodes(
    video: CodedVideo, caplog: pytest.LogCaptureFixture
) -> None:
    hardware._without_driver.clear()
    async with FaultyServer({"a": Mount(video, SECRET)}) as server:
        for _ in range(2):
            which = camera(server.url("a"), SECRET)
            on_gpu = RtspSource(which, looks_per_s=1000, decode_on="cuda")
            frames, error = await watch(on_gpu, 5)
            assert error is None
            assert len(frames) >= 5
            assert frames[0].picture.full().shape == (240, 320, 3)

    said = [it for it in caplog.messages if "decode_on" in it]
    if hardware._without_driver:
        assert len(said) == 1
        assert "the CPU decodes" in said[0]
        assert "driver" in said[0]
    else:
        assert said == []
