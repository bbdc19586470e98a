"""SCRFD's numbers as boxes."""

import numpy as np
from numpy.typing import NDArray

from facewatch.vision.detect.canvas import Candidates

_STRIDES = (8, 16, 32)
_ANCHORS = 2

OVERLAP = 0.4


def decode(outputs: list[NDArray[np.float32]], width: int, threshold: float) -> Candidates:
    """Anchors of a batch whose score exceeds *threshold*, on a canvas *width* pixels wide.

    Args:
        outputs: Scores, boxes, landmarks, each for strides 8, 16 and 32.
    """
    parts = []
    for level, stride in enumerate(_STRIDES):
        scores, sides, points = outputs[level::3]
        item, anchor = np.nonzero(scores[..., 0] >= threshold)
        cell, columns = anchor // _ANCHORS, width // stride
        corner = np.stack([cell % columns, cell // columns], 1).astype(np.float32) * stride
        side = sides[item, anchor] * stride
        parts.append(
            Candidates(
                item,
                scores[item, anchor, 0],
                np.concatenate([corner - side[:, :2], corner + side[:, 2:]], 1),
                corner[:, None] + points[item, anchor].reshape(-1, 5, 2) * stride,
            )
        )
    return Candidates.joined(parts)
