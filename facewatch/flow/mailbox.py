"""A slot per sender in which the newest letter replaces the one before it."""

import asyncio
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Mailbox(Generic[K, V]):
    """Newest value of each key, handed out to the key that waited longest.

    A replaced value keeps its key's place in line, so that a slow camera is not starved by
    quick ones; *on_replaced* is told its key, *on_taken* a value that is handed out, its key and
    the seconds that it waited. Keys that are *urgent* when values are taken come before the others.
    Event loop only.
    """

    def __init__(
        self,
        on_replaced: Callable[[K], None] = lambda _: None,
        on_taken: Callable[[K, V, float], None] = lambda _key, _value, _waited_s: None,
        urgent: Callable[[K], bool] = lambda _: False,
    ) -> None:
        self._slots: dict[K, tuple[V, float]] = {}
        self._arrived = asyncio.Event()
        self._closed = False
        self._on_replaced = on_replaced
        self._on_taken = on_taken
        self._urgent = urgent

    def put(self, key: K, value: V) -> None:
        """Never waits; after `close` the value is dropped."""
        if self._closed:
            return
        if key in self._slots:
            self._on_replaced(key)
        self._slots[key] = (value, time.perf_counter())
        self._arrived.set()

    async def take(self, most: int) -> list[V]:
        """Up to *most* values, longest-waiting key first; empty once closed and drained."""
        while not self._slots:
            if self._closed:
                return []
            self._arrived.clear()
            await self._arrived.wait()
        waiting = sorted(self._slots, key=lambda key: not self._urgent(key))
        return [self._hand_out(key) for key in waiting[:most]]

    def _hand_out(self, key: K) -> V:
        value, put_at = self._slots.pop(key)
        self._on_taken(key, value, time.perf_counter() - put_at)
        return value

    def close(self) -> None:
        """No more values come in; those that wait are still handed out."""
        self._closed = True
        self._arrived.set()
