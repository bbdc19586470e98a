"""How much is let in."""

from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest
from factories import ORG, some_deps

from facewatch.api.limit import Buckets, Limits
from facewatch.api.server import application, serving
from facewatch.domain.ids import OrgId, new_id
from facewatch.errors import TooManyRequests
from facewatch.ports.access import ApiKey
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys

GET_EVENT = "/api/faceRecognition/faceEvent/getFaceEvent"


def let_in(ask: Callable[[], None], most: int = 10_000) -> int:
    """How many times *ask* goes well."""
    for count in range(most):
        try:
            ask()
        except TooManyRequests:
            return count
    return most


def test_a_burst_and_then_the_rate() -> None:
    now = 0.0
    limits = Limits(10.0, 30, lambda: now)

    assert let_in(lambda: limits.admit(ORG)) == 30
    now += 1
    assert let_in(lambda: limits.admit(ORG)) == 10
    now += 3600
    assert let_in(lambda: limits.admit(ORG)) == 30


def test_orgs_do_not_share_and_zero_is_no_limit() -> None:
    limits, unlimited = Limits(1.0, 5, lambda: 0.0), Limits(0.0, 1, lambda: 0.0)
    other = OrgId(new_id())
    let_in(lambda: limits.admit(ORG))

    assert let_in(lambda: limits.admit(other)) == 5
    assert let_in(lambda: unlimited.admit(ORG), most=5_000) == 5_000


def test_how_long_to_wait_is_whole_seconds_and_at_least_one() -> None:
    waits = []
    for per_s in (1_000.0, 0.25):
        limits = Limits(per_s, 1, lambda: 0.0)
        limits.admit(ORG)
        with pytest.raises(TooManyRequests) as told:
            limits.admit(ORG)
        waits.append(told.value.again_s)
    assert waits == [1, 4]


def test_memory_stays_bounded() -> None:
    buckets = Buckets(1.0, 5, lambda: 0.0)
    for number in range(20_000):
        buckets.take(number)
    assert len(buckets._left) == 10_000


def test_an_address_guesses_for_a_while_and_its_neighbours_in_ipv6_with_it() -> None:
    limits = Limits(clock=lambda: 0.0)

    def guess(remote: str) -> None:
        limits.may_guess(remote)
        limits.guessed(remote)

    assert let_in(lambda: guess("10.0.0.7")) == 1_000
    assert let_in(lambda: guess("10.0.0.8")) == 1_000
    assert let_in(lambda: guess("2001:db8::1")) == 1_000
    assert let_in(lambda: guess("2001:db8::2")) == 0
    assert let_in(lambda: guess("2001:db8:0:1::2")) == 1_000


async def test_guessing_stops_a_guesser_and_nobody_whose_key_is_remembered(
    database: Database, tmp_path: Path
) -> None:
    class Remembering(PostgresKeys):
        """Remembers one key; every other is asked for."""

        def remembered(self, secret: str) -> ApiKey | None:
            return known if secret == good else None

    known, good = await PostgresKeys(database).create(ORG, "door", "viewer")
    limits = Limits(clock=lambda: 0.0)
    deps = some_deps(database, tmp_path, keys=Remembering(database), limits=limits)
    for _ in range(999):
        deps.limits.guessed("127.0.0.1")
    statuses = []
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-scheme": "api-token"}) as client,
    ):
        for secret in ("fw_wrong", "fw_wrong", good):
            headers = {"x-auth-apikey": secret}
            async with client.post(GET_EVENT, json={}, headers=headers) as response:
                statuses.append(response.status)

    assert statuses == [403, 429, 200]
    counted = deps.metrics.registry.get_sample_value
    assert counted("facewatch_unknown_keys_total") == 1
    assert counted("facewatch_limited_total", {"whose": "address"}) == 1
