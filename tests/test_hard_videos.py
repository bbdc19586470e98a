"""Somebody in front of the camera is found once, in whatever kind of video; and the odd gallery."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from videos import audio_only, coded_as, shifted

from facewatch.app.evaluate import Bench, open_bench, watch
from facewatch.cli import facewatch
from facewatch.domain.faces import Pixels
from facewatch.domain.geometry import Box
from facewatch.errors import UnreadableStream
from facewatch.evaluate.score import Seen
from facewatch.settings import load
from facewatch.stream.encode import encode_video
from facewatch.vision.pictures import ArrayPicture, decode


@pytest.fixture(scope="module")
def portrait(photos: Path) -> Pixels:
    picture = decode((photos / "obama.jpg").read_bytes())
    side = min(picture.width, picture.height)
    return picture.cut(Box(0, 0, side, side))[0]


@pytest.fixture(scope="module")
def bench(models: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Warm models, and a gallery of one."""
    home = tmp_path_factory.mktemp("bench")
    enrol(home / "people", photos, "Obama")
    settings = load(None, {}, {"home": str(home), "models.directory": str(models)})
    with asyncio.Runner() as run:
        opening = open_bench(settings, home / "people", lambda _number, _name: None)
        yield run.run(opening.__aenter__())
        run.run(opening.__aexit__(None, None, None))


def enrol(folder: Path, photos: Path, *names: str) -> Path:
    """The same photo for each of *names*."""
    folder.mkdir()
    for name in names:
        (folder / name).mkdir()
        (folder / name / "photo.jpg").symlink_to(photos / "obama3.jpg")
    return folder


def scene(portrait: Pixels, number: int, width: int = 640, height: int = 480) -> Iterator[Pixels]:
    """Somebody who sways a little before a wall."""
    side = min(width, height) * 3 // 4 // 2 * 2
    small = ArrayPicture(portrait).fit(side, side)
    wall = np.full((height, width, 3), 110, np.uint8)
    for index in range(number):
        picture = wall.copy()
        left = (width - side) // 2 + round(width / 100 * np.sin(index / 4))
        top = (height - side) // 2
        picture[top : top + side, left : left + side] = small
        yield picture


def plain(path: Path, portrait: Pixels, number: int = 20, fps: float = 10, **given: int) -> Path:
    encode_video(path, scene(portrait, number), fps=fps, **given)
    return path


def late(folder: Path, portrait: Pixels) -> Path:
    return shifted(plain(folder / "clip.mp4", portrait), folder / "late.ts", 80_000.0)


def before_zero(folder: Path, portrait: Pixels) -> Path:
    return shifted(plain(folder / "clip.mp4", portrait), folder / "early.mkv", -1.0)


def jumping_back(folder: Path, portrait: Pixels) -> Path:
    part = plain(folder / "part.ts", portrait)
    joined = folder / "joined.ts"
    joined.write_bytes(part.read_bytes() * 2)
    return joined


def one_key_frame(folder: Path, portrait: Pixels) -> Path:
    return plain(folder / "clip.mp4", portrait, gop=1000)


def slow(folder: Path, portrait: Pixels) -> Path:
    return plain(folder / "clip.mp4", portrait, 4, fps=1)


def fast(folder: Path, portrait: Pixels) -> Path:
    return plain(folder / "clip.mp4", portrait, 180, fps=120)


def tiny(folder: Path, portrait: Pixels) -> Path:
    encode_video(folder / "clip.mp4", scene(portrait, 20, 160, 120), fps=10)
    return folder / "clip.mp4"


def huge(folder: Path, portrait: Pixels) -> Path:
    encode_video(folder / "clip.mp4", scene(portrait, 6, 3840, 2160), fps=5)
    return folder / "clip.mp4"


def portrait_format(folder: Path, portrait: Pixels) -> Path:
    """As a phone held upright writes it: lying, with a note how to turn it."""
    lying = (np.ascontiguousarray(np.rot90(it)) for it in scene(portrait, 20, 480, 640))
    encode_video(folder / "clip.mp4", lying, fps=10, rotation=-90)
    return folder / "clip.mp4"


def grey(folder: Path, portrait: Pixels) -> Path:
    return coded_as(folder / "clip.mp4", scene(portrait, 20), "gray", fps=10)


