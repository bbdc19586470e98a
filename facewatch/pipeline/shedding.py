"""When most of what is decoded is never looked at: how much there is time for."""

import logging
import math
import time
from collections.abc import Callable

from facewatch.domain.ids import CameraId

log = logging.getLogger(__name__)

_WINDOW_S = 3.0
_REST_S = 60.0
_LONGEST_REST_S = 600.0


class Shedding:
    """Says readers how many looks a second of each camera there is time for.

    Decoding that nobody looks at takes the time that looking needs. Where over half of the
    frames of three seconds are replaced unseen, readers are told what was seen instead; those
    whose key pictures come about as often decode nothing else. After a minute everything
    is tried again, each time later if that was too early. One measure for all cameras: each
    keeps its share. Event loop only, but for `time_for`.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._time_for = math.inf
        self._rest_s = _REST_S
        self._until = self._ended = -math.inf
        self._begin()

    def time_for(self) -> float:
        """Looks a second of each camera; infinite while nothing is amiss. Any thread."""
        return self._time_for

    def looked(self, camera: CameraId) -> None:
        """A frame of *camera* goes to the detector."""
        self._cameras.add(camera)
        self._looked += 1
        self._judge()

    def replaced(self) -> None:
        """A frame was replaced by a newer one before anybody looked."""
        self._replaced += 1
        self._judge()

    def _begin(self) -> None:
        self._since = self._now()
        self._looked = self._replaced = 0
        self._cameras: set[CameraId] = set()

    def _judge(self) -> None:
        now = self._now()
        elapsed_s = now - self._since
        if elapsed_s < _WINDOW_S:
            return
        if self._time_for < math.inf:
            if now >= self._until:
                self._time_for, self._ended = math.inf, now
        elif self._replaced > self._looked > 0:
            self._shed(now, self._looked / elapsed_s / len(self._cameras))
        self._begin()

    def _shed(self, now: float, each_per_s: float) -> None:
        early = now - self._ended < 2 * _WINDOW_S + 1
        self._rest_s = min(2 * self._rest_s, _LONGEST_REST_S) if early else _REST_S
        self._until, self._time_for = now + self._rest_s, each_per_s
        log.warning(
            "there is time for %.1f looks a second of each camera: for %.0f s only key pictures "
            "are decoded where they come about as often",
            each_per_s,
            self._rest_s,
        )
