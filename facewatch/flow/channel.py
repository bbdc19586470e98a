"""A bounded queue between two stages."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """First in, first out; a full channel makes its producer wait. Event loop only."""

    def __init__(self, bound: int) -> None:
        self._items: deque[T] = deque()
        self._bound = bound
        self._closed = False
        self._in_hand = False
        self._changed = asyncio.Condition()

    async def put(self, item: T) -> None:
        """Waits while the channel is full.

        Raises:
            RuntimeError: the channel is closed: a stage went on after its end.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or len(self._items) < self._bound)
            if self._closed:
                raise RuntimeError("put on a closed channel")
            self._items.append(item)
            self._changed.notify_all()

    async def close(self) -> None:
        """No more items come in; those inside are still handed out. Twice is no error."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def handled(self) -> None:
        """Wait until nothing is inside, and whoever took the last has asked for more."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._items and not self._in_hand)

    async def lots(self, most: int) -> AsyncIterator[list[T]]:
        """What is inside, up to *most* items at a time, until it is closed and drained.

        For one consumer.
        """
        while True:
            async with self._changed:
                self._in_hand = False
                self._changed.notify_all()
                await self._changed.wait_for(lambda: self._closed or bool(self._items))
                if not self._items:
                    return
                lot = [self._items.popleft() for _ in range(min(most, len(self._items)))]
                self._in_hand = True
                self._changed.notify_all()
            yield lot

    async def __aiter__(self) -> AsyncIterator[T]:
        """Items until the channel is closed and drained; for one consumer."""
        async for lot in self.lots(1):
            yield lot[0]
