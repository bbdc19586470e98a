"""Files as sources: every container and every way in which one can be broken."""

import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import av
import pytest
from videos import audio_only, coded_as, counting_pictures, number_in, shifted

from facewatch.domain.events import TimeSource
from facewatch.domain.ids import CameraId, new_id
from facewatch.errors import UnreadableStream
from facewatch.ports.streams import Frame
from facewatch.stream.encode import Codec, encode_video
from facewatch.stream.files import FileSource, duration_s, recorded_start

CAMERA = CameraId(new_id())
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
REAL = Path(__file__).parents[2] / "shared/data/dev/videos"
real_videos = pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data")


def look(path: Path, looks_per_s: float = 5, start: datetime | None = NOON) -> list[Frame]:
    source = FileSource(CAMERA, path, looks_per_s=looks_per_s, start=start)
    return list(source.frames(threading.Event()))


def close_to_ticks(frames: list[Frame], b_frames: int) -> bool:
    """Whether of 50 pictures every fifth was looked at, or the next one that others refer to."""
    late = [number - 5 * tick for tick, number in enumerate(numbers(frames))]
    return len(late) == 10 and 0 <= min(late) <= max(late) <= b_frames


def numbers(frames: list[Frame]) -> list[int]:
    return [number_in(frame.picture.full()) for frame in frames]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds, 25 fps, a key picture every 10."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    encode_video(path, counting_pictures(50), fps=25, gop=10, b_frames=2)
    return path


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [*product(["mp4", "mov", "mkv", "ts"], ["h264", "hevc"]), ("avi", "h264")],
)
def test_every_container_gives_the_frames_that_are_due(
    tmp_path: Path, suffix: str, codec: Codec
) -> None:
    path = tmp_path / f"clip.{suffix}"
    b_frames = 0 if suffix == "avi" else 2  # avi keeps no presentation times
    encode_video(path, counting_pictures(50), fps=25, gop=10, codec=codec, b_frames=b_frames)

    frames = look(path)

    assert close_to_ticks(frames, b_frames)
    seen = numbers(frames)
    times = [frame.t_s - frames[0].t_s for frame in frames]
    assert times == pytest.approx([it / 25 for it in seen], abs=0.002)
    assert {frame.time_source for frame in frames} == {TimeSource.GIVEN}


def test_the_first_frame_at_or_after_each_due_time_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "slow.mp4"
    encode_video(path, counting_pictures(25), fps=12.5)

    assert numbers(look(path)) == [0, 3, 5, 8, 10, 13, 15, 18, 20, 23]


@pytest.mark.parametrize(("fps", "looks"), [(1, 12), (120, 1)])
def test_slow_and_fast_videos(tmp_path: Path, fps: int, looks: int) -> None:
    path = tmp_path / "clip.mp4"
    encode_video(path, counting_pictures(12, 160, 120), fps=fps)

    frames = look(path)

    assert len(frames) == looks
    assert (frames[0].picture.width, frames[0].picture.height) == (160, 120)


def test_one_key_frame_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    encode_video(path, counting_pictures(50), fps=25, gop=1000)

    assert numbers(look(path)) == list(range(0, 50, 5))


def test_a_frame_is_dated_from_the_start_of_the_videos_own_time(tmp_path: Path, clip: Path) -> None:
    late = shifted(clip, tmp_path / "late.mp4", 100.0)

    frames = look(late)

    assert frames[0].t_s == pytest.approx(100, abs=0.1)
    assert close_to_ticks(frames, b_frames=2)
    assert all(frame.at == NOON + timedelta(seconds=frame.t_s) for frame in frames)
    assert duration_s(late) == pytest.approx(frames[0].t_s + 2, abs=0.2)


def test_the_clock_of_a_transport_stream_starts_anywhere(tmp_path: Path, clip: Path) -> None:
    late = shifted(clip, tmp_path / "late.ts", 80_000.0)

    frames = look(late)

    assert frames[0].t_s >= 80_000
    assert frames[0].at == NOON
    assert frames[-1].at - NOON == pytest.approx(
        timedelta(seconds=1.8), abs=timedelta(seconds=0.01)
    )


