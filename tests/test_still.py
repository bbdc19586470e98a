"""What stands still and fires as a face is no stream of events; who stands before it is seen."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest
from factories import a_camera
from prometheus_client import Counter

from facewatch.app.recognition import Recognition, open_recognition
from facewatch.app.serve import run_service
from facewatch.app.stores import Stores, open_stores
from facewatch.demo.cameras import demo_cameras
from facewatch.domain.cameras import SuppressedRegion
from facewatch.domain.faces import Detection, Glimpse, Pixels
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, EventId, RegionId, derived_id, new_id
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.still import Standstill, StillThings
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.settings import Settings
from facewatch.stream.encode import encode_video
from facewatch.stream.files import FileSource
from facewatch.vision.engine import open_engine
from facewatch.vision.pictures import decode

EPOCH = datetime(2026, 11, 21, 12, tzinfo=UTC)
CAMERA = CameraId(new_id())
FIVE_TIMES_A_SECOND = 0.2


def glimpse(t_s: float, looks_like: int, x: float = 100.0, restless: float = 0.0) -> Glimpse:
    """A face of 80 px at *x*; *restless* is how much each look of it differs from the next."""
    grid = np.random.default_rng(looks_like).normal(size=196)
    grid += restless * np.random.default_rng(round(t_s * 5)).normal(size=196)
    tiny = (grid / np.linalg.norm(grid)).astype(np.float32)
    box = Box(x, 100, x + 80, 200)
    found = Detection(box, np.zeros((5, 2), np.float32), 0.9, tiny)
    return Glimpse(EPOCH + timedelta(seconds=t_s), t_s, found, 1.0)


Scene = Callable[[float], Sequence[Glimpse]]


def passed(things: StillThings, start_s: float, end_s: float, scene: Scene) -> int:
    """How many glimpses of *scene* are worth following."""
    times = np.arange(start_s, end_s, FIVE_TIMES_A_SECOND)
    return sum(len(things.sift(scene(float(t)), float(t))) for t in times)


def a_poster(t_s: float) -> list[Glimpse]:
    return [glimpse(t_s, 1, restless=0.05)]


@pytest.fixture
def still() -> StillThings:
    """With a poster that has hung there for long enough."""
    things = StillThings(Standstill(after_s=60.0, forget_s=120.0))
    passed(things, 0, 61, a_poster)
    return things


def test_a_poster_is_followed_until_it_has_stood_still_for_long_enough() -> None:
    things = StillThings(Standstill(after_s=60.0))

    assert passed(things, 0, 59.9, a_poster) == 300
    assert things.suppressed == ()
    assert passed(things, 60.5, 200, a_poster) == 0
    (region,) = things.suppressed
    assert region.box.rounded() == (100, 100, 180, 200)
    assert region.since >= EPOCH + timedelta(seconds=60)


def test_what_fires_now_and_then_is_suppressed_too() -> None:
    things = StillThings(Standstill(after_s=60.0))
    passed(things, 0, 70, lambda t: a_poster(t) if round(t * 5) % 40 == 0 else [])

    assert len(things.suppressed) == 1


def test_nobody_who_moves_a_little_is_suppressed() -> None:
    things = StillThings(Standstill(after_s=60.0))

    def sits(t_s: float) -> list[Glimpse]:
        return [glimpse(t_s, 1, x=100 + 12 * np.sin(t_s / 3), restless=0.4)]

    assert passed(things, 0, 600, sits) == 3000
    assert things.suppressed == ()


def test_somebody_before_the_poster_is_followed_and_the_poster_stays_suppressed(
    still: StillThings,
) -> None:
    def before_it(t_s: float) -> list[Glimpse]:
        return [glimpse(t_s, 2, x=110, restless=0.4)]

    assert passed(still, 61, 91, before_it) == 150
    assert passed(still, 91, 100, a_poster) == 0


def test_a_region_is_forgotten_when_the_picture_there_changes(still: StillThings) -> None:
    assert passed(still, 61, 180, lambda _: []) == 0
    assert len(still.suppressed) == 1
    passed(still, 180, 190, lambda t: [glimpse(t, 7, restless=0.05)])  # another poster

    assert still.suppressed == ()
    assert passed(still, 190, 191, a_poster) == 5


def test_two_looks_far_apart_are_no_standstill() -> None:
    things = StillThings(Standstill(after_s=60.0))

    assert passed(things, 0, 1, a_poster) == 5
    assert passed(things, 500, 501, a_poster) == 5
    assert things.suppressed == ()


def test_a_poster_is_still_known_after_the_camera_was_away(still: StillThings) -> None:
    assert passed(still, 1_000, 1_010, a_poster) == 0


def test_zero_suppresses_nothing() -> None:
    things = StillThings(Standstill(after_s=0.0))

    assert passed(things, 0, 300, a_poster) == 1500


def test_what_was_suppressed_before_a_restart_still_is(still: StillThings) -> None:
    known = still.suppressed
    after = StillThings(Standstill(after_s=60.0, forget_s=120.0), known)

    assert passed(after, 0, 100, a_poster) == 0
    assert after.suppressed == known
    moved_away = StillThings(Standstill(after_s=60.0, forget_s=120.0), known)
    assert passed(moved_away, 0, 130, lambda t: [glimpse(t, 2, x=400, restless=0.4)]) == 650
    assert moved_away.suppressed == ()


def test_what_is_watched_again_is_followed_until_it_has_stood_still_once_more(
    still: StillThings,
) -> None:
    (region,) = still.suppressed
    still.watch_again([RegionId(new_id())])
    assert still.suppressed == (region,)
    still.watch_again([region.id])

    assert passed(still, 61, 120.9, a_poster) == 300
    passed(still, 121, 122, a_poster)
    assert len(still.suppressed) == 1


def test_many_faces_are_no_burden() -> None:
    things = StillThings(Standstill(after_s=60.0))

    def crowd(t_s: float) -> list[Glimpse]:
        walkers = [glimpse(t_s, round(t_s * 5) * 20 + n, x=300 + 100 * n) for n in range(12)]
        return [*a_poster(t_s), *walkers]

    passed(things, 0, 70, crowd)
    assert len(things.suppressed) == 1
    assert len(things._spots) <= 64


# --- a made video ----------------------------------------------------------------------------


def portrait(photo: Path, height: int) -> Pixels:
    pixels = decode(photo.read_bytes()).full()
    width = round(pixels.shape[1] * height / pixels.shape[0])
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def a_wall(photos: Path, seconds: int) -> Iterator[Pixels]:
    """A poster on a wall; from second 7 to 10 somebody walks up to it."""
    rng = np.random.default_rng(1)
    poster, somebody = portrait(photos / "obama.jpg", 260), portrait(photos / "astronaut.png", 360)
    for n in range(seconds * 5):
        wall = np.full((480, 848, 3), 110, np.uint8)
        wall[60:320, 500 : 500 + poster.shape[1]] = poster
        if 7 * 5 <= n < 10 * 5:
            left = 20 + 14 * (n - 35) + int(rng.integers(-3, 4))
            cut = somebody[:, : max(0, 848 - left)]
            wall[110:470, left : left + cut.shape[1]] = cut
        yield np.clip(wall + rng.normal(0, 3, wall.shape), 0, 255).astype(np.uint8)


def test_a_poster_in_a_video_is_one_event_and_who_walks_up_to_it_another(
    models: Path, photos: Path, tmp_path: Path
) -> None:
    encode_video(video := tmp_path / "wall.mp4", a_wall(photos, 14), fps=5)
    recogniser = Recogniser(
        open_engine(models),
        lambda camera: Visitors(
            *(camera, lambda at, n: EventId(derived_id(at, "wall", n))),
            standstill=Standstill(after_s=4.0),
        ),
        Metrics.on(),
    )
    said: list[Visit] = []
    for frame in FileSource(CAMERA, video, looks_per_s=5, start=EPOCH).frames(threading.Event()):
        said += recogniser.see([frame])
    suppressed = recogniser.suppressed[CAMERA]
    said += recogniser.close_all()

    poster, passer = [it for it in said if it.closed]
    assert (poster.first_seen_s, poster.last_seen_s) == (0.0, pytest.approx(4.0, abs=0.5))
    assert 6.9 <= passer.first_seen_s < passer.last_seen_s <= 10.1
    (region,) = suppressed
    assert 500 < region.box.left < region.box.right < 760
    assert recogniser.suppressed == {}


# --- a restart -------------------------------------------------------------------------------


async def test_a_restart_makes_no_event_of_a_poster(
    dsn: str, models: Path, photos: Path, tmp_path: Path
) -> None:
    encode_video(video := tmp_path / "wall.mp4", a_wall(photos, 6), fps=5)
    settings = Settings.model_validate(
        {
            "home": str(tmp_path),
            "database_url": dsn,
            "http": {"port": 0},
            "models": {"directory": str(models)},
            "recognition": {"still_after_s": 2, "visit_gap_s": 1},
        }
    )
    async with (
        demo_cameras({"wall": video}) as urls,
        open_stores(settings) as stores,
        open_recognition(settings, stores) as recognition,
        asyncio.timeout(60),
    ):
        wall = a_camera(name="wall", url=urls["wall"], org=stores.org, location=stores.location)
        await stores.cameras.add(wall)
        looked_at = recognition.metrics.frames_looked_at.labels("wall")
        async with running(settings, stores, recognition):
            before = await suppressed_at(stores, wall.id)
            (first,) = await events_at(stores, 1)
        seen = counted(looked_at)
        async with running(settings, stores, recognition):
            while counted(looked_at) < seen + 10:  # noqa: ASYNC110 - a counter
                await asyncio.sleep(0.1)
            assert await suppressed_at(stores, wall.id) == before
            assert [it.id for it in await stores.events.page(stores.org, 9)] == [first]
            await stores.regions.remove(stores.org, wall.id)
            assert first in await events_at(stores, 2)


@asynccontextmanager
async def running(
    settings: Settings, stores: Stores, recognition: Recognition
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(
            run_service(
                *(settings, stores, recognition),
                stop=stop,
                ready=lambda _: None,
                written=lambda _v, _r: None,
            )
        )
        try:
            yield
        finally:
            stop.set()


def counted(counter: Counter) -> float:
    (metric,) = counter.collect()
    return metric.samples[0].value


async def suppressed_at(stores: Stores, camera: CameraId) -> tuple[SuppressedRegion, ...]:
    """The regions of *camera*, once there are some."""
    while not (found := (await stores.regions.all()).get(camera)):  # noqa: ASYNC110 - a table
        await asyncio.sleep(0.1)
    return found


async def events_at(stores: Stores, least: int) -> list[EventId]:
    """The newest first, once there are so many."""
    while len(found := await stores.events.page(stores.org, 9)) < least:  # noqa: ASYNC110 - a table
        await asyncio.sleep(0.1)
    return [it.id for it in found]
