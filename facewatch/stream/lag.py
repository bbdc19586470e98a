"""What a reader leaves out that cannot keep up with its camera."""

import time
from collections.abc import Callable
from typing import Final

_MOST_S: Final = 0.5
"""Packets may come so late: they wait for the network as well."""
_FOR_S: Final = 0.5
"""Lateness that passes within this is a hiccup."""
_WAITING: Final = 0.5
"""Who waits for packets for this share of the time is not what makes them late."""
_LIVE_S: Final = 3.0
"""Who throws everything away for so long and gains nothing was not behind."""
_GAIN_S: Final = 0.25
_WINDOW_S: Final = 300.0
"""The quickest packet of one or two of these counts: the camera's clock and ours drift apart."""
_JUMP_S: Final = 10.0
"""A timestamp that is off by more is a new beginning."""


class Lag:
    """Which packets are not worth decoding, because their pictures would be shown too late.

    Where there is no time to decode everything the rest waits in the connection: seconds of it,
    then more. Behind by half a second for as long, with hardly a wait for the next packet, what
    comes is thrown away, which is quick, up to the first key picture that is not late. One thread.

    Attributes:
        left_out: Packets so far.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._leaving_out = False
        self._behind_since: float | None = None
        self._waited_s = 0.0  # since then
        self._began = (0.0, 0.0)  # leaving out: when, and how late the packet was
        self._late_s: float | None = None
        self._quickest = (0.0, 0.0)  # of the window before, and of this one
        self._window_at = 0.0
        self.left_out = 0

    def leaves_out(self, t_s: float, waited_s: float, *, key: bool) -> bool:
        """Whether to leave out the packet that has just come, with timestamp *t_s*."""
        now = self._now()
        late_s = now - t_s
        if self._behind_s(now, late_s) <= _MOST_S:
            self._behind_since = None
            self._leaving_out = self._leaving_out and not key
        elif not self._leaving_out:
            self._leaving_out = self._overtaxed(now, waited_s)
            self._began = now, late_s
        elif now - self._began[0] >= _LIVE_S:
            if late_s > self._began[1] - _GAIN_S:
                self._quickest = late_s, late_s
            self._began = now, late_s
        self.left_out += self._leaving_out
        return self._leaving_out

    def _overtaxed(self, now: float, waited_s: float) -> bool:
        """Whether we have been behind for long enough, and it is not the network."""
        if self._behind_since is None:
            self._behind_since, self._waited_s = now, 0.0
            return False
        self._waited_s += waited_s
        for_s = now - self._behind_since
        if for_s < _FOR_S:
            return False
        self._behind_since = None
        return self._waited_s < _WAITING * for_s

    def _behind_s(self, now: float, late_s: float) -> float:
        """How much later than the quickest of the last minutes is what is *late_s* late."""
        if self._late_s is None or abs(late_s - self._late_s) > _JUMP_S:
            self._quickest, self._window_at = (late_s, late_s), now
        if now - self._window_at >= _WINDOW_S:
            self._quickest, self._window_at = (self._quickest[1], late_s), now
        self._late_s = late_s
        self._quickest = self._quickest[0], min(self._quickest[1], late_s)
        return late_s - min(self._quickest)
