"""A reader that cannot keep up: old pictures are thrown away, new ones looked at."""

import asyncio
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from videos import counting_pictures

from facewatch.domain.cameras import Camera
from facewatch.domain.ids import CameraId, LocationId, OrgId, new_id
from facewatch.stream.encode import encode_video
from facewatch.stream.lag import Lag
from facewatch.stream.rtp import CodedVideo
from facewatch.stream.rtsp import RtspSource
from facewatch.stream.rtsp_server import Mount, RtspServer

FPS, GOP = 25, 25


@dataclass
class Reader:
    """Reads a camera of 25 pictures a second, a key picture every second."""

    decode_s: float
    now: float = 100.0
    sent: int = 0
    hiccup_s: float = 0.0

    def __post_init__(self) -> None:
        self.lag = Lag(lambda: self.now)

    def read(self, seconds: float) -> list[float]:
        """How late the decoded pictures of the next *seconds* were."""
        late, until = [], self.now + seconds
        while self.now < until:
            t_s = self.sent / FPS
            comes = 100.0 + self.hiccup_s + t_s
            waited_s = max(comes - self.now, 0.0)
            self.now = max(self.now, comes)  # or it waits for us
            if not self.lag.leaves_out(t_s, waited_s, key=self.sent % GOP == 0):
                late.append(self.now - 100 - t_s)
                self.now += self.decode_s
            self.sent += 1
        return late


def test_who_keeps_up_decodes_everything() -> None:
    reader = Reader(decode_s=0.039)

    assert len(reader.read(60)) == pytest.approx(1500, abs=2)
    assert reader.lag.left_out == 0


@pytest.mark.parametrize("decode_s", [0.05, 0.08, 0.2])
def test_who_is_too_slow_sees_new_pictures_all_the_same(decode_s: float) -> None:
    reader = Reader(decode_s)
    late = reader.read(120)

    assert max(late) < 1.2
    assert len(late) > 0.4 * 120 / decode_s  # and spends much of the time on it
    assert reader.sent == pytest.approx(120 * FPS, rel=0.02)


def test_a_hiccup_of_the_network_costs_nothing() -> None:
    reader = Reader(decode_s=0.005)
    reader.read(10)
    reader.hiccup_s = 3.0
    reader.read(3.1)  # silence, then all at once
    reader.hiccup_s = 0.0
    reader.read(10)

    assert reader.lag.left_out == 0


def test_a_longer_way_is_no_reason_to_go_blind() -> None:
    reader = Reader(decode_s=0.005)
    reader.read(10)
    reader.hiccup_s = 2.0  # from now on
    reader.read(20)

    assert reader.lag.left_out == 0


def test_a_way_that_becomes_longer_while_we_catch_up() -> None:
    reader = Reader(decode_s=0.08)
    reader.read(10)
    reader.hiccup_s, reader.decode_s = 2.0, 0.005
    reader.read(10)  # some seconds of throwing away what is late for another reason
    before = reader.lag.left_out

    assert len(reader.read(20)) == pytest.approx(500, abs=2)
    assert reader.lag.left_out == before


def test_clocks_that_drift_apart_are_no_lateness() -> None:
    now = 0.0
    lag = Lag(lambda: now)
    for second in range(0, 86_400, 10):  # 100 ppm: nine seconds a day
        now = second * 1.0001
        assert not lag.leaves_out(second, 0.0, key=True)


@pytest.mark.parametrize("jump_s", [-3600.0, 3600.0])
def test_a_camera_that_counts_anew_is_not_late(jump_s: float) -> None:
    now = 0.0
    lag = Lag(lambda: now)
    for frame in range(500):
        now = frame / FPS
        assert not lag.leaves_out(now + (jump_s if frame > 250 else 0), 0.0, key=frame % GOP == 0)


async def test_a_slow_reader_of_a_real_camera(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "quick.mp4"
    encode_video(path, counting_pictures(100), fps=100, gop=50)
    mount = Mount(CodedVideo.read(path))

    def read(url: str, seconds: float) -> tuple[list[float], int]:
        """Ages of the pictures, for somebody who has time for a third of them."""
        ids = CameraId(new_id()), OrgId(new_id()), LocationId(new_id())
        source, stop = RtspSource(Camera(*ids, "lobby", url), looks_per_s=60), threading.Event()
        ages, until = [], time.monotonic() + seconds
        for frame in source.frames(stop):
            ages.append((datetime.now(UTC) - frame.at).total_seconds())
            time.sleep(0.05)
            if time.monotonic() > until:
                stop.set()
        return ages, source.late

    async with RtspServer({"a": mount}, report_every_s=0.5) as server, asyncio.timeout(30):
        ages, late = await asyncio.to_thread(read, server.url("a"), 7.0)

    assert max(ages) < 2.0  # all of them decoded: 4.7 s by now, and more to come
    assert late > 100
    assert len([line for line in caplog.messages if "there is no time to decode" in line]) == 1
