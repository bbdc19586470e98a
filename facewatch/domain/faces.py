"""What is known about one face in one picture."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.geometry import Box

Pixels: TypeAlias = NDArray[np.uint8]
"""height x width x 3, BGR, 0..255."""

Template: TypeAlias = NDArray[np.float32]
"""One face as a vector of unit length, (d,); d depends on the model."""

Landmarks: TypeAlias = NDArray[np.float32]
"""(5, 2) x, y in pixels: right eye, left eye, nose, right and left corner of the mouth.

Right and left are the person's own: the right eye is at the left of an upright picture. This is
the order of both detector families.
"""


_GREY_LEVELS = 4.0

THUMBNAIL_MARGIN = 0.35
"""How much of its own size is kept around a face on each side of an event's thumbnail."""

Tiny: TypeAlias = NDArray[np.float32]
"""(196,) brightness of an upright face on a 14 x 14 grid, mean 0, length 1.

The product of two says how alike two looks are: enough to follow a face, not to know it.
"""


Glance: TypeAlias = NDArray[np.uint8]
"""height x width, brightness of pixels of a whole picture that lie on a grid, 0..255."""

Scene: TypeAlias = NDArray[np.float32]
"""(576,) brightness of a whole picture on a grid of 32 x 18, mean 0, length 1; 0 if it is flat.

The product of two neighbouring ones falls where a scene is cut.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face found in a picture; box and landmarks in that picture's own pixels."""

    box: Box
    landmarks: Landmarks
    score: float
    tiny: Tiny


def is_grey(pixels: Pixels) -> bool:
    """Whether there is no colour, as of a camera that sees by infrared light.

    A few levels are what compression leaves of none; a face in daylight has dozens.

    >>> flat = np.full((8, 8, 3), 90, np.uint8)
    >>> is_grey(flat), is_grey(flat + np.array([0, 30, 70], np.uint8))
    (True, False)
    """
    # plane by plane: along an axis of three it takes half a millisecond
    blue, green, red = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    least = np.minimum(np.minimum(blue, green), red)
    spread = np.maximum(np.maximum(blue, green), red) - least
    return float(spread.mean()) < _GREY_LEVELS


@dataclass(frozen=True, slots=True)
class Quality:
    """How much a look is worth comparing, every part and the whole in 0..1, 1 is best.

    Attributes:
        size: Face width in pixels against what the embedder needs.
        sharpness: Fine detail left in the aligned crop.
        pose: 1 looks straight at the camera, 0 is a profile.
        exposure: Neither too dark, too bright, nor flat.
        score: The detector's own.
        telling: How much the template tells about who it is: that of a face half hidden, or too
            blurred to know, tells little. 1 where nobody has asked for a template.
    """

    size: float
    sharpness: float
    pose: float
    exposure: float
    score: float
    telling: float = 1.0

    @property
    def overall(self) -> float:
        """One number: as good as the parts together, and no better than a bad one allows."""
        return self.visible * min(1.0, 2 * self.telling)

    @property
    def visible(self) -> float:
        """The same from what can be seen without a template."""
        parts = (self.size, self.sharpness, self.pose, self.exposure)
        return math.pow(math.prod(parts) * self.score, 0.2) * min(1.0, 2 * min(parts))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What there is in one picture; *scene* is all of it, tiny.

    Attributes:
        converting_s, converting_cpu_s: What it took to scale it for the detector, by the clock and
            of a processor.
    """

    faces: list[Detection]
    scene: Scene
    converting_s: float = 0.0
    converting_cpu_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """One face in one frame of a camera, as the detector saw it.

    Attributes:
        at: When the frame was captured, UTC.
        t_s: The same in the video's own time, seconds.
        promise: The best overall quality that a closer look could find, 0..1.
    """

    at: datetime
    t_s: float
    detection: Detection
    promise: float

    @property
    def box(self) -> Box:
        return self.detection.box


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A glimpse that was looked at more closely: aligned and judged.

    Attributes:
        at, t_s: As of the glimpse.
        crop: The aligned face, 112 x 112 BGR.
        template: None while nobody asked for it: embedding is the dear step.
    """

    at: datetime
    t_s: float
    detection: Detection
    quality: Quality
    crop: Pixels
    template: Template | None = None

    @property
    def box(self) -> Box:
        return self.detection.box
