"""Keys are remembered, and no longer than they are good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from factories import ORG

from facewatch.domain.ids import OrgId, new_id
from facewatch.store.database import Database, connected, open_database
from facewatch.store.keys import PostgresKeys
from facewatch.store.remembered import RememberedKeys


@asynccontextmanager
async def following(keys: RememberedKeys) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(keys.follow())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def remembered(keys: RememberedKeys, secret: str) -> None:
    """Until *keys* listens and has seen *secret*."""
    async with asyncio.timeout(10):
        while keys.remembered(secret) is None:
            assert await keys.authenticate(secret)
            await asyncio.sleep(0.01)


async def forgotten(keys: RememberedKeys, secret: str) -> None:
    async with asyncio.timeout(1):
        while keys.remembered(secret):  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.001)


async def test_nothing_is_remembered_while_nobody_listens(database: Database) -> None:
    keys = RememberedKeys(database)
    key, secret = await keys.create(ORG, "door", "viewer")

    assert await keys.authenticate(secret) == key
    assert keys.remembered(secret) is None


async def test_a_key_revoked_elsewhere_is_forgotten_within_a_second(
    database: Database, dsn: str
) -> None:
    keys = RememberedKeys(database)
    async with open_database(dsn, 1) as elsewhere, following(keys):
        others = PostgresKeys(elsewhere)
        key, secret = await others.create(ORG, "door", "viewer")
        await remembered(keys, secret)

        await others.revoke(ORG, key.id)

        await forgotten(keys, secret)
        assert await keys.authenticate(secret) is None


async def test_a_key_revoked_here_is_forgotten_at_once(database: Database) -> None:
    keys = RememberedKeys(database)
    async with following(keys):
        key, secret = await keys.create(ORG, "door", "viewer")
        await remembered(keys, secret)

        await keys.revoke(ORG, key.id)

        assert keys.remembered(secret) is None
        assert await keys.authenticate(secret) is None


async def test_a_change_by_hand_is_heard_too(database: Database, dsn: str) -> None:
    keys = RememberedKeys(database)
    async with following(keys), connected(dsn) as connection:
        key, secret = await keys.create(ORG, "door", "viewer")
        await remembered(keys, secret)

        await connection.execute("UPDATE api_key SET role = 'admin' WHERE id = $1", key.id)

        await forgotten(keys, secret)
        changed = await keys.authenticate(secret)
        assert changed is not None
        assert changed.role == "admin"


async def test_a_remembered_key_expires_by_the_clock(database: Database) -> None:
    now = datetime.now(UTC)
    keys = RememberedKeys(database, lambda: now)
    async with following(keys):
        _, secret = await keys.create(ORG, "door", "viewer", now + timedelta(hours=1))
        await remembered(keys, secret)

        now += timedelta(hours=1)

        assert keys.remembered(secret) is None


async def test_with_the_listening_connection_gone_every_key_is_asked_for(
    database: Database, dsn: str
) -> None:
    keys = RememberedKeys(database)
    async with following(keys), connected(dsn) as connection:
        _, secret = await keys.create(ORG, "door", "viewer")
        await remembered(keys, secret)

        ended = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN%'"
        )

        assert ended == 1
        await forgotten(keys, secret)
        await remembered(keys, secret)  # it listens again


async def test_unknown_keys_take_no_room_and_known_ones_a_bounded_one(database: Database) -> None:
    keys = RememberedKeys(database, most=3)
    secrets = [(await keys.create(ORG, f"door {n}", "viewer"))[1] for n in range(5)]
    async with following(keys):
        await remembered(keys, secrets[0])
        for secret in [*secrets, "unknown", str(OrgId(new_id()))]:
            await keys.authenticate(secret)

        assert [keys.remembered(it) is not None for it in secrets] == [False] * 2 + [True] * 3
