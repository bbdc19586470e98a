"""Pictures on canvases that a detector takes, and found faces back in picture pixels."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Detection, Scene
from facewatch.domain.geometry import Box
from facewatch.ports.streams import Picture
from facewatch.vision.align import tiny
from facewatch.vision.opencv import cv2


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Anchors above the threshold, of all pictures of a batch, in canvas pixels.

    Attributes:
        item: (n,) which picture of the batch.
        scores: (n,) 0..1.
        boxes: (n, 4) left, top, right, bottom.
        landmarks: (n, 5, 2).
    """

    item: NDArray[np.intp]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    landmarks: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: list["Candidates"]) -> "Candidates":
        if len(parts) == 1:
            return parts[0]
        if not parts:
            none = np.zeros(0, np.float32)
            return cls(np.zeros(0, np.intp), none, none.reshape(0, 4), none.reshape(0, 5, 2))
        return cls(
            np.concatenate([part.item for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.boxes for part in parts]),
            np.concatenate([part.landmarks for part in parts]),
        )


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where a picture lies on its canvas: at the left top, *fit_width* x *fit_height*, rest black.

    Equal *width* and *height* may share a batch.
    """

    width: int
    height: int
    fit_width: int
    fit_height: int

    @classmethod
    def of(cls, width: int, height: int, long_side: int) -> "Canvas":
        """For a picture of this size; never enlarges it.

        >>> Canvas.of(1280, 720, long_side=640)
        Canvas(width=640, height=384, fit_width=640, fit_height=360)
        """
        scale = min(1.0, long_side / max(width, height))
        fit_width, fit_height = max(1, round(width * scale)), max(1, round(height * scale))
        return cls(-(-fit_width // 32) * 32, -(-fit_height // 32) * 32, fit_width, fit_height)

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


class Sheets:
    """Memory for canvases, kept for the next batch: new pages cost more than painting them.

    Grows to the largest batch of each size. One thread at a time; *painters* help it.
    """

    def __init__(self, painters: Executor | None = None) -> None:
        self._sheets: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._painters = painters

    def painted(self, pictures: Sequence[Picture], canvases: Sequence[Canvas]) -> NDArray[np.uint8]:
        """Pictures of equally large canvases, (n, height, width, 3); good until the next call."""
        return self.begun(pictures, canvases)()

    def begun(
        self, pictures: Sequence[Picture], canvases: Sequence[Canvas]
    ) -> Callable[[], NDArray[np.uint8]]:
        """As `painted`: begun by the painters, if there are any, and waited for by the caller."""
        width, height = canvases[0].size
        kept = self._sheets.get((width, height))
        if kept is None or len(kept) < len(pictures):
            kept = np.zeros((len(pictures), height, width, 3), np.uint8)
            self._sheets[width, height] = kept
        sheets = kept[: len(pictures)]
        if self._painters:
            under_way = self._painters.map(_paint, sheets, pictures, canvases)
        else:
            under_way = map(_paint, sheets, pictures, canvases)

        def done() -> NDArray[np.uint8]:
            for _ in under_way:
                pass
            return sheets

        return done


def _paint(onto: NDArray[np.uint8], picture: Picture, canvas: Canvas) -> None:
    pixels = picture.fit(canvas.fit_width, canvas.fit_height, _halve)
    onto[: canvas.fit_height, : canvas.fit_width] = pixels
    onto[canvas.fit_height :] = 0
    onto[:, canvas.fit_width :] = 0


def _halve(plane: NDArray[np.uint8], onto: NDArray[np.uint8]) -> None:
    cv2.resize(plane, onto.shape[::-1], dst=onto, interpolation=cv2.INTER_AREA)


def detections(
    found: Candidates,
    item: int,
    picture: Picture,
    canvas: Canvas,
    sheet: NDArray[np.uint8],
    overlap: float,
) -> list[Detection]:
    """The faces of one picture of the batch, best first, in its own pixels.

    Args:
        sheet: The painted canvas, from which the faces' tiny pictures are taken.
        overlap: Of two boxes that overlap by more, the better one stays.
    """
    mine = np.flatnonzero(found.item == item)
    if not len(mine):
        return []
    mine = mine[kept(found.boxes[mine], found.scores[mine], overlap)]
    x, y = picture.width / canvas.fit_width, picture.height / canvas.fit_height
    scale = np.array([x, y], np.float32)
    return [
        Detection(Box(*box).scaled(x, y), points * scale, score, tiny(sheet, points))
        for box, points, score in zip(
            found.boxes[mine].tolist(),
            found.landmarks[mine],
            found.scores[mine].tolist(),
            strict=True,
        )
    ]


def scene(sheet: NDArray[np.uint8], canvas: Canvas) -> Scene:
    """The whole of the picture that is painted on *sheet*, tiny; every fourth pixel is enough."""
    green = np.ascontiguousarray(sheet[: canvas.fit_height : 4, : canvas.fit_width : 4, 1])
    grid = cv2.resize(green, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    grid -= np.float32(cv2.mean(grid)[0])
    length = np.float32(math.sqrt(float(grid @ grid)))
    return grid / length if length > 1 else np.zeros_like(grid)


def kept(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], overlap: float
) -> NDArray[np.intp]:
    """Non-maximum suppression: places of the boxes that stay, best first."""
    corners_and_sizes = [
        (left, top, right - left, bottom - top) for left, top, right, bottom in boxes.tolist()
    ]
    stay = cv2.dnn.NMSBoxes(corners_and_sizes, scores.tolist(), 0.0, overlap)
    return np.asarray(stay, np.intp)
