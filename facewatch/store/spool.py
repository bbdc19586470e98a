"""Events and their pictures on the local disk, until the stores have them.

Each process has a folder of its own below the root, locked while it lives; folders of the dead
are adopted at the next start. One SQLite file holds records and pictures (docs/decisions/0033):
one commit makes both durable, and everything that waits when a commit begins shares it.
"""

import asyncio
import fcntl
import logging
import os
import queue
import shutil
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from uuid import uuid4

from facewatch.domain.events import EventRecord
from facewatch.errors import HomeUnusable, SpoolFull, StoreTrouble
from facewatch.ports.keeping import SpooledEvent
from facewatch.store.records import FORMAT, packed, unpacked

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
_Job: TypeAlias = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]

_SCHEMA = f"""
CREATE TABLE event (
    place    INTEGER PRIMARY KEY AUTOINCREMENT,
    id       BLOB NOT NULL,
    known    INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,
    added_at REAL NOT NULL,
    record   TEXT NOT NULL
);
CREATE INDEX event_known ON event (known, place);
CREATE INDEX event_id ON event (id, known);
CREATE TABLE picture (
    place INTEGER NOT NULL,
    key   TEXT NOT NULL,
    body  BLOB NOT NULL
);
CREATE INDEX picture_place ON picture (place);
PRAGMA user_version = {FORMAT};
"""

_OLDEST_UNKNOWN = """
SELECT id FROM event AS e
 WHERE known = 0 AND id <> ?
   AND NOT EXISTS (SELECT 1 FROM event AS k WHERE k.id = e.id AND k.known = 1)
 ORDER BY place LIMIT 1
"""

_ALARM_S = 60.0
_READ_BYTES = 32 << 20
_SPARE_PAGES = 16_384
"""Free pages (16 KiB each) that are kept for what comes next; more go back to the disk."""


@dataclass(frozen=True, slots=True)
class Level:
    """How full the spool is.

    Attributes:
        oldest_at: When the oldest was added, seconds since the epoch; None when empty.
        dropped: Events that were dropped since the start because it was full.
    """

    events: int
    bytes: int
    oldest_at: float | None
    dropped: int


@asynccontextmanager
async def open_spool(root: Path, most_bytes: int) -> AsyncIterator["SqliteSpool"]:
    """A spool below *root*, with what dead processes left there.

    Raises:
        HomeUnusable: *root* cannot be written.
    """
    claim = await asyncio.to_thread(_Claim, root)
    try:
        with _usable(root):
            spool = SqliteSpool(claim.folder, most_bytes)
        try:
            for orphan in claim.orphans:
                await spool.adopt(orphan)
                await asyncio.to_thread(claim.drop, orphan)
            yield spool
        finally:
            await spool.close()
            if not spool.backlog:
                await asyncio.to_thread(claim.drop, claim.folder)
    finally:
        await asyncio.to_thread(claim.leave)


