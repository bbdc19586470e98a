"""From where the light falls on a face."""

from dataclasses import dataclass

import numpy as np

from facewatch.domain.faces import Pixels

_GAMMA = 2.2
_DARK = 0.002
"""What is added to all light: black is not infinitely darker than nearly black."""

_LUMA = np.array([0.114, 0.587, 0.299], np.float32)
_ONE_CHEEK, _OTHER_CHEEK = np.s_[60:90, 22:46], np.s_[60:90, 66:90]
_FOREHEAD, _CHIN = np.s_[16:40, 36:76], np.s_[88:108, 40:72]


@dataclass(frozen=True, slots=True)
class Light:
    """In stops: 1 is twice as bright, -1 half as bright. Cameras even out how bright it is in all.

    Attributes:
        side: The cheek at the left of the picture against the other.
        above: The forehead against the chin.
    """

    side: float
    above: float

    def apart(self, other: "Light") -> float:
        """How far it comes from elsewhere, in stops."""
        return max(abs(self.side - other.side), abs(self.above - other.above))


def light_of(crop: Pixels) -> Light:
    """Of an aligned face, 112 x 112.

    >>> dim = np.full((112, 112, 3), 100, np.uint8)
    >>> dim[:, :56] = 137  # twice the light
    >>> round(light_of(dim).side, 1), round(abs(light_of(dim).above), 1)
    (1.0, 0.0)
    """
    light = (crop.astype(np.float32) @ _LUMA / 255) ** _GAMMA + _DARK
    one, other, forehead, chin = (
        float(light[part].mean()) for part in (_ONE_CHEEK, _OTHER_CHEEK, _FOREHEAD, _CHIN)
    )
    return Light(float(np.log2(one / other)), float(np.log2(forehead / chin)))
