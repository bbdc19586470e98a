"""Named statements over a pool of Postgres connections."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg

from facewatch.domain.ids import LocationId, OrgId
from facewatch.domain.urls import redact
from facewatch.errors import DatabaseUnavailable, WriterInTheWay

Row: TypeAlias = asyncpg.Record

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_TOKEN = re.compile(
    r"""(?P<skip>'(?:[^']|'')*' | --[^\n]* | ::) | :(?P<parameter>[a-z_]\w*)""", re.VERBOSE
)
_DOWN = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what a killed server looks like in the middle of a statement
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, starting up, crashed
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,  # closed to connections
    asyncpg.ReadOnlySQLTransactionError,  # a standby, or one that was demoted
    asyncpg.InsufficientPrivilegeError,
    asyncpg.PostgresSystemError,  # its disk
    asyncpg.InternalServerError,
)
_CONNECT_S = 10.0
_STATEMENT_S = 60.0
_RECONNECT_S = (0.1, 5.0)
_PULSE_S = 20.0


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL as Postgres takes it, and which parameter is $1, $2, ...

    >>> Statement.of("SELECT ':no', :b::int, :a -- :no").parameters
    ('b', 'a')
    """

    sql: str
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Statement":
        """From parameters spelled as psql spells them, ``:name``."""
        names: list[str] = []

        def number(token: re.Match[str]) -> str:
            name = token["parameter"]
            if name is None:
                return token[0]
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"

        sql = _TOKEN.sub(number, text)
        return cls(sql.strip().rstrip(";"), tuple(names))

    def arguments(self, values: dict[str, Any]) -> list[Any]:
        try:
            if len(values) == len(self.parameters):
                return [values[name] for name in self.parameters]
        except KeyError:
            pass
        raise TypeError(f"parameters are {self.parameters}, not {tuple(values)}")


def statements() -> dict[str, Statement]:
    """Every ``-- name:`` block of ``sql/queries/*.sql``."""
    found: dict[str, Statement] = {}
    for file in (files("facewatch.store") / "sql" / "queries").iterdir():
        if not file.name.endswith(".sql"):
            continue
        _, *blocks = _NAME.split(file.read_text())
        for name, text in zip(blocks[::2], blocks[1::2], strict=True):
            if name in found:
                raise ValueError(f"two statements are named {name}")
            found[name] = Statement.of(text)
    return found


class Work:
    """Statements by name, on one connection inside one transaction."""

    def __init__(self, connection: asyncpg.Connection, statements: dict[str, Statement]) -> None:
        self._connection = connection
        self._statements = statements

    async def fetch(self, statement: str, **values: Any) -> list[Row]:
        known = self._statements[statement]
        rows: list[Row] = await self._connection.fetch(known.sql, *known.arguments(values))
        return rows

    async def row(self, statement: str, **values: Any) -> Row | None:
        """The first row, or None."""
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None


class Database:
    """A pool that mends itself: connections that died with a server are replaced."""

    def __init__(self, dsn: str, pool: asyncpg.Pool) -> None:
        self._dsn = dsn
        self._pool = pool
        self._statements = statements()

    async def fetch(self, statement: str, **values: Any) -> list[Row]:
        """One statement in a transaction of its own.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
        """
        known = self._statements[statement]
        try:
            rows: list[Row] = await self._pool.fetch(known.sql, *known.arguments(values))
        except _DOWN as error:
            raise _unusable(self._dsn, error) from error
        return rows

    async def row(self, statement: str, **values: Any) -> Row | None:
        """The first row, or None."""
        rows = await self.fetch(statement, **values)
        return rows[0] if rows else None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Work]:
        """All of it or nothing.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
        """
        with _translated(self._dsn):
            async with self._pool.acquire() as connection, connection.transaction():
                yield Work(connection, self._statements)

    async def default_org(self) -> OrgId:
        """The org that is there from the beginning."""
        return OrgId(await self._first("default_org"))

    async def default_location(self) -> LocationId:
        """The location that is there from the beginning, in the default org."""
        return LocationId(await self._first("default_location"))

    async def schema_version(self) -> int:
        """The number of the newest migration."""
        row = await self.row("schema_version")
        assert row is not None
        number: int = row["number"]
        return number

    async def _first(self, statement: str) -> UUID:
        row = await self.row(statement)
        assert row is not None
        value: UUID = row["id"]
        return value

    async def listen(
        self, channel: str, lost: Callable[[], None] = lambda: None
    ) -> AsyncIterator[str]:
        """What is notified on *channel*; an empty string first, and after each reconnection.

        The empty string means that something may have been missed: look at the tables. Equal
        payloads that nobody has taken yet are one. Runs until its task is cancelled; a server
        that is down is waited for, and one that fell silent is noticed within half a minute.
        *lost* is called whenever nothing is heard any more.
        """
        pause_s = _RECONNECT_S[0]
        while True:
            try:
                async with connected(self._dsn) as connection:
                    pause_s = _RECONNECT_S[0]
                    try:
                        async for payload in _notifications(connection, channel):
                            yield payload
                    finally:
                        lost()
            except DatabaseUnavailable:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _RECONNECT_S[1])


async def _notifications(connection: asyncpg.Connection, channel: str) -> AsyncIterator[str]:
    """Ends when the connection does."""
    pending: dict[str, None] = {"": None}
    rung = asyncio.Event()

    def heard(_connection: object, _pid: int, _channel: str, payload: str) -> None:
        pending[payload] = None
        rung.set()

    connection.add_termination_listener(lambda _connection: rung.set())
    await connection.add_listener(channel, heard)
    while not connection.is_closed():
        while pending:
            payload = next(iter(pending))
            del pending[payload]
            yield payload
        try:
            async with asyncio.timeout(_PULSE_S):
                await rung.wait()
        except TimeoutError:
            await connection.execute("SELECT 1", timeout=_CONNECT_S)
        rung.clear()


class _Unchanged(asyncpg.Connection):  # type: ignore[misc]  # asyncpg publishes no types
    """A connection whose session nobody changes: there is nothing to reset between two users."""

    def get_reset_query(self) -> str:
        return ""


@asynccontextmanager
async def open_database(dsn: str, connections: int = 8) -> AsyncIterator[Database]:
    """Named statements against the database at *dsn*, which is migrated already.

    Raises:
        DatabaseUnavailable: Postgres does not answer, or refuses us.
    """
    with _translated(dsn), _readable():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=connections,
            timeout=_CONNECT_S,
            command_timeout=_STATEMENT_S,
            max_inactive_connection_lifetime=0,  # a timer set and cancelled for each statement
            connection_class=_Unchanged,
        )
    try:
        yield Database(dsn, pool)
    finally:
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection outside the pool.

    Raises:
        DatabaseUnavailable: Postgres does not answer, or refuses us.
    """
    with _translated(dsn):
        with _readable():
            connection = await asyncpg.connect(dsn, timeout=_CONNECT_S)
        try:
            yield connection
        finally:
            connection.terminate() if connection.is_closed() else await connection.close(timeout=5)


@contextmanager
def _translated(dsn: str) -> Iterator[None]:
    try:
        yield
    except asyncpg.TransactionRollbackError as error:
        raise WriterInTheWay(f"another writer was in the way: {error}", "try again") from error
    except _DOWN as error:
        raise _unusable(dsn, error) from error


def _unusable(dsn: str, error: BaseException) -> DatabaseUnavailable:
    why = _shown(str(error)) or "no answer in time"
    return DatabaseUnavailable(
        f"Postgres at {_shown(dsn)} cannot be used: {why}",
        "check that it runs and that database_url is right",
    )


@contextmanager
def _readable() -> Iterator[None]:
    """What is no DSN is not repeated: nobody can tell where a password is in it."""
    try:
        yield
    except ValueError:
        raise DatabaseUnavailable(
            "the database cannot be used: database_url is no address of a Postgres server",
            "give it as postgresql://user:password@host:port/name; in user and password write %2F"
            " for /, %3F for ?, %23 for # and %40 for @",
        ) from None


def _shown(text: str) -> str:
    """Without passwords, wherever a DSN may carry one."""
    return re.sub(r"(password=)[^&\s]*", r"\1***", redact(text))