def interlaced(folder: Path, portrait: Pixels) -> Path:
    options = {"x264-params": "tff=1"}
    return coded_as(folder / "clip.mp4", scene(portrait, 20), "yuv420p", options, fps=10)


def seen(bench: Bench, video: Path) -> list[Seen]:
    return asyncio.run(watch(bench, video, lambda _frame: None))[0]


KINDS: dict[Callable[[Path, Pixels], Path], float] = {
    late: 1.8,
    before_zero: 1.8,
    jumping_back: 3.8,
    one_key_frame: 1.8,
    slow: 3.0,
    fast: 1.4,
    huge: 1.0,
    portrait_format: 1.8,
    grey: 1.8,
    interlaced: 1.8,
}
"""And for how many seconds somebody is seen."""


@pytest.mark.parametrize("kind", KINDS, ids=lambda it: it.__name__)
def test_somebody_is_found_once_and_named(
    bench: Bench, portrait: Pixels, tmp_path: Path, kind: Callable[[Path, Pixels], Path]
) -> None:
    (found,) = seen(bench, kind(tmp_path, portrait))

    assert found.names[-1] == "Obama"
    assert found.span.end_s - found.span.start_s == pytest.approx(KINDS[kind], abs=0.25)


def test_a_face_of_thirty_pixels_is_found_once_and_named_by_nobody(
    bench: Bench, portrait: Pixels, tmp_path: Path
) -> None:
    (found,) = seen(bench, tiny(tmp_path, portrait))

    assert set(found.names) == {None}


@pytest.fixture
def replayed(
    dsn: str, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Path], None]:
    """Runs `replay` of a video on a fresh home."""
    monkeypatch.setenv("FACEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FACEWATCH_DATABASE_URL", dsn)
    monkeypatch.setenv("FACEWATCH_MODELS_DIRECTORY", str(bench.settings.model_directory))

    def replay(video: Path) -> None:
        (tmp_path / "home").mkdir(exist_ok=True)
        words = ["replay", str(video), "--camera", "door", "--start", "2026-11-21T12:00:00Z"]
        facewatch.main([*words, "--json"], standalone_mode=False)

    return replay


@pytest.mark.parametrize("kind", [late, jumping_back], ids=lambda it: it.__name__)
def test_a_replay_records_somebody_once_and_dates_them_from_its_start(
    replayed: Callable[[Path], None],
    portrait: Pixels,
    tmp_path: Path,
    kind: Callable[[Path, Pixels], Path],
    capfd: pytest.CaptureFixture[str],
) -> None:
    replayed(kind(tmp_path, portrait))

    (event,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert event["first_seen"].startswith("2026-11-21T12:00:00")


def test_a_file_without_video_is_refused_by_a_replay_and_leaves_nothing(
    replayed: Callable[[Path], None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BaseExceptionGroup) as refused:
        replayed(audio_only(tmp_path / "sound.m4a"))

    assert refused.group_contains(UnreadableStream, match=r"sound\.m4a", depth=None)
    assert capfd.readouterr().out == ""


def test_a_gallery_of_nobody_names_nobody(bench: Bench, portrait: Pixels, tmp_path: Path) -> None:
    async def without() -> list[Seen]:
        async with open_bench(bench.settings, None, lambda _number, _name: None) as empty:
            return (await watch(empty, tmp_path / "clip.mp4", lambda _frame: None))[0]

    plain(tmp_path / "clip.mp4", portrait)
    (found,) = asyncio.run(without())
    assert set(found.names) == {None}


def test_two_people_with_the_same_photo_are_neither(
    bench: Bench, portrait: Pixels, photos: Path, tmp_path: Path
) -> None:
    async def with_two() -> list[Seen]:
        folder = enrol(tmp_path / "people", photos, "Obama", "Also Obama")
        async with open_bench(bench.settings, folder, lambda _number, _name: None) as two:
            assert len(two.names) == 2
            return (await watch(two, tmp_path / "clip.mp4", lambda _frame: None))[0]

    plain(tmp_path / "clip.mp4", portrait)
    (found,) = asyncio.run(with_two())
    assert set(found.names) == {None}
