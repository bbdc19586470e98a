"""Where nobody is and nothing moves the detector rests; nobody is missed for it."""

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewatch.domain.faces import Pixels, Seen
from facewatch.domain.ids import CameraId, EventId, derived_id, new_id
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.streams import Picture
from facewatch.stream.encode import encode_video
from facewatch.stream.files import FileSource
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import decode

CAMERA = CameraId(new_id())
EPOCH = datetime(2026, 5, 1, tzinfo=UTC)
DEV = Path(__file__).parents[2] / "shared/data/dev/videos"
labelled = pytest.mark.skipif(not DEV.is_dir(), reason=f"the labelled videos are not at {DEV}")


class Counting:
    """The engine, how many pictures it was shown, and how many faces it found."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self.shown = 0
        self.faces = 0

    def watch(self, pictures: Sequence[Picture]) -> list[Seen]:
        self.shown += len(pictures)
        seen = self._engine.watch(pictures)
        self.faces += sum(len(it.faces) for it in seen)
        return seen

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


@pytest.fixture(scope="module")
def engine(models: Path) -> FaceEngine:
    return open_engine(models)


def watched(engine: FaceEngine, video: Path, idle_look_s: float) -> tuple[list[Visit], int]:
    """The visits of *video*, and at how many of its pictures the detector looked."""
    visits, counting = counted(engine, video, idle_look_s)
    return visits, counting.shown


def counted(engine: FaceEngine, video: Path, idle_look_s: float) -> tuple[list[Visit], Counting]:
    counting = Counting(engine)
    recogniser = Recogniser(
        counting,  # type: ignore[arg-type]  # it hands on what it does not count
        lambda camera: Visitors(camera, lambda at, n: EventId(derived_id(at, "idle", n))),
        Metrics.on(),
        idle_look_s=idle_look_s,
    )
    source = FileSource(CAMERA, video, looks_per_s=5, start=EPOCH)
    said = [visit for it in source.frames(threading.Event()) for visit in recogniser.see([it])]
    said += recogniser.close_all()
    return [it for it in said if it.closed], counting


def described(visits: Sequence[Visit]) -> list[tuple[float, float, int]]:
    return [(it.first_seen_s, it.last_seen_s, it.looks) for it in visits]


def a_hall(seconds: int, *, face: Pixels | None = None) -> Iterator[Pixels]:
    """An empty hall under a sensor's noise; *face* is there from second 4.4 to 7.4."""
    rng = np.random.default_rng(3)
    wall = cv2.GaussianBlur(rng.normal(110, 60, (360, 640, 3)), (31, 31), 8)
    for n in range(seconds * 5):
        picture = wall.copy()
        if face is not None and 22 <= n < 37:
            top, left = 120, 200 + n
            picture[top : top + face.shape[0], left : left + face.shape[1]] = face
        yield np.clip(picture + rng.normal(0, 3, wall.shape), 0, 255).astype(np.uint8)


def test_an_empty_scene_is_looked_at_once_a_second(engine: FaceEngine, tmp_path: Path) -> None:
    encode_video(video := tmp_path / "hall.mp4", a_hall(10), fps=5)

    visits, shown = watched(engine, video, idle_look_s=1.0)

    assert visits == []
    assert shown == 10


def test_zero_looks_at_everything(engine: FaceEngine, tmp_path: Path) -> None:
    encode_video(video := tmp_path / "hall.mp4", a_hall(4), fps=5)

    assert watched(engine, video, idle_look_s=0.0) == ([], 20)


@pytest.mark.parametrize("width_px", [34, 60])
def test_whoever_comes_is_seen_at_once_and_for_as_long_as_they_stay(
    engine: FaceEngine, photos: Path, tmp_path: Path, width_px: int
) -> None:
    portrait = decode((photos / "obama.jpg").read_bytes()).full()[100:1000, 200:1100]
    side = width_px * 2
    face = np.asarray(cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    encode_video(video := tmp_path / "hall.mp4", a_hall(12, face=face), fps=5, crf=18)

    always, all_ = watched(engine, video, idle_look_s=0.0)
    idle, shown = watched(engine, video, idle_look_s=1.0)

    assert len(always) == 1
    assert described(idle) == described(always)
    assert shown < 0.75 * all_


@labelled
@pytest.mark.parametrize("video", ["d03", "d06", "d07", "d09"])
def test_no_face_of_the_labelled_videos_is_missed(engine: FaceEngine, video: str) -> None:
    path = next(DEV.glob(f"{video}_*"))

    always, every_look = counted(engine, path, idle_look_s=0.0)
    idle, looks = counted(engine, path, idle_look_s=1.0)

    assert described(idle) == described(always)
    assert looks.faces == every_look.faces
    assert looks.shown <= every_look.shown
