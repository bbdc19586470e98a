"""How much a look is worth comparing.

The ramps were laid where SFace begins to lose people and where it has lost them, on photos of LFW
that were blurred, shrunk, turned, darkened and burnt out: docs/decisions/0012-quality.md.
"""

import math

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Detection, Landmarks, Pixels, Quality
from facewatch.vision.opencv import cv2

_INNER = slice(20, 104)
"""The part of a 112 x 112 crop that is face and little background."""

_BURNT = 247
_ROUNDING = 0.15  # variance that whole grey levels add to fine detail, about twice
_UPRIGHT_NOSE = 0.57  # of the way from eyes to mouth, in faces that look straight ahead


def quality(detection: Detection, crop: Pixels) -> Quality:
    """The parts of one look; *crop* is the aligned face."""
    grey = cv2.cvtColor(crop[_INNER, _INNER], cv2.COLOR_BGR2GRAY).astype(np.float32)
    return Quality(
        size=_ramp(detection.box.width, 24, 80),
        sharpness=_sharpness(grey),
        pose=_pose(detection.landmarks),
        exposure=_exposure(grey),
        score=min(1.0, max(0.0, detection.score)),
    )


def promise(detection: Detection) -> float:
    """Overall quality if the crop turned out perfectly sharp and well exposed."""
    return Quality(
        size=_ramp(detection.box.width, 24, 80),
        sharpness=1.0,
        pose=_pose(detection.landmarks),
        exposure=1.0,
        score=min(1.0, max(0.0, detection.score)),
    ).overall


def _sharpness(grey: NDArray[np.float32]) -> float:
    """Detail of 1 to 2 pixels against detail twice as coarse: neither light nor contrast counts."""
    soft = cv2.GaussianBlur(grey, (9, 9), 1.5)
    softer = cv2.GaussianBlur(soft, (15, 15), 2.6)  # 3.0 in all
    fine = cv2.norm(grey, soft, cv2.NORM_L2SQR) / grey.size - _ROUNDING
    coarse = cv2.norm(soft, softer, cv2.NORM_L2SQR) / grey.size
    return _ramp(math.sqrt(max(0.0, fine) / max(1e-3, coarse)), 0.45, 0.85)


def _exposure(grey: NDArray[np.float32]) -> float:
    """Neither too flat nor burnt out; darkness alone does no harm while contrast is left."""
    burnt = np.count_nonzero(grey > _BURNT) / grey.size
    contrast = float(cv2.meanStdDev(grey)[1][0, 0])
    return _ramp(contrast, 2, 12) * _ramp(1 - burnt, 0.3, 0.85)


def _pose(landmarks: Landmarks) -> float:
    """From where the nose is between eyes and mouth; a head tilted sideways is turned back."""
    right_eye, left_eye, nose, right_mouth, left_mouth = (
        complex(x, y) for x, y in landmarks.tolist()
    )
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    across, down = left_eye - right_eye or 1e-6, mouth - eyes or 1e-6
    sideways = abs(((nose - (eyes + mouth) / 2) / across).real)
    along = ((nose - eyes) / down).real
    return _ramp(0.75 - sideways, 0.0, 0.5) * _ramp(0.35 - abs(along - _UPRIGHT_NOSE), 0.0, 0.23)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to *low*, 1 from *high* on, a straight line between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))
