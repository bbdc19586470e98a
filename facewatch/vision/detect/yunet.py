"""YuNet's numbers as boxes."""

import numpy as np
from numpy.typing import NDArray

from facewatch.vision.detect.canvas import Candidates

_STRIDES = (8, 16, 32)


OVERLAP = 0.3


def decode(outputs: list[NDArray[np.float32]], width: int, threshold: float) -> Candidates:
    """Anchors of a batch whose score exceeds *threshold*, on a canvas *width* pixels wide.

    Args:
        outputs: Class scores, object scores, boxes, landmarks, each for strides 8, 16 and 32.
    """
    parts = []
    for level, stride in enumerate(_STRIDES):
        classes, objects, boxes, points = outputs[level::3]
        squared = classes[..., 0] * objects[..., 0]
        item, cell = np.nonzero(squared > threshold * threshold)
        if not len(item):
            continue
        columns = width // stride
        corner = np.stack([cell % columns, cell // columns], 1).astype(np.float32)
        box = boxes[item, cell]
        centre, half = (corner + box[:, :2]) * stride, np.exp(box[:, 2:]) * (stride / 2)
        parts.append(
            Candidates(
                item,
                np.sqrt(squared[item, cell]),
                np.concatenate([centre - half, centre + half], 1),
                (corner[:, None] + points[item, cell].reshape(-1, 5, 2)) * stride,
            )
        )
    return Candidates.joined(parts)
