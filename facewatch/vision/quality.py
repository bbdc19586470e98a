"""How much a look is worth comparing."""

import numpy as np

from facewatch.domain.faces import Detection, Landmarks, Pixels, Quality
from facewatch.vision.opencv import cv2

_INNER = slice(20, 104)
"""The part of a 112 x 112 crop that is face and little background."""


def quality(detection: Detection, crop: Pixels) -> Quality:
    """The parts of one look; *crop* is the aligned face."""
    grey = cv2.cvtColor(crop[_INNER, _INNER], cv2.COLOR_BGR2GRAY)
    return Quality(
        size=_ramp(min(detection.box.width, detection.box.height), 24, 96),
        sharpness=_sharpness(grey),
        pose=_pose(detection.landmarks),
        exposure=_exposure(grey),
        score=min(1.0, max(0.0, detection.score)),
    )


def _sharpness(grey: np.ndarray) -> float:
    detail = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    contrast = max(8.0, float(grey.std()))
    return _ramp(detail / contrast, 0.05, 0.4)


def _exposure(grey: np.ndarray) -> float:
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(grey))
    return _ramp(mean, 20, 60) * _ramp(255 - mean, 15, 50) * _ramp(deviation, 8, 25)


def _pose(landmarks: Landmarks) -> float:
    right_eye, left_eye, nose, right_mouth, left_mouth = landmarks.astype(float)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    across = left_eye - right_eye
    down = mouth - eyes
    width = max(1e-6, float(np.hypot(*across)))
    height = max(1e-6, float(np.hypot(*down)))
    middle = nose - (eyes + mouth) / 2
    yaw = abs(float(middle @ across)) / (width * width)
    along = float((nose - eyes) @ down) / (height * height)
    return _ramp(0.5 - yaw, 0.0, 0.4) * _ramp(0.5 - abs(along - 0.55), 0.1, 0.4)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to *low*, 1 from *high* on, a straight line between."""
    return min(1.0, max(0.0, (value - low) / (high - low)))
