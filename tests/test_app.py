"""What the running service does when its parts have a bad moment."""

import asyncpg
import pytest

from facewatch.app.waiting import until_answered
from facewatch.errors import DatabaseUnavailable
from facewatch.store.database import Database


async def test_a_change_that_cannot_be_read_now_is_read_later(
    database: Database, dsn: str, postgres: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = dsn.partition("?")[0].rpartition("/")[2]
    elsewhere = await asyncpg.connect(postgres)
    await elsewhere.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await elsewhere.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name
    )

    async def ask() -> int:
        try:
            return await database.schema_version()
        except DatabaseUnavailable:
            await elsewhere.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            raise

    assert await until_answered(ask) >= 1
    assert "read later" in caplog.text
    await elsewhere.close()
