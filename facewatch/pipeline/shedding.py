"""When most of what is decoded is never looked at: how much there is time for."""

import logging
import math
import time
from collections.abc import Callable
from functools import partial

from facewatch.domain.ids import CameraId
from facewatch.ports.streams import Demand

log = logging.getLogger(__name__)

_WINDOW_S = 3.0
_REST_S = 120.0
_LONGEST_REST_S = 600.0
_EARNS = 2
_COSTS = 5
_SAVED = 20
"""A look earns its camera so much, costs so much where it is hurried, and no more is saved."""


class Shedding:
    """Says readers how many looks a second of each camera there is time for.

    Decoding that nobody looks at takes the time that looking needs. Where over half of the
    frames of three seconds are replaced unseen, readers are told what was seen instead; those
    whose key pictures come about as often decode nothing else. That is corrected downwards while
    most are replaced all the same. After two minutes everything is tried again, each time later
    if that was too early. One measure for all cameras: each keeps its share.

    Key pictures may be two seconds apart. Where one look more may let a visit be told of, it is
    wanted sooner: two more for each five, so that no camera has half as much again as another.
    Event loop only, but for what says otherwise.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._time_for = math.inf
        self._rest_s = _REST_S
        self._until = self._ended = -math.inf
        self._hurried: dict[CameraId, float] = {}
        self._looked_at: dict[CameraId, float] = {}
        self._saved: dict[CameraId, int] = {}
        self._begin()

    def demand(self, camera: CameraId) -> Demand:
        """What the reader of *camera* is told. Any thread may ask it."""
        return Demand(self.time_for, partial(self.wanted_from, camera))

    def time_for(self) -> float:
        """Looks a second of each camera; infinite while nothing is amiss. Any thread."""
        return self._time_for

    def wanted_from(self, camera: CameraId) -> float:
        """Since when one look more at *camera* is wanted; infinite where not. Any thread."""
        has_saved = self._saved.get(camera, _SAVED) >= _COSTS
        return self._hurried.get(camera, math.inf) if has_saved else math.inf

    def hurry(self, camera: CameraId, in_s: float | None) -> None:
        """One look more may let a visit be told of, so many seconds after the last; None: none.

        The engine's thread, after each look at *camera*.
        """
        if in_s is None:
            self._hurried.pop(camera, None)
        else:
            self._hurried[camera] = self._looked_at.get(camera, self._now()) + in_s

    def looked(self, camera: CameraId) -> None:
        """A frame of *camera* goes to the detector."""
        self._pay(camera)
        self._looked_at[camera] = self._now()
        self._cameras.add(camera)
        self._looked += 1
        self._judge()

    def forget(self, camera: CameraId) -> None:
        """*camera* is no longer watched."""
        for known in (self._hurried, self._saved, self._looked_at):
            known.pop(camera, None)

    def hurries(self, camera: CameraId) -> bool:
        """Whether there is too little time, and the next look at *camera* is wanted by now."""
        return self._time_for < math.inf and self.wanted_from(camera) <= self._now()

    def _pay(self, camera: CameraId) -> None:
        saved = self._saved.get(camera, _SAVED)
        if self.hurries(camera):
            self._saved[camera] = saved - _COSTS
        else:
            self._saved[camera] = min(saved + _EARNS, _SAVED)
        self._hurried.pop(camera, None)

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
        most_replaced = self._replaced > self._looked > 0
        each_per_s = self._looked / elapsed_s / max(len(self._cameras), 1)
        if self._time_for < math.inf:
            if now >= self._until:
                self._time_for, self._ended = math.inf, now
            elif most_replaced:
                self._time_for = min(self._time_for, each_per_s)
        elif most_replaced:
            self._shed(now, each_per_s)
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
