"""Which rows have a key, in 20 bytes a row: a dictionary takes seven times as much."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Keys: TypeAlias = NDArray[np.bytes_]
"""The bytes of ids as `GalleryChange` has them; b"" where there is none."""
Places: TypeAlias = NDArray[np.int64]

_RECENT = 65_536
_ENDS: tuple[Literal["left"], Literal["right"]] = ("left", "right")


class Sorted:
    """Rows by key; of one key in their order. Never changed."""

    def __init__(self, keys: Keys, rows: NDArray[np.int32] | None = None) -> None:
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._rows = order.astype(np.int32) if rows is None else rows[order]

    @property
    def count(self) -> int:
        return len(self._keys)

    def followed_by(self, later: "Sorted") -> "Sorted":
        """Both; rows of *later* come behind these. Two sorted runs are merged, not sorted."""
        keys = np.concatenate([self._keys, later._keys])
        return Sorted(keys, np.concatenate([self._rows, later._rows]))

    def newest(self, keys: Keys) -> Places:
        """The last row of each, -1 where there is none."""
        if not self.count:
            return np.full(len(keys), -1, np.int64)
        at = np.searchsorted(self._keys, keys, "right") - 1
        there = (at >= 0) & (self._keys[at] == keys)
        return np.where(there, self._rows[at], -1).astype(np.int64)

    def of(self, key: bytes) -> Places:
        """Every row that has it."""
        wanted = np.bytes_(key)
        first, last = (np.searchsorted(self._keys, wanted, side) for side in _ENDS)
        return self._rows[first:last].astype(np.int64)

    def every(self, keys: Keys) -> tuple[Places, Places]:
        """Which of *keys*, and a row that has it: every one, by key."""
        first, last = (np.searchsorted(self._keys, keys, side) for side in _ENDS)
        counts = last - first
        which = np.repeat(np.arange(len(keys)), counts)
        at = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts - first, counts)
        return which, self._rows[at].astype(np.int64)


class Growing:
    """Rows by key while more are added behind; one thread adds, others ask for those before."""

    def __init__(self) -> None:
        self._now: tuple[Sorted, dict[bytes, tuple[int, ...]]] = (_nothing(), {})
        self._recent = 0

    def add(self, keys: Keys, rows: Places) -> None:
        """*rows*, behind all others, and the key of each."""
        _, recent = self._now
        for key, row in zip(keys.tolist(), rows.tolist(), strict=True):
            recent[key] = (*recent.get(key, ()), row)
        self._recent += len(keys)
        if self._recent >= _RECENT:
            self._sort()

    def newest(self, keys: Keys) -> Places:
        """The last row of each, -1 where there is none."""
        before, recent = self._now
        found = before.newest(keys)
        if recent:
            late = np.array([recent.get(it, (-1,))[-1] for it in keys.tolist()], np.int64)
            found = np.where(late < 0, found, late)
        return found

    def of(self, key: bytes) -> Places:
        """Every row that has it."""
        before, recent = self._now
        late = np.array(recent.get(key, ()), np.int64)
        return np.concatenate([before.of(key), late]) if before.count else late

    def every(self, keys: Keys) -> tuple[Places, Places]:
        """Which of *keys*, and a row that has it: every one."""
        before, recent = self._now
        which, rows = before.every(keys)
        late = [
            (n, row) for n, key in enumerate(keys.tolist()) for row in recent.get(key, ())
        ] or np.zeros((0, 2), np.int64)
        added = np.array(late, np.int64)
        return np.concatenate([which, added[:, 0]]), np.concatenate([rows, added[:, 1]])

    def _sort(self) -> None:
        """Who asks meanwhile has both as they were."""
        before, recent = self._now
        pairs = [(key, row) for key, rows in recent.items() for row in rows]
        keys = np.array([key for key, _ in pairs], "S16")
        rows = np.array([row for _, row in pairs], np.int32)
        self._now = before.followed_by(Sorted(keys, rows)), {}
        self._recent = 0


def _nothing() -> Sorted:
    return Sorted(np.zeros(0, "S16"))
