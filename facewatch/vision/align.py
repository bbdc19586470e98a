"""Faces turned upright and cut out as embedders were taught to see them."""

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Landmarks, Pixels
from facewatch.domain.geometry import Box
from facewatch.ports import Picture
from facewatch.vision.opencv import cv2

SIDE = 112

TEMPLATE = np.array(
    [
        [38.2946, 51.6963],
        [73.5318, 51.5014],
        [56.0252, 71.7366],
        [41.5493, 92.3655],
        [70.7299, 92.2041],
    ]
)
"""Where ArcFace and SFace expect eyes, nose and corners of the mouth in 112 x 112."""

_CENTRED = TEMPLATE - TEMPLATE.mean(axis=0)


def similarities(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """The turn, scale and shift that bring landmarks (n, 5, 2) closest to the template.

    Umeyama's least squares without reflection; in two dimensions, with points as complex numbers,
    it is one division.

    Returns:
        (n, 2, 3) matrices from picture to crop.
    """
    points = np.asarray(landmarks, np.float64)
    mean = points.mean(axis=1)
    x, y = np.moveaxis(points - mean[:, None], 2, 0)
    u, v = _CENTRED.T
    spread = np.maximum((x * x + y * y).sum(axis=1), 1e-12)
    cos, sin = (x @ u + y @ v) / spread, (x @ v - y @ u) / spread
    turn = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)
    shift = TEMPLATE.mean(axis=0) - np.einsum("nij,nj->ni", turn, mean)
    return np.concatenate([turn, shift[:, :, None]], axis=2)


def align(picture: Picture, landmarks: Landmarks) -> Pixels:
    """The 112 x 112 crop of one face; what lies outside the picture is black.

    Only the part of *picture* that the crop shows is asked for.
    """
    matrix = similarities(landmarks[None])[0]
    corners = np.array([[0, 0], [SIDE, 0], [0, SIDE], [SIDE, SIDE]]) - matrix[:, 2]
    seen = np.linalg.solve(matrix[:, :2], corners.T)
    (left, top), (right, bottom) = seen.min(axis=1) - 2, seen.max(axis=1) + 2
    pixels, (x, y) = picture.cut(Box(float(left), float(top), float(right), float(bottom)))
    if pixels.size == 0:
        return np.zeros((SIDE, SIDE, 3), np.uint8)
    matrix[:, 2] += matrix[:, :2] @ (x, y)
    return np.asarray(cv2.warpAffine(pixels, matrix, (SIDE, SIDE)), np.uint8)
