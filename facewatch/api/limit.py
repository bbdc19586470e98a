"""How many requests are let in: token buckets, an org's and, for unknown keys, an address's."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil

from facewatch.domain.ids import OrgId
from facewatch.errors import TooManyRequests

_MOST_BUCKETS = 10_000
_GUESSES_PER_S = 10.0
_GUESSES_AT_ONCE = 1_000


class Buckets:
    """A token bucket for each of many; it fills at *per_s* up to *burst*.

    The 10,000 that were used last are remembered: whoever was forgotten begins with a full one.

    >>> now = 0.0
    >>> buckets = Buckets(2.0, 1, lambda: now)
    >>> buckets.take("ann"), buckets.take("ann"), buckets.take("bob")
    (0.0, 0.5, 0.0)
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def wait_s(self, whose: Hashable) -> float:
        """Seconds until there is a token; 0 when there is one."""
        return max(0.0, (1 - self._tokens(whose, self._clock())) / self._per_s)

    def take(self, whose: Hashable) -> float:
        """Take one; where there is none, nothing is taken: the seconds until there is."""
        now = self._clock()
        tokens = self._tokens(whose, now)
        if tokens < 1:
            return (1 - tokens) / self._per_s
        self._left[whose] = (tokens - 1, now)
        self._left.move_to_end(whose)
        if len(self._left) > _MOST_BUCKETS:
            self._left.popitem(last=False)
        return 0.0

    def _tokens(self, whose: Hashable, now: float) -> float:
        if (left := self._left.get(whose)) is None:
            return self._burst
        tokens, at = left
        return min(self._burst, tokens + (now - at) * self._per_s)


class Limits:
    """What an org may ask, with all its keys together, and how often an address may guess.

    Args:
        per_s: Requests of an org in the long run; 0 sets no limit.
        burst: How many may come at once.
    """

    def __init__(
        self,
        per_s: float = 200.0,
        burst: int = 2_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._orgs = Buckets(per_s, burst, clock) if per_s else None
        self._guesses = Buckets(_GUESSES_PER_S, _GUESSES_AT_ONCE, clock)

    def admit(self, org: OrgId) -> None:
        """One request of *org*.

        Raises:
            TooManyRequests: its bucket is empty.
        """
        if self._orgs and (wait_s := self._orgs.take(org)):
            raise TooManyRequests("org", _whole(wait_s))

    def may_guess(self, remote: str | None) -> None:
        """Whether a key from there that we do not remember is looked up at all.

        Raises:
            TooManyRequests: too many keys that came from there were unknown.
        """
        if wait_s := self._guesses.wait_s(_neighbourhood(remote)):
            raise TooManyRequests("address", _whole(wait_s))

    def guessed(self, remote: str | None) -> None:
        """A key that came from there was unknown."""
        self._guesses.take(_neighbourhood(remote))


def _whole(wait_s: float) -> int:
    """Retry-After has whole seconds, and none is no answer."""
    return max(1, ceil(wait_s))


def _neighbourhood(remote: str | None) -> str:
    """An IPv4 address, or the /64 that an IPv6 caller has all to themselves.

    >>> _neighbourhood("2001:db8::1:2"), _neighbourhood("10.0.0.7")
    ('2001:db8::/64', '10.0.0.7')
    """
    try:
        address = ip_address((remote or "").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and not address.ipv4_mapped:
        return str(ip_network((address, 64), strict=False))
    return str(address)
