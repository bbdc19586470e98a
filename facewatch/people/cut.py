"""A face gets a picture of its own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from facewatch.domain.faces import THUMBNAIL_MARGIN
from facewatch.domain.library import Asset, LibraryFace
from facewatch.errors import NotAPicture, NotFound
from facewatch.ports.keeping import Blobs
from facewatch.ports.streams import Picture
from facewatch.ports.vision import Encoder


@dataclass(frozen=True, slots=True)
class Cutter:
    """Shows one face of a picture and, where that was kept by itself, nothing else is read.

    Attributes:
        decode: Takes a file's bytes and name; any thread. Raises `NotAPicture`.
        turns: A whole picture is decoded in each; the others wait.
    """

    blobs: Blobs
    decode: Callable[[bytes, str], Picture]
    encoder: Encoder
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    async def thumbnail(self, face: LibraryFace) -> bytes:
        """JPEG.

        Raises:
            NotFound: its pixels were erased.
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        if face.thumbnail_key:
            return await self.blobs.get(face.thumbnail_key)
        if not face.asset_key:
            raise NotFound("the pixels of this face were erased")
        async with self.turns:
            whole = await self.blobs.get(face.asset_key)
            return await asyncio.to_thread(self._cut, whole, face)

    async def scaled(self, asset: Asset, longest_px: int) -> bytes:
        """The whole picture, of a clip its first, as JPEG; never enlarged.

        Raises:
            NotFound: its pixels were erased.
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        async with self.turns:
            whole = (
                await self.blobs.get(asset.still_key)
                if asset.still_key
                else await self.whole(asset)
            )
            return await asyncio.to_thread(self._scale, whole, longest_px)

    async def whole(self, asset: Asset) -> bytes:
        """As it was kept.

        Raises:
            NotFound: its pixels were erased.
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        if not asset.key:
            raise NotFound("the pixels of this asset were erased")
        return await self.blobs.get(asset.key)

    def _scale(self, whole: bytes, longest_px: int) -> bytes:
        try:
            picture = self.decode(whole, "the asset")
        except NotAPicture as error:
            raise NotFound(f"the pixels of this asset cannot be read: {error}") from error
        by = min(1.0, longest_px / max(picture.width, picture.height))
        width, height = (max(1, round(side * by)) for side in (picture.width, picture.height))
        return self.encoder.jpeg(picture.fit(width, height), 85)

    def _cut(self, whole: bytes, face: LibraryFace) -> bytes:
        try:
            picture = self.decode(whole, "the asset")
        except NotAPicture as error:
            raise NotFound(f"the pixels of this face cannot be read: {error}") from error
        pixels, _ = picture.cut(face.box.grown(THUMBNAIL_MARGIN))
        if not pixels.size:
            raise NotFound("this face lies outside of its picture")
        return self.encoder.jpeg(pixels, 90)
