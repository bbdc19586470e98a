"""Events and their pictures on the local disk, until the stores have them.

Each process has a folder of its own below the root, locked while it lives; folders of the dead
are adopted at the next start. Records are rows of a SQLite file, pixels are appended to packs
(docs/decisions/0099): whatever waits when a commit begins shares its two fsyncs.
"""

import asyncio
import errno
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from facewatch.domain.events import EventRecord
from facewatch.errors import SpoolFull, StoreTrouble
from facewatch.ports.keeping import SpooledEvent
from facewatch.store.packs import Packs, Slot, on_disk
from facewatch.store.records import packed, unpacked
from facewatch.store.spool_folder import Claim, closing, connected, living, renew, usable

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_OLDEST_UNKNOWN = """
SELECT id FROM event AS e
 WHERE known = 0 AND id <> ?
   AND NOT EXISTS (SELECT 1 FROM event AS k WHERE k.id = e.id AND k.known = 1)
 ORDER BY place LIMIT 1
"""

_ALARM_S = 60.0
_READ_BYTES = 32 << 20
_SPARE_PAGES = 16_384
"""Free pages of the database that are kept for what comes next; more go back to the disk."""


@dataclass(frozen=True, slots=True)
class Level:
    """How full the spool is.

    Attributes:
        oldest_at: When the oldest was added, seconds since the epoch; None when empty.
        newest: Place of the newest that there ever was.
        dropped: Events that were dropped since the start because it was full.
    """

    events: int
    bytes: int
    oldest_at: float | None
    newest: int
    dropped: int


@dataclass(frozen=True, slots=True)
class _Job:
    """Something to do in the writer's thread, and who waits for it.

    Attributes:
        appends: It writes pixels, which fails where the disk is full.
    """

    work: Callable[[], Any]
    answer: "asyncio.Future[Any]"
    appends: bool


_Answered: TypeAlias = tuple["asyncio.Future[Any]", Any, Exception | None]


