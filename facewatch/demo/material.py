"""What the demo shows: photographs to enrol and a video for each camera, made when first needed."""

import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from facewatch.demo.cast import ENROLLED, FIGURES, PHOTOS
from facewatch.demo.photos import Progress, fetch
from facewatch.demo.rooms import ROOMS
from facewatch.demo.scene import EDITION, HEIGHT, WIDTH, CutOut, Room, frames
from facewatch.domain.faces import Pixels
from facewatch.errors import HomeUnusable
from facewatch.stream.encode import encode_video
from facewatch.vision.pictures import ArrayPicture, decode

_KEY_PICTURE_EVERY_S = 2
_TERMS = "All are works of the US federal government, public domain there: see NOTICE"


@dataclass(frozen=True, slots=True)
class DemoMaterial:
    """What the demo enrols and watches.

    Attributes:
        enrolment: Photographs by the name of the person.
        cameras: Video by the name of the camera.
        credits: Whose the photographs are, a line each.
    """

    enrolment: Mapping[str, tuple[Path, ...]]
    cameras: Mapping[str, Path]
    credits: str


def prepare(
    home: Path,
    progress: Progress,
    rooms: Sequence[Room] = ROOMS,
    size: tuple[int, int] = (WIDTH, HEIGHT),
) -> DemoMaterial:
    """Everything in ``home/demo``; what is there already is kept, so the second call is quick.

    Blocks. *progress* is called from several threads, one at a time. *size* is the videos', px.

    Raises:
        DemoUnavailable: the photographs cannot be fetched.
        HomeUnusable: *home* cannot be written.
    """
    folder = home / "demo"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fetch(PHOTOS, folder, progress)
        cameras = _film(rooms, size, folder, progress)
    except OSError as error:
        raise HomeUnusable(
            f"cannot write the demo's pictures into {folder}: {error.strerror or error}",
            "choose another home with --home, or make room there and allow writing",
        ) from error
    return DemoMaterial(
        enrolment={name: (folder / photo.file,) for name, photo in ENROLLED.items()},
        cameras=cameras,
        credits="\n".join([*(photo.credit for photo in PHOTOS), _TERMS]),
    )


def _film(
    rooms: Sequence[Room], size: tuple[int, int], folder: Path, progress: Progress
) -> dict[str, Path]:
    videos = {room.name: folder / f"{room.name}-{_edition(room, size)}.mp4" for room in rooms}
    missing = [room for room in rooms if not videos[room.name].exists()]
    if missing:
        people = {
            who: CutOut(decode((folder / figure.photo.file).read_bytes(), who).full(), figure)
            for who, figure in FIGURES.items()
        }
        shot = _counter(progress, sum(round(room.seconds * room.fps) for room in missing))
        with ThreadPoolExecutor(2, "demo-film") as pool:
            done = [
                pool.submit(_shoot, room, people, size, videos[room.name], shot)
                for room in sorted(missing, key=lambda room: room.codec, reverse=True)
            ]
            for each in done:
                each.result()
    return videos


def _edition(room: Room, size: tuple[int, int]) -> str:
    """Names everything that a video depends on."""
    sizes = () if size == (WIDTH, HEIGHT) else (size,)
    return hashlib.sha256(repr((EDITION, FIGURES, room, *sizes)).encode()).hexdigest()[:12]


def _shoot(
    room: Room,
    people: Mapping[str, CutOut],
    size: tuple[int, int],
    video: Path,
    shot: Callable[[], None],
) -> None:
    pictures = (ArrayPicture(it).fit(*size) for it in frames(room, people))
    with tempfile.TemporaryDirectory(prefix=".film-", dir=video.parent) as scratch:
        unfinished = Path(scratch) / video.name
        encode_video(
            unfinished,
            _each(pictures, shot),
            fps=room.fps,
            codec=room.codec,
            gop=_KEY_PICTURE_EVERY_S * room.fps,
        )
        os.replace(unfinished, video)


def _each(pictures: Iterable[Pixels], shot: Callable[[], None]) -> Iterator[Pixels]:
    for picture in pictures:
        yield picture
        shot()


def _counter(progress: Progress, total: int) -> Callable[[], None]:
    """To be called once a frame, from any thread."""
    lock = threading.Lock()
    done = 0

    def shot() -> None:
        nonlocal done
        with lock:
            done += 1
            progress("videos of the demo's cameras", done / total)

    return shot
