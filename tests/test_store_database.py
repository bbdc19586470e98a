"""Statements, migrations, and a Postgres that goes away and comes back."""

import asyncio
import hashlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from factories import LOCATION, ORG

from facewatch.errors import DatabaseUnavailable, WriterInTheWay
from facewatch.store.database import Database, Statement, open_database, statements
from facewatch.store.embedded import embedded_postgres
from facewatch.store.migrate import migrate, migrations


@pytest.fixture
async def empty(postgres: str) -> AsyncIterator[str]:
    """The DSN of a database in which nothing is."""
    connection = await asyncpg.connect(postgres)
    name = f"empty_{os.urandom(6).hex()}"
    await connection.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("/facewatch?", f"/{name}?")
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


async def value(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def test_parameters_are_numbered_and_nothing_else_is_touched() -> None:
    statement = Statement.of(
        "SELECT ':no', a[1:2], :b::int, :a, :b -- :no\n FROM t WHERE x = 'it''s :no';"
    )
    assert statement.sql == (
        "SELECT ':no', a[1:2], $1::int, $2, $1 -- :no\n FROM t WHERE x = 'it''s :no'"
    )
    assert statement.parameters == ("b", "a")


def test_a_wrong_parameter_is_a_bug_that_is_seen() -> None:
    with pytest.raises(TypeError, match="parameters are"):
        Statement.of("SELECT :a").arguments({"b": 1})


async def test_postgres_takes_every_statement(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    for name, statement in statements().items():
        try:
            await connection.prepare(statement.sql)
        except asyncpg.PostgresError as error:
            pytest.fail(f"{name}: {error}")
    await connection.close()


async def test_the_default_org_and_location_are_there(database: Database) -> None:
    assert await database.default_org() == ORG
    assert await database.default_location() == LOCATION
    assert await database.schema_version() == max(step.number for step in migrations())


async def test_migrating_twice_and_by_many_at_once(empty: str) -> None:
    applied = await asyncio.gather(*(migrate(empty) for _ in range(4)))

    assert sorted(applied) == [[], [], [], [step.name for step in migrations()]]
    assert await migrate(empty) == []


async def test_the_checksum_of_what_was_applied_is_kept(empty: str) -> None:
    await migrate(empty)
    (first, *_) = migrations()
    kept = await value(empty, "SELECT sha256 FROM migration WHERE number = 1")
    assert kept == hashlib.sha256(first.sql.encode()).hexdigest()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("INSERT INTO migration VALUES (9999, '9999_future.sql', 'x')", "9999_future.*newer"),
        ("UPDATE migration SET sha256 = 'x'", "0001_house.sql is not the one"),
    ],
)
async def test_a_schema_that_this_version_does_not_know(empty: str, change: str, said: str) -> None:
    await migrate(empty)
    await value(empty, change)
    with pytest.raises(DatabaseUnavailable, match=said):
        await migrate(empty)


async def test_a_failed_migration_leaves_nothing(empty: str) -> None:
    await value(empty, "CREATE TABLE person (mine int)")  # in the way of the first migration
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(empty)
    assert await value(empty, "SELECT to_regclass('org')") is None


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:s3cret@127.0.0.1:1/faces",
        "postgresql://me@127.0.0.1:1/faces?password=s3cret",
        "postgresql:///faces?host=/nowhere&user=me&password=s3cret",
        "mysql://me:s3cret@127.0.0.1/faces",
    ],
)
async def test_a_database_that_is_not_there_is_said_without_its_password(dsn: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"cannot be used.*database_url") as caught:
        async with open_database(dsn):
            pass
    assert "s3cret" not in str(caught.value)
    with pytest.raises(DatabaseUnavailable):
        await migrate(dsn)


async def test_a_database_that_takes_nothing_now_is_a_store_that_is_down(dsn: str) -> None:
    name = await value(dsn, "SELECT current_database()")
    await value(dsn, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with open_database(dsn) as demoted:
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            await demoted.fetch("gallery_revision_next", org=ORG)
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            async with demoted.transaction() as work:
                await work.fetch("gallery_revision_next", org=ORG)


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    async def fails() -> None:
        async with database.transaction() as work:
            await work.fetch("gallery_revision_next", org=ORG)
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        await fails()
    row = await database.row("gallery_state", org=ORG)
    assert row is not None
    assert row["revision"] == 0


async def test_a_value_of_the_wrong_type_is_our_bug_and_not_postgres_trouble(
    database: Database,
) -> None:
    with pytest.raises(asyncpg.DataError):
        await database.fetch("gallery_state", org="not a uuid")


async def ring(database: Database, payload: str) -> None:
    await database.fetch("ring", channel="bell", payload=payload)


async def test_equal_rings_that_nobody_took_are_one(database: Database) -> None:
    async with asyncio.timeout(10):
        rung = database.listen("bell")
        assert await anext(rung) == ""
        for payload in ("a", "b", "a", "a"):
            await ring(database, payload)
        await ring(database, "end")
        heard = [await anext(rung)]
        while heard[-1] != "end":
            heard.append(await anext(rung))
        await rung.aclose()
    assert set(heard) == {"a", "b", "end"}


async def until_it_fails(database: Database) -> None:
    while True:
        await database.default_org()


async def test_a_killed_postgres_is_trouble_then_forgotten() -> None:
    """Pool and listener mend themselves; who listens is told that something may be missed."""
    with tempfile.TemporaryDirectory(prefix="fw-test-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        home = Path(folder) / "home"
        async with embedded_postgres(home) as dsn, asyncio.timeout(60):
            await migrate(dsn)
            async with open_database(dsn) as database:
                rung = database.listen("bell")
                assert await anext(rung) == ""
                pid = (home / "postgres/data/postmaster.pid").read_text().split()[0]
                os.kill(int(pid), signal.SIGKILL)
                with pytest.raises(DatabaseUnavailable):
                    await until_it_fails(database)

                async with embedded_postgres(home) as again:
                    assert again == dsn
                    assert await anext(rung) == ""
                    assert await database.default_org() == ORG
                    await ring(database, "back")
                    assert await anext(rung) == "back"
                    await rung.aclose()


async def test_of_two_writers_in_each_other_s_way_one_is_told_to_try_again(
    database: Database,
) -> None:
    await database.fetch("garbage_add", keys=["a", "b"], orgs=[ORG, ORG])
    both = asyncio.Barrier(2)

    async def write(*keys: str) -> None:
        async with database.transaction() as work:
            await work.fetch("garbage_done", keys=[keys[0]])
            await both.wait()
            await work.fetch("garbage_done", keys=[keys[1]])

    async with asyncio.timeout(20):
        ends = await asyncio.gather(write("a", "b"), write("b", "a"), return_exceptions=True)

    assert sum(end is None for end in ends) == 1
    assert sum(isinstance(end, WriterInTheWay) for end in ends) == 1
