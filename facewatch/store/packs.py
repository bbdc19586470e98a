"""Pixels of events that wait, appended to a few large files: one write and one fsync for many.

What was appended is a row somewhere else (store/spool.py), which says where it lies; without that
row it counts as nothing. A file goes when nothing in it waits any more. One thread at a time.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from facewatch.store.disk import give_back

_PACK_BYTES = 64 << 20
"""A pack that has reached this size is followed by another."""
_BLOCK = 4096
_HELD_BYTES = 16 << 20
"""More than this is not held in memory: it is settled at once."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Where a picture lies: number of the pack, first byte, bytes."""

    pack: int
    at: int
    size: int


def on_disk(size: int) -> int:
    """What pictures of so many bytes take: whole blocks, so that each event's can be given back.

    >>> on_disk(1), on_disk(4096), on_disk(0)
    (4096, 4096, 0)
    """
    return -(-size // _BLOCK) * _BLOCK


class Packs:
    """The packs in *folder*. Every method raises OSError when the disk does not do as it should."""

    def __init__(self, folder: Path, living: Mapping[int, int]) -> None:
        """*living*: how many pictures wait in each pack; other packs are deleted."""
        self._folder = folder
        self._living = Counter(living)
        self._number = max(living, default=0)
        self._file: int | None = None  # the newest, once it was appended to
        self._size = 0
        self._unsettled: list[bytes] = []
        self._unsettled_bytes = 0
        self._reading: tuple[int, int] | None = None
        for file in folder.glob("*.pack"):
            if int(file.stem) not in living:
                file.unlink()

    def append(self, bodies: Sequence[bytes]) -> list[Slot]:
        """Where these will lie, in blocks of their own, once `settle` has returned."""
        if self._file is None or (self._size >= _PACK_BYTES and not self._unsettled):
            self._open_another()
        slots, at = [], self._size + self._unsettled_bytes
        for body in bodies:
            slots.append(Slot(self._number, at, len(body)))
            at += len(body)
        size = sum(map(len, bodies))
        self._unsettled += [*bodies, bytes(on_disk(size) - size)]
        self._unsettled_bytes += on_disk(size)
        self._living[self._number] += len(bodies)
        if self._unsettled_bytes > _HELD_BYTES:
            self.settle()
        return slots

    def settle(self) -> None:
        """What was appended is on the disk when it returns."""
        if not self._unsettled:
            return
        assert self._file is not None
        at, rest = self._size, memoryview(b"".join(self._unsettled))
        while rest:
            written = os.pwrite(self._file, rest, at)
            at, rest = at + written, rest[written:]
        os.fdatasync(self._file)
        self._size = at
        self._unsettled, self._unsettled_bytes = [], 0

    def take_back(self, living: Mapping[int, int]) -> None:
        """What was appended since `settle` is not wanted; *living* as it was then."""
        self._unsettled, self._unsettled_bytes = [], 0
        self._living = Counter(living)

    def read(self, slot: Slot) -> bytes:
        """A picture that was settled."""
        body = os.pread(self._opened(slot.pack), slot.size, slot.at)
        if len(body) < slot.size:
            raise OSError(f"{self._path(slot.pack)} ends before byte {slot.at + slot.size}")
        return body

    def free(self, slots: Iterable[Slot]) -> None:
        """Nothing refers to these any more, and never will again."""
        self._living.subtract(slot.pack for slot in slots)
        for number in [number for number, count in self._living.items() if count <= 0]:
            del self._living[number]
            if number == self._number and self._file is not None:
                os.ftruncate(self._file, 0)
                self._size = 0
            else:
                if self._reading is not None and self._reading[0] == number:
                    os.close(self._reading[1])
                    self._reading = None
                self._path(number).unlink()

    def punch(self, slots: Iterable[Slot]) -> None:
        """Give the room of these back although others in their packs wait: all of whole events."""
        for slot in slots:
            if slot.pack in self._living:
                start = slot.at // _BLOCK * _BLOCK
                give_back(self._opened(slot.pack), start, on_disk(slot.at + slot.size) - start)

    def close(self) -> None:
        """The files stay."""
        for descriptor in (self._file, self._reading and self._reading[1]):
            if descriptor is not None:
                os.close(descriptor)
        self._file = self._reading = None

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.pack"

    def _open_another(self) -> None:
        """Its name is durable when it returns."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._number += 1
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file, self._size = os.open(self._path(self._number), flags, 0o600), 0
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _opened(self, number: int) -> int:
        """To read from; one at a time, because what waits is read in order."""
        if number == self._number and self._file is not None:
            return self._file
        if self._reading is None or self._reading[0] != number:
            if self._reading is not None:
                os.close(self._reading[1])
                self._reading = None
            opened = os.open(self._path(number), os.O_RDWR | os.O_CLOEXEC)
            self._reading = (number, opened)
        return self._reading[1]
