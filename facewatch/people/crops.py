"""The aligned faces that are kept of matchmakers and visits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from facewatch.domain.faces import Pixels
from facewatch.errors import NotAPicture, NotFound
from facewatch.ports.keeping import Blobs
from facewatch.ports.streams import Picture


@dataclass(frozen=True, slots=True)
class Crops:
    """`decode` takes a file's bytes and name, and raises `NotAPicture`."""

    blobs: Blobs
    decode: Callable[[bytes, str], Picture]

    async def get(self, key: str) -> Pixels | None:
        """112 x 112; None where it is gone or broken.

        Raises:
            ObjectStoreUnavailable: the store does not answer or refuses us.
        """
        try:
            png = await self.blobs.get(key)
            return (await asyncio.to_thread(self.decode, png, key)).full()
        except (NotFound, NotAPicture):
            return None
