"""One camera's frames are kept coming, and its trouble stays its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from factories import ORG
from rtsp_server import FaultyServer, joined
from videos import counting_pictures

from facewatch.domain.cameras import Camera, CameraState, CameraStatus
from facewatch.domain.ids import CameraId, LocationId, OrgId, new_id, to_ruuid
from facewatch.flow.mailbox import Mailbox
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.camera import Board, Patience, Watch, keep_watching
from facewatch.ports.streams import Frame, Source
from facewatch.stream.encode import encode_video
from facewatch.stream.rtp import CodedVideo
from facewatch.stream.rtsp_server import Mount
from facewatch.stream.sources import open_source

QUICK = Patience(silent_s=2.0, retry_least_s=0.1, retry_most_s=0.2, refused_s=60.0)


def camera(url: str, name: str = "lobby", password: str | None = None) -> Camera:
    credentials = ("admin", password) if password else None
    nowhere = LocationId(UUID(int=2))
    return Camera(CameraId(new_id()), ORG, nowhere, name, url, credentials)


def rtsp(which: Camera) -> Source:
    return open_source(which, looks_per_s=1000, open_timeout_s=2, read_timeout_s=30)


class Watched:
    """Cameras that are being watched, and what is seen of them."""

    def __init__(self, open_one: Callable[[Camera], Source] = rtsp) -> None:
        self.frames: Mailbox[CameraId, Frame] = Mailbox()
        self.metrics = Metrics.on()
        self.board = Board(self.metrics, ORG)
        self._open_one = open_one

    @asynccontextmanager
    async def watching(self, *cameras: Camera) -> AsyncIterator[None]:
        async with asyncio.timeout(25), asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(keep_watching(it, self._open_one, self.frames, self.board, QUICK))
                for it in cameras
            ]
            yield
            for task in tasks:
                task.cancel()

    def status(self, of: Camera) -> CameraStatus | None:
        return next((it for it in self.board.statuses if it.camera == of.id), None)

    async def until(self, so: Callable[[], bool]) -> None:
        while True:
            if so():
                return
            await asyncio.sleep(0.02)

    async def reaches(self, of: Camera, state: CameraState) -> CameraStatus:
        def in_state() -> bool:
            status = self.status(of)
            return status is not None and status.state is state

        await self.until(in_state)
        status = self.status(of)
        assert status is not None
        return status

    async def next_frame(self, of: Camera) -> Frame:
        while True:
            for frame in await self.frames.take(8):
                if frame.camera == of.id:
                    return frame


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> CodedVideo:
    path = tmp_path_factory.mktemp("camera") / "video.mp4"
    encode_video(path, counting_pictures(100), fps=50, gop=10)
    return CodedVideo.read(path)


async def test_a_camera_that_hangs_up_is_gone_and_comes_back(video: CodedVideo) -> None:
    async with FaultyServer({"lobby": Mount(video)}, hang_up_after=20) as server:
        lobby, watched = camera(server.url("lobby")), Watched()
        async with watched.watching(lobby):
            await watched.reaches(lobby, CameraState.LIVE)
            gone = await watched.reaches(lobby, CameraState.GONE)
            back = await watched.reaches(lobby, CameraState.LIVE)
            await watched.next_frame(lobby)

    assert gone.reason
    assert back.reason == ""
    assert back.last_frame_at is not None


async def test_a_camera_that_freezes_is_stalled_though_the_decoder_waits(
    video: CodedVideo,
) -> None:
    async with FaultyServer({"lobby": Mount(video)}, freeze_after=20) as server:
        lobby, watched = camera(server.url("lobby")), Watched()
        async with watched.watching(lobby):
            await watched.reaches(lobby, CameraState.LIVE)
            stalled = await watched.reaches(lobby, CameraState.STALLED)

    assert "no frame" in stalled.reason


async def test_a_camera_that_refuses_us_is_not_hammered() -> None:
    knocks = 0

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal knocks
        knocks += 1
        while line := await reader.readline():
            if line.lower().startswith(b"cseq"):
                writer.write(b"RTSP/1.0 401 Unauthorized\r\n" + line + b"\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        lobby, watched = camera(f"rtsp://127.0.0.1:{port}/x", password="s3cret"), Watched()
        async with watched.watching(lobby):
            refused = await watched.reaches(lobby, CameraState.REFUSED)
            after_refusal = knocks
            await asyncio.sleep(1.5)  # five retries of an ordinary failure would fit in here

    assert knocks == after_refusal
    assert "s3cret" not in refused.reason


async def test_one_cameras_trouble_does_not_touch_another(video: CodedVideo) -> None:
    mounts = {"lobby": Mount(video)}
    async with FaultyServer(mounts, freeze_after=5) as bad, FaultyServer(mounts) as good:
        frozen, fine = camera(bad.url("lobby"), "frozen"), camera(good.url("lobby"), "fine")
        absent, watched = camera("rtsp://127.0.0.1:9/x", "absent"), Watched()
        async with watched.watching(frozen, fine, absent):
            await watched.reaches(absent, CameraState.GONE)
            await watched.reaches(frozen, CameraState.STALLED)
            first = await watched.next_frame(fine)
            second = await watched.next_frame(fine)

    assert second.sequence > first.sequence
    status = watched.status(fine)
    assert status is not None
    assert (status.state, status.reason) == (CameraState.LIVE, "")


async def test_a_camera_that_changes_its_resolution_stays_and_is_counted(tmp_path: Path) -> None:
    parts = []
    for width, height in ((320, 240), (640, 360)):
        path = tmp_path / f"{width}.mp4"
        encode_video(path, counting_pictures(50, width, height), fps=50, gop=10)
        parts.append(CodedVideo.read(path))
    async with FaultyServer({"lobby": Mount(joined(*parts))}) as server:
        lobby, watched = camera(server.url("lobby")), Watched()
        async with watched.watching(lobby):
            await watched.reaches(lobby, CameraState.LIVE)
            counted = {"camera": "lobby"}
            registry = watched.metrics.registry
            await watched.until(
                lambda: (registry.get_sample_value("stream_changes_total", counted) or 0) >= 2
            )
            status = watched.status(lobby)
            frame = await watched.next_frame(lobby)

    assert status is not None
    assert status.state is CameraState.LIVE
    assert (frame.picture.width, frame.picture.height) in {(320, 240), (640, 360)}


async def test_a_camera_that_doubles_its_rate_is_counted_and_looked_at_as_often(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = []
    for fps, pictures in ((25, 75), (50, 250)):
        path = tmp_path / f"{fps}.mp4"
        encode_video(path, counting_pictures(pictures, 160, 120), fps=fps, gop=fps)
        parts.append(CodedVideo.read(path))
    async with FaultyServer({"lobby": Mount(joined(*parts))}) as server:
        lobby = camera(server.url("lobby"))
        watched = Watched(lambda which: open_source(which, looks_per_s=5))
        async with watched.watching(lobby):
            registry, counted = watched.metrics.registry, {"camera": "lobby"}
            await watched.until(
                lambda: (registry.get_sample_value("stream_changes_total", counted) or 0) >= 1
            )
            await watched.next_frame(lobby)
            times = [(await watched.next_frame(lobby)).t_s for _ in range(6)]
            status = watched.status(lobby)

    assert status is not None
    assert status.state is CameraState.LIVE
    assert "it sent 25.0 pictures a second, and sends 50.0 now" in caplog.text
    apart_s = [b - a for a, b in pairwise(times)]
    assert apart_s == pytest.approx([1 / 5] * 5, abs=0.05)


async def test_a_camera_with_one_of_its_two_streams_is_live_and_says_what_it_lacks(
    video: CodedVideo,
) -> None:
    async with FaultyServer({"main": Mount(video), "sub": Mount(video)}) as server:
        both = replace(camera(server.url("main"), "both"), sub_url=server.url("sub"))
        half = replace(camera(server.url("nowhere"), "half"), sub_url=server.url("sub"))
        watched = Watched()
        async with watched.watching(both, half):
            whole = await watched.reaches(both, CameraState.LIVE)
            lacking = await watched.reaches(half, CameraState.LIVE)

    assert whole.reason == ""
    assert "main stream fails" in lacking.reason
    assert "no such path" in lacking.reason


class HangingSource:
    """A decoder that never comes back from C."""

    received = changes = late = 0
    handicap = ""

    def __init__(self) -> None:
        self.released = threading.Event()

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        self.released.wait()
        yield from ()


async def test_a_decoder_that_hangs_is_left_behind_and_the_camera_opened_anew() -> None:
    opened: list[HangingSource] = []

    def open_one(_: Camera) -> HangingSource:
        opened.append(HangingSource())
        return opened[-1]

    lobby, watched = camera("rtsp://127.0.0.1:9/x"), Watched(open_one)
    async with watched.watching(lobby):
        await watched.until(lambda: len(opened) >= 2)
    for source in opened:
        source.released.set()

    status = watched.status(lobby)
    assert status is not None
    assert status.state is CameraState.STALLED


class BrokenSource:
    """A source with a bug."""

    received = changes = late = 0
    handicap = ""

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        raise ZeroDivisionError("a bug")
        yield


async def test_a_bug_in_a_reader_is_seen() -> None:
    watched = Watched(lambda _: BrokenSource())

    with pytest.raises(ExceptionGroup) as caught:
        async with watched.watching(camera("rtsp://127.0.0.1:9/x")):
            await asyncio.sleep(10)

    assert caught.group_contains(ZeroDivisionError)


async def test_cameras_come_and_go_with_the_table_and_others_do_not_notice() -> None:
    log: list[str] = []
    lists: asyncio.Queue[list[Camera]] = asyncio.Queue()

    async def watch_one(which: Camera) -> None:
        log.append(f"+{which.name} {which.url[-1]}")
        try:
            await asyncio.Event().wait()
        finally:
            log.append(f"-{which.name} {which.url[-1]}")

    async def newest() -> AsyncIterator[list[Camera]]:
        while True:
            yield await lists.get()

    async def comes(*lines: str) -> None:
        await Watched().until(lambda: log == list(lines))

    lobby, door = camera("rtsp://127.0.0.1/1", "lobby"), camera("rtsp://127.0.0.1/1", "door")
    watch = Watch(watch_one, forget=lambda _: None)
    async with asyncio.timeout(5):
        task = asyncio.create_task(watch.follow(newest()))
        await lists.put([lobby, door])
        await comes("+lobby 1", "+door 1")
        await lists.put([lobby, replace(door, url="rtsp://127.0.0.1/2")])
        await comes("+lobby 1", "+door 1", "-door 1", "+door 2")
        strict = replace(lobby, match_threshold=0.9)
        await lists.put([strict, replace(door, url="rtsp://127.0.0.1/2")])
        await Watched().until(lambda: watch.camera(lobby.id) == strict)
        await lists.put([strict])
        await comes("+lobby 1", "+door 1", "-door 1", "+door 2", "-door 2")
        await lists.put([lobby, door])
        await comes("+lobby 1", "+door 1", "-door 1", "+door 2", "-door 2", "+door 1")
        assert watch.camera(lobby.id).match_threshold is None
        task.cancel()
        await asyncio.wait([task])


def test_two_orgs_call_a_camera_alike() -> None:
    metrics = Metrics.on()
    board = Board(metrics, ORG)
    ours = camera("rtsp://127.0.0.1/1")
    theirs = replace(ours, id=CameraId(new_id()), org=OrgId(UUID(int=9)))
    board.show(ours, CameraState.LIVE)
    board.show(theirs, CameraState.GONE)
    for which, frames in ((ours, 3), (theirs, 5)):
        board.count(which, frames, 1.0)
        board.decoded(which, 0.5)

    def received(name: str) -> float | None:
        return metrics.registry.get_sample_value("frames_received_total", {"camera": name})

    behind_its_org = f"{to_ruuid(theirs.org)}/lobby"
    assert (received("lobby"), received(behind_its_org)) == (3, 5)
    live = {"camera": "lobby", "state": "live"}
    assert metrics.registry.get_sample_value("camera_state", live) == 1
    board.forget(ours)
    assert (received("lobby"), received(behind_its_org)) == (None, 5)


async def test_a_removed_camera_leaves_no_state_behind_but_its_silence() -> None:
    board, lobby = Board(Metrics.on(), ORG), camera("rtsp://127.0.0.1/1")

    async def watch_one(which: Camera) -> None:
        board.show(which, CameraState.LIVE)
        board.frame(which, datetime.now(UTC))
        try:
            await asyncio.Event().wait()
        finally:
            board.show(which, CameraState.GONE)  # the last words of its connection

    async def lists() -> AsyncIterator[list[Camera]]:
        yield [lobby]
        await asyncio.sleep(0)
        yield []

    async with asyncio.timeout(5):
        await Watch(watch_one, board.forget).follow(lists())

    assert board.statuses == []
    assert board.silent(for_s=0.0) == [lobby.id]


async def test_an_address_that_cannot_be_watched_is_refused_and_touches_nobody_else() -> None:
    odd, watched = camera("gopher://127.0.0.1/x"), Watched()
    async with watched.watching(odd):
        refused = await watched.reaches(odd, CameraState.REFUSED)

    assert "gopher" in refused.reason
