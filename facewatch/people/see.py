"""Pictures that were kept are looked at, so that words find them."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.library import AssetKind, Unseen
from facewatch.errors import NotAPicture, NotFound, UnreadableStream
from facewatch.flow.metrics import Metrics
from facewatch.people.on_disk import on_disk
from facewatch.ports.keeping import Blobs
from facewatch.ports.library import PictureVectors
from facewatch.ports.streams import Picture
from facewatch.ports.vision import Seer

log = logging.getLogger(__name__)

_AT_ONCE = 8

Vectors = list[tuple[int, NDArray[np.float32]]]


@dataclass(frozen=True, slots=True)
class Looking:
    """Looks at one asset after the other, off the way of cameras and answers.

    Attributes:
        model: The seer's number in *vectors*.
        shown: What a picture's bytes or a clip's file show, and at which millisecond.
        thread: The one in which the seer looks.
    """

    seer: Seer
    vectors: PictureVectors
    model: int
    blobs: Blobs
    shown: Callable[[bytes | Path], Iterator[tuple[int, Picture]]]
    thread: Executor
    metrics: Metrics

    async def step(self) -> bool:
        """Look at the newest that wait.

        What was not kept when a process dies is taken by another 20 seconds later.

        Returns:
            Whether there were any.

        Raises:
            StoreTrouble: a store is down; what was taken waits for 20 seconds.
        """
        taken = await self.vectors.take(self.model, _AT_ONCE)
        for unseen in taken:
            seen = await self._seen(unseen) if unseen.kind and unseen.key else []
            await self.vectors.keep(self.model, unseen.asset, seen)
        return bool(taken)

    async def _seen(self, unseen: Unseen) -> Vectors:
        """Nothing where there is no picture (any more)."""
        try:
            if unseen.kind is AssetKind.CLIP:
                async with on_disk(self.blobs, unseen.key) as file:
                    seen = await self._looked(file)
            else:
                seen = await self._looked(await self.blobs.get(unseen.key))
        except NotFound:
            return []  # deleted since it was taken
        except (NotAPicture, UnreadableStream) as trouble:
            log.warning("asset %s is found by no words: %s", unseen.asset, trouble)
            self.metrics.pictures_unreadable.inc()
            return []
        self.metrics.pictures_seen.inc()
        return seen

    async def _looked(self, body: bytes | Path) -> Vectors:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, self._look, body)

    def _look(self, body: bytes | Path) -> Vectors:
        return [(at_ms, self.seer.look(it)) for at_ms, it in self.shown(body)]
