"""YuNet's numbers as boxes."""

import numpy as np
from numpy.typing import NDArray

from facewatch.vision.detect.canvas import Candidates, corners

OVERLAP = 0.3


def decode(outputs: list[NDArray[np.float32]], width: int, threshold: float) -> Candidates:
    """Anchors of a batch whose score exceeds *threshold*, on a canvas *width* pixels wide.

    Args:
        outputs: Products of both scores, boxes, landmarks.
    """
    squared, boxes, points = outputs
    found = np.flatnonzero(squared > threshold * threshold)
    if not len(found):
        return Candidates.none()
    item, anchor = np.divmod(found, squared.shape[1])
    corner, stride = corners(width, squared.shape[1], 1, anchor)
    box = boxes.reshape(-1, 4)[found]
    centre, half = corner + box[:, :2] * stride, np.exp(box[:, 2:]) * (stride / 2)
    return Candidates(
        item,
        np.sqrt(squared.ravel()[found]),
        np.concatenate([centre - half, centre + half], 1),
        (corner[:, None] + points.reshape(-1, 5, 2)[found] * stride[:, None]),
    )
