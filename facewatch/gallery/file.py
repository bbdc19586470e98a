"""A gallery's templates in a file of the home.

    line 1   sha256 of line 2
    line 2   JSON: `Header`; blanks up to 4,096 bytes
    faces    16 bytes a row; zeros for a template fused from several of a person
    persons  16 bytes a row
    templates  d little-endian float32 a row; zeros once it was erased
    checks   crc32 of each template as it was written

It is written whole beside its place and moved there; nothing in it changes afterwards but that
templates are erased, by any process. Writing, moving and erasing are done under one lock of the
folder, so that nothing is erased in a file that is about to be replaced.
"""

import fcntl
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import OrgId
from facewatch.errors import HomeUnusable

_FORMAT = 1
_HEADER_BYTES = 4096


class UnusableFile(Exception):
    """Why a file is not taken, in words."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file holds.

    Attributes:
        revision: Of the org's gallery.
        lineage: Of the table that it was read from.
        ids: sha256 of faces and persons.
    """

    format: int
    org: str
    model: str
    dimensions: int
    rows: int
    revision: int
    lineage: str
    ids: str

    @property
    def templates_at(self) -> int:
        return _HEADER_BYTES + 32 * self.rows

    @property
    def checks_at(self) -> int:
        return self.templates_at + 4 * self.dimensions * self.rows

    @property
    def bytes(self) -> int:
        return self.checks_at + 4 * self.rows


class GalleryFile:
    """An open file. Any thread; it can be read after another took its place."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            FileNotFoundError: there is none.
            UnusableFile: it is damaged.
            HomeUnusable: it cannot be read.
        """
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _unusable(path, error) from None
        try:
            self.header = self._header()
            ids = self._bytes(_HEADER_BYTES, 32 * self.header.rows)
        except OSError as error:  # a folder, or a disk that cannot be read
            raise _unusable(path, error) from None
        if sha256(ids).hexdigest() != self.header.ids:
            raise UnusableFile("its ids are damaged")
        both = np.frombuffer(ids, "S16")
        self.faces, self.persons = both[: self.header.rows], both[self.header.rows :]
        self.dimensions = self.header.dimensions

    def __del__(self) -> None:
        if hasattr(self, "_descriptor"):
            os.close(self._descriptor)

    def read(self, places: NDArray[np.int64]) -> NDArray[np.float32]:
        """Templates (n, d) of these rows."""
        size, start = 4 * self.dimensions, self.header.templates_at
        parts = [os.pread(self._descriptor, size, start + size * at) for at in places.tolist()]
        return np.frombuffer(b"".join(parts), np.float32).reshape(-1, self.dimensions)

    def chunks(self, most: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Every template in order, and the first's row.

        Raises:
            UnusableFile: one is not what was written, and was not erased.
        """
        size = 4 * self.dimensions
        for start in range(0, self.header.rows, most):
            count = min(most, self.header.rows - start)
            templates = self._bytes(self.header.templates_at + size * start, size * count)
            checks = self._bytes(self.header.checks_at + 4 * start, 4 * count)
            rows = np.frombuffer(templates, np.float32).reshape(count, self.dimensions)
            damaged = np.frombuffer(checks, np.uint32) != _checks(rows)
            if (damaged & rows.any(axis=1)).any():
                raise UnusableFile("its templates are damaged")
            yield start, rows

    def _header(self) -> Header:
        digest, _, rest = self._bytes(0, _HEADER_BYTES).partition(b"\n")
        text = rest.rstrip(b" ")
        if sha256(text).hexdigest().encode() != digest:
            raise UnusableFile("its header is damaged")
        told = json.loads(text)
        if told.get("format") != _FORMAT or set(told) != {it.name for it in fields(Header)}:
            raise UnusableFile("another version of facewatch wrote it")
        header = Header(**told)
        if os.fstat(self._descriptor).st_size != header.bytes:
            raise UnusableFile("it is not as long as it says")
        return header

    def _bytes(self, start: int, count: int) -> bytes:
        parts = []
        while count and (part := os.pread(self._descriptor, count, start)):
            parts.append(part)
            start, count = start + len(part), count - len(part)
        if count:
            raise UnusableFile("it breaks off")
        return b"".join(parts)


def write(
    path: Path,
    org: OrgId,
    model: str,
    revision: int,
    lineage: str,
    faces: NDArray[np.bytes_],
    persons: NDArray[np.bytes_],
    templates: Iterable[NDArray[np.float32]],
    dimensions: int,
) -> None:
    """Put a file at *path*, on disk when this returns. The folder's lock is held.

    Raises:
        HomeUnusable: it cannot be written; what was there before stays.
    """
    digest = sha256(faces.data)
    digest.update(persons.data)
    header = Header(
        *(_FORMAT, str(org), model, dimensions, len(faces), revision, lineage),
        digest.hexdigest(),
    )
    text = json.dumps(asdict(header)).encode()
    fresh = _fresh(path)
    try:
        with open(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            checked = sha256(text).hexdigest().encode() + b"\n" + text
            file.write(checked.ljust(_HEADER_BYTES))
            file.write(faces.data)
            file.write(persons.data)
            checks = []
            for rows in templates:
                file.write(rows.data)
                checks.append(_checks(rows))
            file.write(b"".join(it.tobytes() for it in checks))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync(path.parent)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise _unusable(path, error) from None


def erase(path: Path, faces: Iterable[bytes]) -> None:
    """Templates of *faces*, and those fused of their persons, on disk when this returns.

    The folder's lock is held. Where there is no file, or a damaged one, none is left.

    Raises:
        HomeUnusable: it cannot be written.
    """
    try:
        _fresh(path).unlink(missing_ok=True)  # of a process that was killed
        try:
            file = GalleryFile(path)
        except FileNotFoundError:
            return
        except UnusableFile:
            path.unlink()
            return
        rows = _rows_of(file, faces)
        if not len(rows):
            return
        size = 4 * file.dimensions
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for row in rows.tolist():
                os.pwrite(descriptor, bytes(size), file.header.templates_at + size * row)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unusable(path, error) from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder, made if it is not there, for one process's thread alone. Waits.

    Raises:
        HomeUnusable: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _rows_of(file: GalleryFile, faces: Iterable[bytes]) -> NDArray[np.int64]:
    wanted = np.array(list(faces), "S16")
    theirs = np.isin(file.faces, wanted)
    fused = (file.faces == b"") & np.isin(file.persons, file.persons[theirs])
    return np.flatnonzero(theirs | fused)


def _checks(rows: NDArray[np.float32]) -> NDArray[np.uint32]:
    return np.array([zlib.crc32(row) for row in rows], np.uint32)


def _fresh(path: Path) -> Path:
    return path.with_suffix(".new")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unusable(path: Path, error: OSError) -> HomeUnusable:
    return HomeUnusable(
        f"{path} cannot be used: {error.strerror}", "check its owner and the space on its disk"
    )
