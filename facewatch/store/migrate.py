"""Bring a database to the schema that this version of facewatch speaks."""

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

import asyncpg

from facewatch.errors import DatabaseUnavailable
from facewatch.store.database import connected

_FILE = re.compile(r"(\d{4})_\w+\.sql")
_LOCK = 0x66616365  # "face": any number that nobody else uses in this database

_LEDGER = """
CREATE TABLE IF NOT EXISTS migration (
    number     int PRIMARY KEY,
    name       text NOT NULL,
    sha256     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step."""

    number: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """The steps that came with this version, in order."""
    folder = files("facewatch.store") / "sql" / "migrations"
    named = {match: f for f in folder.iterdir() if (match := _FILE.fullmatch(f.name))}
    steps = [Migration(int(m[1]), m[0], f.read_text()) for m, f in named.items()]
    return sorted(steps, key=lambda step: step.number)


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing, all or nothing; the names of what was applied.

    Processes that start together wait for each other; repeating it changes nothing.

    Raises:
        DatabaseUnavailable: Postgres does not answer, or its schema is newer than, or differs
            from, what this version knows.
    """
    async with connected(dsn) as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(_LEDGER)
        applied = await connection.fetch("SELECT number, name, sha256 FROM migration")
        steps = migrations()
        _check(applied, steps)
        done = {row["number"] for row in applied}
        missing = [step for step in steps if step.number not in done]
        for step in missing:
            await _apply(connection, step)
    return [step.name for step in missing]


def _check(applied: list[asyncpg.Record], steps: list[Migration]) -> None:
    known = {step.number: step for step in steps}
    for row in applied:
        step = known.get(row["number"])
        if step is None:
            raise DatabaseUnavailable(
                f"the database has migration {row['name']}, which this version of facewatch"
                " does not know",
                "run the newer version that made it, or restore an older backup",
            )
        if step.sha256 != row["sha256"]:
            raise DatabaseUnavailable(
                f"migration {row['name']} is not the one that was applied to this database",
                "install the released facewatch again; migrations are never edited",
            )


async def _apply(connection: asyncpg.Connection, step: Migration) -> None:
    try:
        await connection.execute(step.sql)
    except (asyncpg.UndefinedFileError, asyncpg.FeatureNotSupportedError) as error:
        raise DatabaseUnavailable(
            f"migration {step.name} failed: {error}",
            "facewatch needs the pgvector extension: install it on the Postgres server",
        ) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise DatabaseUnavailable(
            f"migration {step.name} failed: {error}",
            "let the database's owner run facewatch migrate, or CREATE EXTENSION vector first",
        ) from error
    await connection.execute(
        "INSERT INTO migration (number, name, sha256) VALUES ($1, $2, $3)",
        step.number,
        step.name,
        step.sha256,
    )
