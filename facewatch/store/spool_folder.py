"""The folders of spools: whose they are, and what is in them.

A folder holds ``events.db`` with a row an event and a row a picture, the packs in which the
pictures lie (store/packs.py), and ``lock``, which is locked while its process lives.
"""

import fcntl
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from facewatch.errors import HomeUnusable
from facewatch.store.packs import Packs

log = logging.getLogger(__name__)

_FORMAT = 2
_FORMAT_BEFORE = 1
"""Pictures were in the database."""

_PIXELS = """
CREATE TABLE pixels (
    place INTEGER NOT NULL,
    key   TEXT NOT NULL,
    pack  INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    size  INTEGER NOT NULL
);
CREATE INDEX pixels_place ON pixels (place);
"""
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
{_PIXELS}
PRAGMA user_version = {_FORMAT};
"""


def connected(folder: Path) -> sqlite3.Connection:
    """To the events in *folder*, which are made where there are none. Any thread, one at a time."""
    connection = sqlite3.connect(
        folder / "events.db", isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA journal_size_limit = 16777216")
    if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        connection.executescript(_SCHEMA)
    return connection


def living(connection: sqlite3.Connection) -> dict[int, int]:
    """How many pictures wait in each pack."""
    return dict(connection.execute("SELECT pack, count(*) FROM pixels GROUP BY pack"))


def renew(connection: sqlite3.Connection, folder: Path) -> None:
    """Bring what the version before left to the format of this one; twice is no error."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == _FORMAT:
        return
    packs = Packs(folder, {})
    connection.execute("BEGIN IMMEDIATE")
    for statement in _PIXELS.split(";")[:-1]:
        connection.execute(statement)
    for place, key, body in connection.execute("SELECT place, key, body FROM picture"):
        (slot,) = packs.append([body])
        row = (place, key, slot.pack, slot.at, slot.size)
        connection.execute("INSERT INTO pixels VALUES (?, ?, ?, ?, ?)", row)
    packs.settle()
    connection.execute("DROP TABLE picture")
    connection.execute(f"PRAGMA user_version = {_FORMAT}")
    connection.execute("COMMIT")
    packs.close()


@contextmanager
def usable(root: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise HomeUnusable(
            f"the spool {root} cannot be used: {error}",
            "make it writable and its disk not full, or name another --home",
        ) from error


@contextmanager
def closing(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        yield connection
    finally:
        connection.close()


class Claim:
    """A folder of one's own, and the folders of the dead; locked until `leave`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: dict[Path, int] = {}
        with usable(root):
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
            with closing(connected(folder)) as connection:
                written = connection.execute("PRAGMA user_version").fetchone()[0]
                if written in (_FORMAT_BEFORE, _FORMAT):
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
