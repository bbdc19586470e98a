"""SCRFD's numbers as boxes."""

import numpy as np
from numpy.typing import NDArray

from facewatch.vision.detect.canvas import Candidates, corners

_ANCHORS = 2

OVERLAP = 0.4


def decode(outputs: list[NDArray[np.float32]], width: int, threshold: float) -> Candidates:
    """Anchors of a batch whose score exceeds *threshold*, on a canvas *width* pixels wide.

    Args:
        outputs: Scores, boxes, landmarks.
    """
    scores, sides, points = outputs
    found = np.flatnonzero(scores >= threshold)
    if not len(found):
        return Candidates.none()
    item, anchor = np.divmod(found, scores.shape[1])
    corner, stride = corners(width, scores.shape[1], _ANCHORS, anchor)
    side = sides.reshape(-1, 4)[found] * stride
    return Candidates(
        item,
        scores.ravel()[found],
        np.concatenate([corner - side[:, :2], corner + side[:, 2:]], 1),
        corner[:, None] + points.reshape(-1, 5, 2)[found] * stride[:, None],
    )
