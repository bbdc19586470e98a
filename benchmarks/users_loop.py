"""The loop that somebody would write who has a camera, a detector and an embedder.

OpenCV reads, every fifth frame goes to the detector at full size, and every face that it finds is
aligned and embedded, one by one: the same weights with the same threads as ours. Twice: with
OpenCV's own classes for these models, and, harder to beat, with our sessions, whose graphs were
made quicker. For `benchmarks/pipeline.py`, which holds the pipeline against both; what was in view
comes from the script that the pictures were made by.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from facewatch.demo.rooms import PASSAGE
from facewatch.demo.scene import Room
from facewatch.domain.faces import Pixels
from facewatch.domain.geometry import Box
from facewatch.vision import registry
from facewatch.vision.align import align
from facewatch.vision.detect.detector import Detector
from facewatch.vision.embed import Embedder
from facewatch.vision.opencv import cv2
from facewatch.vision.pictures import ArrayPicture

EVERY: Final = 5
FULL_SIDE: Final = 1280


def _cast_otherwise(room: Room, other: Mapping[str, str]) -> Room:
    walks = tuple(replace(walk, who=other[walk.who]) for walk in room.walks)
    return replace(room, walks=walks)


def _again(room: Room, times: int) -> Room:
    """*room*'s script, so many times over."""
    walks = tuple(
        replace(
            walk,
            stands=tuple(replace(it, t_s=it.t_s + n * room.seconds) for it in walk.stands),
        )
        for n in range(times)
        for walk in room.walks
    )
    return replace(room, walks=walks, seconds=times * room.seconds)


_PEOPLE = ("obama", "collins", "hopper")
CAMERAS = tuple(
    replace(
        _cast_otherwise(
            _again(PASSAGE, 3), dict(zip(_PEOPLE, _PEOPLE[n:] + _PEOPLE[:n], strict=True))
        ),
        name=f"camera-{number}",
        seed=40 + number,
        fps=25,
    )
    for number, n in enumerate((0, 1, 2, 0))
)
"""Four cameras of 1280 x 720 at 25 frames/s for 42 s, one or two faces in view."""


@dataclass(frozen=True)
class Sight:
    """A face that was found at a moment of a video, in the pixels of 1280 x 720."""

    t_s: float
    box: Box


@dataclass(frozen=True)
class Looped:
    """What the loop took in CPU seconds and by the clock, and what it saw."""

    cpu_s: float
    wall_s: float
    looks: int
    sights: Sequence[Sight]


class OpenCvModels:
    """YuNet and SFace as OpenCV runs them."""

    def __init__(self, directory: Path, score: float) -> None:
        detector, embedder = (
            str(directory / registry.card(name).file) for name in ("yunet", "sface")
        )
        size = FULL_SIDE, FULL_SIDE * 9 // 16
        self._detector = cv2.FaceDetectorYN.create(detector, "", size, score, 0.3)
        self._embedder = cv2.FaceRecognizerSF.create(embedder, "")

    def faces(self, pixels: Pixels) -> list[Box]:
        """The boxes of the faces, each embedded."""
        _, found = self._detector.detect(pixels)
        boxes = []
        for face in [] if found is None else found:
            self._embedder.feature(self._embedder.alignCrop(pixels, face))
            left, top, width, height = face[:4].tolist()
            boxes.append(Box(left, top, left + width, top + height))
        return boxes


class OurModels:
    """The same in our sessions, one by one."""

    def __init__(self, detector: Detector, embedder: Embedder) -> None:
        self._detector = detector
        self._embedder = embedder

    def faces(self, pixels: Pixels) -> list[Box]:
        """The boxes of the faces, each embedded."""
        picture = ArrayPicture(pixels)
        (found,) = self._detector.detect([picture])
        for face in found:
            self._embedder.embed([align(picture, face.landmarks)])
        return [face.box for face in found]


def users_loop(video: Path, models: OpenCvModels | OurModels) -> Looped:
    """Every fifth frame of *video*, as fast as it goes; one thread."""
    cpu_s, wall_s, looks = time.process_time(), time.perf_counter(), 0
    sights: list[Sight] = []
    capture = cv2.VideoCapture(str(video), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    number = 0
    while True:
        there, pixels = capture.read()
        if not there:
            break
        number += 1
        if (number - 1) % EVERY:
            continue
        looks += 1
        boxes = models.faces(np.asarray(pixels, np.uint8))
        sights += [Sight((number - 1) / CAMERAS[0].fps, box) for box in boxes]
    capture.release()
    return Looped(time.process_time() - cpu_s, time.perf_counter() - wall_s, looks, sights)


def visits_found(room: Room, sights: Iterable[Sight]) -> set[int]:
    """Which of the walks of *room* somebody was seen in."""
    return {
        number
        for it in sights
        for number, walk in enumerate(room.walks)
        if (stand := walk.at(it.t_s)) is not None
        and abs(it.box.centre[0] - stand.x) < stand.face_px
    }


def smallest_px(sights: Iterable[Sight]) -> float:
    """Width of the smallest face among *sights*."""
    return min((it.box.width for it in sights), default=0.0)
