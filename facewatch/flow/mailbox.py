"""A slot per sender in which the newest letter replaces the one before it."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Mailbox(Generic[K, V]):
    """Newest value of each key, handed out to the key that waited longest.

    A replaced value keeps its key's place in line, so that a slow camera is not starved by
    quick ones; it is counted by *on_replaced*. Event loop only.
    """

    def __init__(self, on_replaced: Callable[[K], None] = lambda _: None) -> None:
        self._slots: dict[K, V] = {}
        self._arrived = asyncio.Event()
        self._closed = False
        self._on_replaced = on_replaced

    def put(self, key: K, value: V) -> None:
        """Never waits; after `close` the value is dropped."""
        if self._closed:
            return
        if key in self._slots:
            self._on_replaced(key)
        self._slots[key] = value
        self._arrived.set()

    async def take(self, most: int) -> list[V]:
        """Up to *most* values, longest-waiting key first; empty once closed and drained."""
        while not self._slots:
            if self._closed:
                return []
            self._arrived.clear()
            await self._arrived.wait()
        return [self._slots.pop(key) for key in list(self._slots)[:most]]

    def close(self) -> None:
        """No more values come in; those that wait are still handed out."""
        self._closed = True
        self._arrived.set()
