"""Three things that Linux can do with files and Python's os does not know."""

import ctypes
import os
import sys

_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # linux/falloc.h
_BEGIN_WRITING = 2  # linux/fs.h
_HONEST = (5, 8)
"""From this Linux on syncfs says when something could not be written."""

_libc = ctypes.CDLL(None, use_errno=True)


def give_back(file: int, at: int, size: int) -> None:
    """Free the blocks in this stretch of an open file, which keeps its size.

    Where the system or the file system cannot, nothing happens.
    """
    if sys.platform == "linux":
        hole = _KEEP_SIZE | _PUNCH_HOLE
        _libc.fallocate(file, hole, ctypes.c_int64(at), ctypes.c_int64(size))


def begin_writing(file: int) -> None:
    """Send what an open file holds on its way to the disk, and do not wait for it.

    Of files that are all on their way the first fsync waits, and most others find it done.
    """
    if sys.platform == "linux":
        _libc.sync_file_range(file, ctypes.c_int64(0), ctypes.c_int64(0), _BEGIN_WRITING)


def can_sync_all() -> bool:
    """Whether `sync_all` works here."""
    if sys.platform != "linux":
        return False
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(filter(str.isdigit, minor)))) >= _HONEST


def sync_all(descriptor: int) -> None:
    """Bring everything that was written to the file system of *descriptor* to its disk.

    One flush for any number of files, whoever wrote them; tells of failures since *descriptor*
    was opened.

    Raises:
        OSError: something could not be written.
    """
    if _libc.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
