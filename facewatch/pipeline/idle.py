"""Whether nothing has moved at a camera since its scene was found empty.

A pure state machine for one camera. It compares a thin grid of brightness with that of the picture
that was looked at last, so that what comes slowly adds up.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Glance
from facewatch.ports.streams import Frame

_EARLY_S: Final = 0.05
_BLOCK: Final = 8
_MOVED: Final = 3.0
"""Grey levels by which a block differs on average when something moved there, not just noise."""


class Stillness:
    """Is told of every look, and says which can be left out. Engine thread only.

    Args:
        look_s: A look is taken at least this often; 0: none is left out.
    """

    def __init__(self, look_s: float) -> None:
        self._look_s = look_s
        self._now: Frame | None = None
        self._empty: NDArray[np.int16] | None = None
        self._empty_s = 0.0

    def holds(self, frame: Frame) -> bool:
        """Whether *frame* shows what was seen to be empty before; if not, it is to be looked at."""
        if not self._look_s:
            return False
        self._now = frame
        if self._empty is None or not 0 <= frame.t_s - self._empty_s < self._look_s - _EARLY_S:
            return False
        glance = frame.picture.glance()
        if glance is None or glance.shape != self._empty.shape:
            return False
        return _most_moved(glance, self._empty) < _MOVED

    def looked(self, *, empty: bool) -> None:
        """That frame was looked at; *empty*: nobody is followed there."""
        glance = self._now.picture.glance() if empty and self._now else None
        self._empty = None if glance is None else glance.astype(np.int16)
        self._empty_s, self._now = (self._now.t_s if self._now else 0.0), None


def _most_moved(glance: Glance, before: NDArray[np.int16]) -> float:
    """Mean difference of the block that differs most; blocks at the far edges may be cut off."""
    height, width = (side // _BLOCK * _BLOCK for side in glance.shape)
    apart = np.abs(glance[:height, :width] - before[:height, :width])
    blocks = apart.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return float(blocks.sum(axis=(1, 3), dtype=np.int32).max(initial=0)) / _BLOCK**2
