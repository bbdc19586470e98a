"""A photo becomes the template of the person in it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from facewatch.domain.faces import Detection, Quality, Template, is_grey
from facewatch.errors import UnusablePhoto
from facewatch.people.enrol import Gate
from facewatch.ports.streams import Picture
from facewatch.ports.vision import Engine


class Whose(StrEnum):
    """Which face of a photo is the person's, where there are several."""

    LARGEST = "largest"
    CENTRE = "centre"
    """The one nearest to the middle of the picture: LFW's rule."""

    def of(self, found: list[Detection], picture: Picture) -> Detection:
        """One of *found*, which is not empty."""
        if self is Whose.LARGEST:
            return max(found, key=lambda it: it.box.area)

        def off_centre(it: Detection) -> float:
            x, y = it.box.centre
            return (x - picture.width / 2) ** 2 + (y - picture.height / 2) ** 2

        return min(found, key=off_centre)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """The face of a photo.

    Attributes:
        refused: Why it could not be enrolled; empty when it could.
        grey: It is seen without colour.
    """

    template: Template
    quality: Quality
    refused: str
    grey: bool = False


@dataclass(frozen=True, slots=True)
class Photos:
    """Finds the person in a photo. Blocks; engine's thread.

    `decode` turns a file's bytes and name into a picture and raises `UnusablePhoto`.
    """

    engine: Engine
    decode: Callable[[bytes, str], Picture]
    whose: Whose

    def face(self, photo: Path) -> Face | str:
        """The person's face, or why there is none."""
        try:
            picture = self.decode(photo.read_bytes(), photo.name)
        except UnusablePhoto as error:
            return error.what
        except OSError as error:
            return f"{photo.name}: {error.strerror}"
        found = self.engine.detect([picture])[0]
        if not found:
            return f"{photo.name}: no face found"
        detection = self.whose.of(found, picture)
        crop = self.engine.align(picture, detection.landmarks)
        quality = self.engine.quality(detection, crop)
        refused = ""
        try:
            Gate().refuse_poor(photo.name, detection.box.width, quality)
        except UnusablePhoto as error:
            refused = error.what
        return Face(self.engine.embed([crop])[0], quality, refused, is_grey(crop))
