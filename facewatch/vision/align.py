"""Faces turned upright and cut out as embedders were taught to see them."""

import math

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Landmarks, Pixels, Tiny
from facewatch.domain.geometry import Box
from facewatch.ports.streams import Picture
from facewatch.vision.opencv import cv2

SIDE = 112
_TINY_SIDE = 28
_TINY_STEP = SIDE / _TINY_SIDE

_TEMPLATE = (
    38.2946 + 51.6963j,
    73.5318 + 51.5014j,
    56.0252 + 71.7366j,
    41.5493 + 92.3655j,
    70.7299 + 92.2041j,
)
"""x + yj of eyes, nose and corners of the mouth, where ArcFace and SFace expect them."""

_MIDDLE = sum(_TEMPLATE) / len(_TEMPLATE)
_CENTRED = [point - _MIDDLE for point in _TEMPLATE]
_CORNERS = (0j, SIDE + 0j, SIDE * 1j, SIDE + SIDE * 1j)


def similarity(landmarks: Landmarks) -> tuple[complex, complex]:
    """Turn and scale *a* and shift *b* that bring the landmarks closest to the template.

    Umeyama's least squares without reflection: with points as complex numbers it is a division.
    The point z of the picture comes to a * z + b in the crop.
    """
    points = [complex(x, y) for x, y in landmarks.tolist()]  # five: numpy would cost more
    middle = sum(points) / len(points)
    across, size = 0j, 1e-12
    for point, wanted in zip(points, _CENTRED, strict=True):
        point -= middle
        across += point.conjugate() * wanted
        size += (point * point.conjugate()).real
    turn = across / size
    return turn, _MIDDLE - turn * middle


def align(picture: Picture, landmarks: Landmarks) -> Pixels:
    """The 112 x 112 crop of one face; what lies outside the picture is black.

    Only the part of *picture* that the crop shows is asked for.
    """
    turn, shift = similarity(landmarks)
    seen = [(corner - shift) / (turn or 1e-6) for corner in _CORNERS]
    across, down = [point.real for point in seen], [point.imag for point in seen]
    box = Box(min(across) - 2, min(down) - 2, max(across) + 2, max(down) + 2)
    pixels, (left, top) = picture.cut(box)
    if pixels.size == 0:
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    shift += turn * complex(left, top)
    matrix: NDArray[np.float64] = np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]]
    )
    return np.asarray(cv2.warpAffine(pixels, matrix, (SIDE, SIDE)), np.uint8)


def tiny(canvas: Pixels, landmarks: Landmarks) -> Tiny:
    """The tiny picture of one face, from landmarks in pixels of *canvas*."""
    turn, shift = similarity(landmarks)
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    small = cv2.warpAffine(canvas, matrix / _TINY_STEP, (_TINY_SIDE, _TINY_SIDE))
    green = cv2.extractChannel(small, 1).astype(np.float32)
    half = (_TINY_SIDE // 2, _TINY_SIDE // 2)
    grid = np.asarray(cv2.resize(green, half, interpolation=cv2.INTER_AREA), np.float32).ravel()
    grid -= np.float32(cv2.mean(grid)[0])
    return grid / np.float32(max(math.sqrt(float(grid @ grid)), 1e-6))