class SqliteSpool:
    """`ports.keeping.Spool` in one SQLite file, written by one thread."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._refused = folder.parent.with_name("refused")
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._changed = asyncio.Event()
        self._connection = _connected(folder)
        self._level = _measured(self._connection, 0)
        self._alarmed_at = -_ALARM_S
        self.commits = 0
        """Transactions so far; each is one fsync, however many calls share it."""
        self._thread = threading.Thread(target=self._run, name="spool")
        self._thread.start()

    async def add(self, record: EventRecord, pictures: Mapping[str, bytes]) -> None:
        """Durable (fsync) when it returns; many calls share one fsync.

        When the bound is reached the oldest events that nobody was recognised in make room.

        Raises:
            SpoolFull: the bound is reached by events that may not be dropped, or the disk is full.
        """
        await self._do(lambda connection: self._add(connection, record, pictures))

    async def oldest(self, limit: int) -> list[SpooledEvent]:
        """The oldest undelivered events, in the order of `add`; waits while there are none.

        Fewer than *limit* when they are large: about 32 MiB at a time.
        """
        while True:
            await self._until(lambda: self._level.events > 0)
            if found := await self._do(lambda connection: _oldest(connection, limit)):
                return found

    async def delivered(self, places: Sequence[int]) -> None:
        """Forget these: the stores have them."""
        await self._do(lambda connection: self._remove(connection, places))

    async def set_aside(self, place: int) -> None:
        """The stores will never take this one: keep it for a person to look at, and go on.

        Record and pictures become files in ``refused``, beside the spool's root.
        """

        def aside(connection: sqlite3.Connection) -> None:
            (record,) = connection.execute(
                "SELECT record FROM event WHERE place = ?", (place,)
            ).fetchone()
            folder = self._refused / f"{int(time.time())}-{place}"
            folder.mkdir(parents=True)
            (folder / "record.json").write_text(record)
            pictures = "SELECT key, body FROM picture WHERE place = ?"
            for key, body in connection.execute(pictures, (place,)):
                (folder / key.replace("/", "_")).write_bytes(body)
            self._remove(connection, [place])

        await self._do(aside)

    async def drained(self) -> None:
        """Wait until no event waits any more."""
        await self._until(lambda: self._level.events == 0)

    @property
    def backlog(self) -> int:
        """How many events wait."""
        return self._level.events

    @property
    def level(self) -> Level:
        """How full it is; any thread."""
        return self._level

    async def adopt(self, folder: Path) -> None:
        """Take over the events in *folder*, which no living process owns."""

        def copy(connection: sqlite3.Connection) -> None:
            with _closing(_connected(folder)) as orphan:
                last = connection.execute("SELECT coalesce(max(place), 0) FROM event").fetchone()[0]
                for table in ("event", "picture"):
                    rows = orphan.execute(f"SELECT * FROM {table} ORDER BY place")
                    columns = ", ".join("?" * len(rows.description))
                    connection.executemany(
                        f"INSERT INTO {table} VALUES ({columns})",
                        (_moved(row, rows.description, last) for row in rows),
                    )
            self._level = _measured(connection, self._level.dropped)

        await self._do(copy)

    async def close(self) -> None:
        """After everything that was asked is done."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _until(self, so: Callable[[], bool]) -> None:
        """Wait for a level at which *so* holds."""
        while not so():
            self._changed.clear()
            await self._changed.wait()

    async def _do(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._jobs.put((work, future))
        return await future

    # --- the writer's thread ------------------------------------------------------------------

    def _run(self) -> None:
        with _closing(self._connection):
            while job := self._jobs.get():
                group = [job]
                while not self._jobs.empty():
                    another = self._jobs.get()
                    if another is None:
                        self._commit(group)
                        return
                    group.append(another)
                self._commit(group)

    def _commit(self, group: list[_Job]) -> None:
        """All of *group* in one transaction; nobody is answered before it is on the disk."""
        before = self._level
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            answers = [(future, *self._attempt(work)) for work, future in group]
            self._connection.execute("COMMIT")
            self.commits += 1
            if self._connection.execute("PRAGMA freelist_count").fetchone()[0] > _SPARE_PAGES:
                self._connection.execute("PRAGMA incremental_vacuum").fetchall()
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._level = before
            answers = [(future, None, _translated(error)) for _, future in group]
        self._loop.call_soon_threadsafe(self._answer, answers)

    def _attempt(self, work: Callable[[sqlite3.Connection], Any]) -> tuple[Any, Exception | None]:
        """Its answer or its error; one that fails leaves no trace in the group."""
        before = self._level
        self._connection.execute("SAVEPOINT one")
        try:
            return work(self._connection), None
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            self._connection.execute("ROLLBACK TO one")
            self._level = before
            return None, _translated(error) if isinstance(error, sqlite3.Error) else error
        finally:
            self._connection.execute("RELEASE one")

    def _answer(self, answers: list[tuple["asyncio.Future[Any]", Any, Exception | None]]) -> None:
        self._changed.set()
        for future, value, error in answers:
            if future.done():
                continue  # its caller was cancelled
            if error:
                future.set_exception(error)
            else:
                future.set_result(value)

    def _add(
        self, connection: sqlite3.Connection, record: EventRecord, pictures: Mapping[str, bytes]
    ) -> None:
        text = packed(record)
        size = len(text) + sum(map(len, pictures.values()))
        self._make_room(connection, record, size)
        known = record.decision is not None and record.decision.person is not None
        now = time.time()
        place = connection.execute(
            "INSERT INTO event (id, known, bytes, added_at, record) VALUES (?, ?, ?, ?, ?)",
            (record.id.bytes, known, size, now, text),
        ).lastrowid
        connection.executemany(
            "INSERT INTO picture VALUES (?, ?, ?)",
            [(place, key, body) for key, body in pictures.items()],
        )
        level = self._level
        oldest_at = now if level.oldest_at is None else level.oldest_at
        self._level = Level(level.events + 1, level.bytes + size, oldest_at, level.dropped)

    def _make_room(self, connection: sqlite3.Connection, record: EventRecord, size: int) -> None:
        """Drop whole events: a later version shows pictures that came with an earlier one."""
        dropped = 0
        while self._level.bytes + size > self._most_bytes:
            found = connection.execute(_OLDEST_UNKNOWN, (record.id.bytes,)).fetchone()
            if found is None:
                raise SpoolFull(
                    f"the spool is full: {self._level.events} events,"
                    f" {self._level.bytes >> 20} of {self._most_bytes >> 20} MiB",
                    "see why the stores do not take them, or raise spool.most_mib",
                )
            rows = connection.execute("SELECT place FROM event WHERE id = ?", found).fetchall()
            self._remove(connection, [place for (place,) in rows])
            dropped += 1
        if dropped:
            level = self._level
            total = level.dropped + dropped
            self._level = Level(level.events, level.bytes, level.oldest_at, total)
            if time.monotonic() - self._alarmed_at > _ALARM_S:
                self._alarmed_at = time.monotonic()
                log.error("the spool is full: %d events of unknown people were dropped", total)

    def _remove(self, connection: sqlite3.Connection, places: Sequence[int]) -> None:
        events, size = self._level.events, self._level.bytes
        for place in places:
            connection.execute("DELETE FROM picture WHERE place = ?", (place,))
            gone = connection.execute("DELETE FROM event WHERE place = ? RETURNING bytes", (place,))
            for (row_bytes,) in gone.fetchall():
                events, size = events - 1, size - row_bytes
        self._level = Level(events, size, _oldest_at(connection), self._level.dropped)


def _oldest(connection: sqlite3.Connection, limit: int) -> list[SpooledEvent]:
    found: list[SpooledEvent] = []
    size = 0
    rows = connection.execute(
        "SELECT place, bytes, record FROM event ORDER BY place LIMIT ?", (limit,)
    )
    for place, row_bytes, record in rows:
        size += row_bytes
        if found and size > _READ_BYTES:
            break
        pictures = connection.execute("SELECT key, body FROM picture WHERE place = ?", (place,))
        found.append(SpooledEvent(place, unpacked(record), dict(pictures)))
    return found


def _measured(connection: sqlite3.Connection, dropped: int) -> Level:
    events, size = connection.execute(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM event"
    ).fetchone()
    return Level(events, size, _oldest_at(connection), dropped)


def _oldest_at(connection: sqlite3.Connection) -> float | None:
    found = connection.execute("SELECT added_at FROM event ORDER BY place LIMIT 1").fetchone()
    return found[0] if found else None


def _moved(row: tuple[Any, ...], columns: Any, by: int) -> tuple[Any, ...]:
    assert columns[0][0] == "place"
    return (row[0] + by, *row[1:])


def _connected(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        folder / "events.db", isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA page_size = 16384")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        connection.executescript(_SCHEMA)
    return connection


@contextmanager
def _usable(root: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise HomeUnusable(
            f"the spool {root} cannot be used: {error}",
            "make it writable and its disk not full, or name another --home",
        ) from error


@contextmanager
def _closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()


def _translated(error: sqlite3.Error) -> StoreTrouble:
    if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return SpoolFull("the disk of the spool is full", "make room on it")
    return StoreTrouble(
        f"the spool cannot be written: {error}", "check the disk that FACEWATCH_HOME is on"
    )


class _Claim:
    """A folder of one's own, and the folders of the dead; locked until `leave`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: dict[Path, int] = {}
        with _usable(root):
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._gate():
                found = [folder for folder in sorted(root.iterdir()) if self._is_orphan(folder)]
                if not found:
                    found = [root / uuid4().hex]
                    found[0].mkdir(mode=0o700)
                    self._locks[found[0]] = _locked(found[0] / "lock")
        self.folder, *self.orphans = found

    def drop(self, folder: Path) -> None:
        """Nothing is left in it."""
        shutil.rmtree(folder)
        os.close(self._locks.pop(folder))

    def leave(self) -> None:
        """The next start adopts what is left."""
        for lock in self._locks.values():
            os.close(lock)

    def _is_orphan(self, folder: Path) -> bool:
        """Whether its process is dead and we can read what it left; then it is ours."""
        if not (folder / "events.db").exists():
            return False
        try:
            lock = _locked(folder / "lock")
        except BlockingIOError:
            return False
        if not (folder / "events.db").exists():  # dropped between the two looks
            os.close(lock)
            return False
        try:
            with _closing(_connected(folder)) as connection:
                written = connection.execute("PRAGMA user_version").fetchone()[0]
                if written == FORMAT:
                    self._locks[folder] = lock
                    return True
            log.error("%s was left by another version of facewatch: run that to deliver it", folder)
        except sqlite3.DatabaseError as error:
            aside = folder.with_name(f"broken-{folder.name}")
            folder.rename(aside)
            (aside / "events.db").rename(aside / "events.broken")
            log.error("a dead process's spool cannot be read (%s); it is kept in %s", error, aside)
        os.close(lock)
        return False

    @contextmanager
    def _gate(self) -> Iterator[None]:
        gate = os.open(self._root / "gate", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield
        finally:
            os.close(gate)


def _locked(file: Path) -> int:
    """
    Raises:
        BlockingIOError: a living process holds it.
    """
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise
    return lock