@asynccontextmanager
async def open_spool(root: Path, most_bytes: int) -> AsyncIterator["SqliteSpool"]:
    """A spool below *root*, with what dead processes left there.

    Raises:
        HomeUnusable: *root* cannot be written.
    """
    claim = await asyncio.to_thread(Claim, root)
    try:
        with usable(root):
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
    """`ports.keeping.Spool` in one folder, written by one thread."""

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._refused = folder.parent.with_name("refused")
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._changed = asyncio.Event()
        self._connection = connected(folder)
        renew(self._connection, folder)
        self._packs = Packs(folder, living(self._connection))
        self._level = self._told = self._measured(0)
        self._fresh: dict[int, SpooledEvent] = {}
        self._fresh_bytes = 0
        self._came: list[SpooledEvent] = []
        self._went: list[Slot] = []
        self._dropped: list[Slot] = []
        self._alarmed_at = -_ALARM_S
        self.commits = 0
        """Transactions so far; each is one fsync of the records, however many calls share it."""
        self._thread = threading.Thread(target=self._run, name="spool")
        self._thread.start()

    async def add(self, record: EventRecord, pictures: Mapping[str, bytes]) -> None:
        """Durable (fsync) when it returns; many calls share one fsync.

        When the bound is reached the oldest events that nobody was recognised in make room.

        Raises:
            SpoolFull: the bound is reached by events that may not be dropped, or the disk is full.
        """
        await self._do(lambda: self._add(record, pictures), appends=True)

    async def oldest(self, limit: int, after: int = 0) -> list[SpooledEvent]:
        """The oldest undelivered events behind place *after*, in the order of `add`.

        Waits while there are none. Fewer than *limit* when they are large: about 32 MiB at a time.
        """
        found: list[SpooledEvent] = []
        seen = after
        while not found:
            await self._until(partial(_holds_behind, seen))
            seen = self._told.newest
            found = await self._do(partial(self._oldest, limit, after))
        return found

    async def delivered(self, places: Sequence[int]) -> None:
        """Forget these: the stores have them."""
        await self._do(lambda: self._went.extend(self._remove(places)))

    async def set_aside(self, place: int) -> None:
        """The stores will never take this one: keep it for a person to look at, and go on.

        Record and pictures become files in ``refused``, beside the spool's root.
        """

        def aside() -> None:
            (record,) = self._connection.execute(
                "SELECT record FROM event WHERE place = ?", (place,)
            ).fetchone()
            folder = self._refused / f"{int(time.time())}-{place}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "record.json").write_text(record)
            for key, slot in self._slots(place).items():
                (folder / key.replace("/", "_")).write_bytes(self._packs.read(slot))
            self._went += self._remove([place])

        await self._do(aside)

    async def drained(self) -> None:
        """Wait until no event waits any more."""
        await self._until(lambda level: level.events == 0)

    @property
    def backlog(self) -> int:
        """How many events wait."""
        return self._told.events

    @property
    def level(self) -> Level:
        """How full it is; any thread."""
        return self._told

    async def adopt(self, folder: Path) -> None:
        """Take over the events in *folder*, which no living process owns."""

        def copy() -> None:
            with closing(connected(folder)) as orphan:
                renew(orphan, folder)
                packs = Packs(folder, living(orphan))
                last = self._level.newest
                rows = orphan.execute("SELECT * FROM event ORDER BY place")
                self._connection.executemany(
                    "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)",
                    ((row[0] + last, *row[1:]) for row in rows),
                )
                pixels = orphan.execute("SELECT place, key, pack, at, size FROM pixels")
                for place, key, *where in pixels:
                    (slot,) = self._packs.append([packs.read(Slot(*where))])
                    self._refer(last + place, [key], [slot])
                packs.close()
            self._level = self._measured(self._level.dropped)

        await self._do(copy, appends=True)

    async def close(self) -> None:
        """After everything that was asked is done."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    async def _until(self, so: Callable[[Level], bool]) -> None:
        """Wait for a level at which *so* holds."""
        while not so(self._told):
            self._changed.clear()
            await self._changed.wait()

    async def _do(self, work: Callable[[], Answer], *, appends: bool = False) -> Answer:
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._jobs.put(_Job(work, future, appends))
        return await future

    # --- the writer's thread ------------------------------------------------------------------

    def _run(self) -> None:
        with closing(self._connection):
            going_on = True
            while going_on:
                group, going_on = self._waiting()
                if group:
                    self._loop.call_soon_threadsafe(self._answer, self._commit(group))
            self._packs.close()

    def _waiting(self) -> tuple[list[_Job], bool]:
        """Everything that waits, at least one; whether there can be more.

        Who reads comes first, and sees nothing that is not on the disk.
        """
        group: list[_Job] = []
        going_on = True
        while going_on and (not group or not self._jobs.empty()):
            job = self._jobs.get()
            if job is None:
                going_on = False
            else:
                group.append(job)
        return sorted(group, key=lambda job: job.appends), going_on

    def _commit(self, group: list[_Job]) -> list[_Answered]:
        """All of *group* in one transaction; nobody is answered before it is on the disk."""
        before = self._level
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            answers = [self._attempt(job) for job in group]
            self._packs.settle()
            self._connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._roll_back(before)
            failed = [job for job in group if job.appends] or group
            others = [job for job in group if job not in failed]
            return [
                *((job.answer, None, _translated(error)) for job in failed),
                *(self._commit(others) if others else ()),
            ]
        self.commits += 1
        self._told = self._level
        self._keep_house()
        return answers

    def _attempt(self, job: _Job) -> _Answered:
        """Its answer, or what it refused; trouble with the disk concerns the whole group."""
        try:
            return job.answer, job.work(), None
        except (sqlite3.Error, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            return job.answer, None, error

    def _roll_back(self, level: Level) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._level = level
        self._came, self._went, self._dropped = [], [], []
        self._packs.take_back(living(self._connection))

    def _keep_house(self) -> None:
        """What follows from a commit; when it fails, files stay that the next start removes."""
        for event in self._came:
            size = sum(map(len, event.pictures.values()))
            if self._fresh_bytes + size <= _READ_BYTES:
                self._fresh[event.place] = event
                self._fresh_bytes += size
        try:
            self._packs.free([*self._went, *self._dropped])
            self._packs.punch(self._dropped)
            if self._connection.execute("PRAGMA freelist_count").fetchone()[0] > _SPARE_PAGES:
                self._connection.execute("PRAGMA incremental_vacuum").fetchall()
        except (sqlite3.Error, OSError) as error:
            log.error("room in the spool is not given back: %s", error)
        self._came, self._went, self._dropped = [], [], []

    def _answer(self, answers: list[_Answered]) -> None:
        self._changed.set()
        for future, value, error in answers:
            if future.done():
                continue  # its caller was cancelled
            if error:
                future.set_exception(error)
            else:
                future.set_result(value)

    def _add(self, record: EventRecord, pictures: Mapping[str, bytes]) -> None:
        text = packed(record)
        size = len(text) + on_disk(sum(map(len, pictures.values())))
        if self._level.bytes + size > self._most_bytes:
            self._make_room(record, size)
        known = record.decision is not None and record.decision.person is not None
        level, now = self._level, time.time()
        place = level.newest + 1
        self._connection.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)",
            (place, record.id.bytes, known, size, now, text),
        )
        self._refer(place, pictures, self._packs.append(list(pictures.values())))
        self._came.append(SpooledEvent(place, record, dict(pictures)))
        oldest_at = now if level.oldest_at is None else level.oldest_at
        self._level = Level(level.events + 1, level.bytes + size, oldest_at, place, level.dropped)

    def _refer(self, place: int, keys: Iterable[str], slots: Iterable[Slot]) -> None:
        self._connection.executemany(
            "INSERT INTO pixels VALUES (?, ?, ?, ?, ?)",
            [(place, k, it.pack, it.at, it.size) for k, it in zip(keys, slots, strict=True)],
        )

    def _make_room(self, record: EventRecord, size: int) -> None:
        """Drop whole events: a later version shows pictures that came with an earlier one.

        Raises:
            SpoolFull: not enough may be dropped; then nothing was.
        """
        before, gone, dropped = self._level, list[Slot](), 0
        self._connection.execute("SAVEPOINT room")
        while self._level.bytes + size > self._most_bytes:
            found = self._connection.execute(_OLDEST_UNKNOWN, (record.id.bytes,)).fetchone()
            if found is None:
                self._connection.execute("ROLLBACK TO room")
                self._connection.execute("RELEASE room")
                self._level = before
                raise SpoolFull(
                    f"the spool is full: {before.events} events,"
                    f" {before.bytes >> 20} of {self._most_bytes >> 20} MiB",
                    "see why the stores do not take them, or raise spool.most_mib",
                )
            rows = self._connection.execute("SELECT place FROM event WHERE id = ?", found)
            gone += self._remove([place for (place,) in rows.fetchall()])
            dropped += 1
        self._connection.execute("RELEASE room")
        self._dropped += gone
        total = self._level.dropped + dropped
        self._level = replace(self._level, dropped=total)
        if time.monotonic() - self._alarmed_at > _ALARM_S:
            self._alarmed_at = time.monotonic()
            log.error("the spool is full: %d events of unknown people were dropped", total)

    def _remove(self, places: Sequence[int]) -> list[Slot]:
        """Where the pictures of these lay; they are there until the commit."""
        events, size = self._level.events, self._level.bytes
        slots: list[Slot] = []
        for place in places:
            gone = self._connection.execute(
                "DELETE FROM event WHERE place = ? RETURNING bytes", (place,)
            ).fetchall()
            for (row_bytes,) in gone:
                events, size = events - 1, size - row_bytes
                slots += self._slots(place).values()
                self._connection.execute("DELETE FROM pixels WHERE place = ?", (place,))
            if fresh := self._fresh.pop(place, None):
                self._fresh_bytes -= sum(map(len, fresh.pictures.values()))
        oldest_at = _oldest_at(self._connection)
        self._level = replace(self._level, events=events, bytes=size, oldest_at=oldest_at)
        return slots

    def _slots(self, place: int) -> dict[str, Slot]:
        rows = self._connection.execute(
            "SELECT key, pack, at, size FROM pixels WHERE place = ?", (place,)
        )
        return {key: Slot(*where) for key, *where in rows}

    def _oldest(self, limit: int, after: int) -> list[SpooledEvent]:
        found: list[SpooledEvent] = []
        size = 0
        rows = self._connection.execute(
            "SELECT place, bytes FROM event WHERE place > ? ORDER BY place LIMIT ?", (after, limit)
        )
        for place, row_bytes in rows:
            size += row_bytes
            if found and size > _READ_BYTES:
                break
            found.append(self._fresh.get(place) or self._read(place))
        return found

    def _read(self, place: int) -> SpooledEvent:
        (record,) = self._connection.execute(
            "SELECT record FROM event WHERE place = ?", (place,)
        ).fetchone()
        pictures = {key: self._packs.read(slot) for key, slot in self._slots(place).items()}
        return SpooledEvent(place, unpacked(record), pictures)

    def _measured(self, dropped: int) -> Level:
        events, size = self._connection.execute(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM event"
        ).fetchone()
        ever = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'")
        (newest,) = ever.fetchone() or (0,)
        return Level(events, size, _oldest_at(self._connection), newest, dropped)


def _holds_behind(place: int, level: Level) -> bool:
    return level.events > 0 and level.newest > place


def _oldest_at(connection: sqlite3.Connection) -> float | None:
    found = connection.execute("SELECT added_at FROM event ORDER BY place LIMIT 1").fetchone()
    return found[0] if found else None


def _translated(error: sqlite3.Error | OSError) -> StoreTrouble:
    full = (
        error.errno in (errno.ENOSPC, errno.EDQUOT)
        if isinstance(error, OSError)
        else error.sqlite_errorcode == sqlite3.SQLITE_FULL
    )
    if full:
        return SpoolFull("the disk of the spool is full", "make room on it")
    return StoreTrouble(
        f"the spool cannot be written: {error}", "check the disk that FACEWATCH_HOME is on"
    )