def test_timestamps_that_jump_back_do_not_stall(tmp_path: Path) -> None:
    parts = [tmp_path / "a.ts", tmp_path / "b.ts"]
    for number, part in enumerate(parts):
        encode_video(part, counting_pictures(50, first=50 * number), fps=25, gop=10)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))

    frames = look(joined)

    times = [frame.t_s for frame in frames]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx(3.8, abs=0.1)
    assert [n // 10 for n in numbers(frames)] == [n // 2 for n in range(20)]


@pytest.mark.parametrize("by_s", [2e6, 3e11])
def test_timestamps_that_leap_ahead_end_the_reading(
    tmp_path: Path, clip: Path, by_s: float
) -> None:
    """No recording is so long, no calendar either, and neither are the columns it is kept in."""
    leaping = tmp_path / "leap.mkv"
    with av.open(str(clip)) as old, av.open(str(leaping), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for place, packet in enumerate(old.demux(stream)):
            if packet.dts is None or packet.pts is None or stream.time_base is None:
                continue
            ticks = round(by_s / stream.time_base) if place >= 25 else 0
            packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, copy
            new.mux(packet)
    source = FileSource(CAMERA, leaping, looks_per_s=5, start=NOON)

    frames = list(source.frames(threading.Event()))

    assert 0 < len(frames) <= 6
    assert frames[-1].t_s < 2
    assert "leap" in source.broke_off


def test_grey_pictures(tmp_path: Path) -> None:
    path = coded_as(tmp_path / "grey.mp4", counting_pictures(10), "gray")

    frames = look(path, looks_per_s=25)

    assert numbers(frames) == list(range(10))


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
def test_a_truncated_file_gives_what_can_be_decoded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    encode_video(path, counting_pictures(50), fps=25, gop=10)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    seen = numbers(look(path, looks_per_s=25))

    assert seen[:10] == list(range(10))
    assert 10 <= len(seen) < 45


def test_a_truncated_mp4_gives_what_can_be_decoded(tmp_path: Path, clip: Path) -> None:
    path = shifted(clip, tmp_path / "clip.mp4", 0, movflags="faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    seen = numbers(look(path, looks_per_s=25))

    assert seen[:10] == list(range(10))
    assert 10 <= len(seen) < 45


def test_an_mp4_that_was_never_finished_says_so(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:5000])

    with pytest.raises(UnreadableStream, match=r"cut\.mp4: .*moov atom not found"):
        look(path)


def test_damaged_packets_are_survived(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    encode_video(path, counting_pictures(50), fps=25, gop=10, crf=10)
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 4, len(content) // 2, 50):
        content[place : place + 20] = bytes(20)
    path.write_bytes(content)

    seen = numbers(look(path, looks_per_s=25))

    assert seen[:3] == [0, 1, 2]
    assert seen[-3:] == [47, 48, 49]


def test_nothing_but_damage_is_said(tmp_path: Path, clip: Path) -> None:
    content = clip.read_bytes()
    begin = content.index(b"mdat") + 4
    end = content.index(b"moov")
    path = tmp_path / "wiped.mp4"
    path.write_bytes(content[:begin] + bytes(end - begin) + content[end:])

    with pytest.raises(UnreadableStream, match=r"wiped\.mp4: nothing in it can be decoded"):
        look(path)


def test_what_is_not_a_video_is_named(tmp_path: Path) -> None:
    text, empty = tmp_path / "notes.mp4", tmp_path / "empty.mp4"
    text.write_text("no video here, only words\n" * 100)
    empty.touch()

    for path, reason in (
        (text, "not a video"),
        (empty, "not a video"),
        (audio_only(tmp_path / "radio.mp4"), r"no video in it \(audio\)"),
        (tmp_path, "directory"),
        (tmp_path / "missing.mp4", "no such file"),
    ):
        with pytest.raises(UnreadableStream, match=f"{path.name}: .*{reason}") as raised:
            look(path)
        assert raised.value.remedy


def test_stop_ends_the_reading(clip: Path) -> None:
    stop = threading.Event()
    frames = FileSource(CAMERA, clip, looks_per_s=25, start=NOON).frames(stop)
    next(frames)
    stop.set()

    assert len(list(frames)) <= 3  # what one packet has completed


def test_a_recording_starts_at_its_creation_time(tmp_path: Path, clip: Path) -> None:
    dated = shifted(clip, tmp_path / "dated.mkv", 0, created="2024-02-29T10:00:00+02:00")

    assert recorded_start(dated) == (datetime(2024, 2, 29, 8, tzinfo=UTC), TimeSource.CONTAINER)
    assert look(dated, start=None)[0].time_source is TimeSource.CONTAINER


def test_else_at_the_files_own_time(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "copy.mp4"
    shutil.copyfile(clip, path)
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))

    assert recorded_start(path) == (NOON, TimeSource.FILE)
    first = look(path, start=None)[0]
    assert (first.at, first.time_source) == (NOON + timedelta(seconds=first.t_s), TimeSource.FILE)


@real_videos
@pytest.mark.parametrize(
    ("name", "first_s", "frames"),
    [
        ("d08_face_then_cartoon_540p_hevc.mov", 0.0, 169),
        ("d09_stage_clip_360p.mp4", 0.852, 275),
    ],
)
def test_real_recordings(name: str, first_s: float, frames: int) -> None:
    source = FileSource(CAMERA, REAL / name, looks_per_s=5)

    looked_at = list(source.frames(threading.Event()))

    assert looked_at[0].t_s == pytest.approx(first_s, abs=0.001)
    assert source.received == frames
    assert source.damaged == 0
    assert looked_at[0].picture.fit(320, 180).std() > 10


def test_words_in_a_file_that_are_not_utf_8_do_not_matter(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip.read_bytes().replace(b"Lavf", "Lävf".encode("latin-1")))

    assert close_to_ticks(look(path), b_frames=2)
