"""The same place, another person: clips of the labelled videos joined without a gap.

They are not ours to ship; where ../shared is absent these tests are skipped.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest

from facewatch.domain.ids import CameraId, EventId, derived_id
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.streams import Frame
from facewatch.stream.files import FileSource
from facewatch.vision.engine import FaceEngine, open_engine

DEV = Path(__file__).parents[2] / "shared" / "data" / "dev"
pytestmark = pytest.mark.skipif(not DEV.is_dir(), reason=f"the labelled videos are not at {DEV}")

CAMERA = CameraId(UUID(int=7))
EPOCH = datetime(2026, 11, 21, 12, tzinfo=UTC)
LOOK_S = 0.2


@dataclass(frozen=True)
class Clip:
    """*who* is in view in these seconds of a video."""

    who: str
    video: str
    start_s: float
    end_s: float


def kiosk(number: int, start_s: float = 0.0, end_s: float = 2.8) -> Clip:
    """The talker of this number, 1 to 10, in seconds of the three that they are there."""
    begins_s = 3.0 + 7 * (number - 1)
    return Clip(f"g{number:02d}", "d07", begins_s + start_s, begins_s + end_s)


def webcam(start_s: float, end_s: float) -> Clip:
    return Clip("C1", "d04", start_s, end_s)


@cache
def frames_of(video: str) -> list[Frame]:
    (path,) = (DEV / "videos").glob(f"{video}_*")
    return list(FileSource(CAMERA, path, looks_per_s=5).frames(threading.Event()))


@pytest.fixture(scope="module")
def engine(models: Path) -> FaceEngine:
    return open_engine(models)


def joined(clips: Sequence[Clip]) -> tuple[list[Frame], list[tuple[str, float, float]]]:
    """One video of *clips*, one straight after the other; and who is in view from when to when."""
    frames: list[Frame] = []
    truth: list[tuple[str, float, float]] = []
    for clip in clips:
        start_s = len(frames) * LOOK_S
        for frame in frames_of(clip.video):
            if clip.start_s <= frame.t_s <= clip.end_s + 0.01:
                t_s = len(frames) * LOOK_S
                frames.append(replace(frame, t_s=t_s, at=EPOCH + timedelta(seconds=t_s)))
        truth.append((clip.who, start_s, (len(frames) - 1) * LOOK_S))
    return frames, truth


def watched(engine: FaceEngine, frames: Sequence[Frame]) -> list[Visit]:
    recogniser = Recogniser(
        engine,
        lambda camera: Visitors(camera, lambda at, n: EventId(derived_id(at, "join", n))),
        Metrics.on(),
    )
    said = [visit for frame in frames for visit in recogniser.see([frame])]
    said += recogniser.close_all()
    return sorted((it for it in said if it.closed), key=lambda it: it.first_seen_s)


def ranges(visits: Sequence[Visit]) -> list[tuple[float, float]]:
    return [(round(it.first_seen_s, 1), round(it.last_seen_s, 1)) for it in visits]


def test_ten_people_one_after_another_without_a_gap_are_ten_events(engine: FaceEngine) -> None:
    frames, truth = joined([kiosk(number) for number in range(1, 11)])

    assert ranges(watched(engine, frames)) == [
        (round(start_s, 1), round(end_s, 1)) for _, start_s, end_s in truth
    ]


def test_people_who_change_places_every_second_are_told_apart(engine: FaceEngine) -> None:
    order = [1, 3, 9, 8, 2, 7, 10, 4, 6, 5, 8, 7, 9]
    frames, truth = joined([kiosk(number, 0.6, 1.6) for number in order])

    found = ranges(watched(engine, frames))

    expected = [(round(start_s, 1), round(end_s, 1)) for _, start_s, end_s in truth[:10]]
    assert found[:10] == expected
    assert len(found) == 13  # who came back had been away for longer than the gap


def test_a_cut_away_to_somebody_else_and_back_does_not_split_a_visit(engine: FaceEngine) -> None:
    frames, _ = joined([webcam(0, 4), kiosk(1, 0, 1.2), webcam(6, 9), kiosk(3, 0, 1.2)])

    webcam_visit, first, second = watched(engine, frames)

    assert ranges([webcam_visit]) == [(0.0, 8.6)]
    assert ranges([first, second]) == [(4.2, 5.4), (8.8, 10.0)]
    assert webcam_visit.tracks == 2


def test_whoever_comes_back_after_the_gap_is_a_new_event(engine: FaceEngine) -> None:
    frames, _ = joined([webcam(0, 4), kiosk(1), kiosk(2, 0, 1.0), webcam(6, 9)])

    assert len(watched(engine, frames)) == 4
