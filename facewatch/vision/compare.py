"""Faces beside each other, for a person to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facewatch.domain.faces import Pixels
from facewatch.vision.opencv import cv2

_SIDE = 224
_CAPTION = 44
_GAP = 8
_INK = (235, 235, 235)
_PAPER = 32


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One face, None where its pixels are gone, and two lines of ASCII below it."""

    face: Pixels | None
    lines: tuple[str, str]


def side_by_side(tiles: Sequence[Tile]) -> Pixels:
    """The tiles in a row, each face as large as the others."""
    width = _GAP + len(tiles) * (_SIDE + _GAP)
    sheet = np.full((_SIDE + _CAPTION + 2 * _GAP, width, 3), _PAPER, np.uint8)
    for number, tile in enumerate(tiles):
        left = _GAP + number * (_SIDE + _GAP)
        face = sheet[_GAP : _GAP + _SIDE, left : left + _SIDE]
        if tile.face is None:
            _write(face, "no picture", _SIDE // 2)
        else:
            face[:] = _fitted(tile.face)
        below = sheet[_GAP + _SIDE :, left : left + _SIDE]
        for line, text in enumerate(tile.lines):
            _write(below, text, 18 + 18 * line)
    return sheet


def _fitted(face: Pixels) -> Pixels:
    """The middle square of *face*, at the side of a tile."""
    height, width = face.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = face[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), np.uint8)


def _write(where: Pixels, text: str, baseline: int) -> None:
    place = np.ascontiguousarray(where)
    cv2.putText(place, text, (2, baseline), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    where[:] = place
