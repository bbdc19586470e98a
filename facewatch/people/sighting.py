"""A visit becomes a matchmaker: a copy that outlives it."""

import asyncio
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from facewatch.domain.faces import THUMBNAIL_MARGIN, Detection
from facewatch.domain.ids import EventId, FaceId, OrgId, PersonId, new_id
from facewatch.domain.keys import photo_prefix
from facewatch.domain.people import Matchmaker, Sighting
from facewatch.errors import NotFound, UnusablePhoto
from facewatch.people.enrol import add
from facewatch.people.look import Gate
from facewatch.ports.keeping import Blobs
from facewatch.ports.people import Enrolment, People, PhotoKeys
from facewatch.ports.streams import Picture

_NO_TINY = np.zeros(196, np.float32)


@dataclass(frozen=True, slots=True)
class Copier:
    """Everything that copying a sighting takes.

    Its pixels are the thumbnail's: the whole frame may show others, who can be forgotten.

    Attributes:
        model: Name of the embedder in force: the gallery holds templates of no other.
        decode: As the `Enroller`'s; any thread.
    """

    people: People
    blobs: Blobs
    model: str
    decode: Callable[[bytes, str], Picture]
    gate: Gate = field(default_factory=Gate)

    async def sighting(self, org: OrgId, event: EventId) -> Sighting:
        """What there is to copy of *event*.

        Raises:
            NotFound: *org* has no such event.
        """
        return await self.people.sighting(org, event, self.model)

    async def enrol(self, org: OrgId, sighting: Sighting, person: PersonId) -> Matchmaker:
        """Add a copy of *sighting* to *person*, who has a name. Pixels are kept before rows.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
            UnusablePhoto: it has no template or no pixels (any more), or the look is too poor.
            AlreadyExists: the person has a matchmaker of this very sighting.
        """
        await self.people.get(org, person)
        self._refuse_unfit(sighting)
        photo = await self._pixels(sighting.thumbnail_key)
        crop = await self._pixels(sighting.crop_key) if sighting.crop_key else None
        enrolment = await asyncio.to_thread(self._copy, sighting, photo, crop or b"")
        prefix = photo_prefix(org, enrolment.face, datetime.now(UTC))
        crop_key = f"{prefix}/crop.png" if crop else None
        keys = PhotoKeys(f"{prefix}/photo.jpg", f"{prefix}/thumbnail.jpg", crop_key)
        await self.blobs.put(keys.photo, photo, "image/jpeg")
        await self.blobs.put(keys.thumbnail, photo, "image/jpeg")
        if crop_key:
            await self.blobs.put(crop_key, enrolment.crop, "image/png")
        return await add(self.people, self.blobs, org, person, enrolment, keys)

    def _refuse_unfit(self, sighting: Sighting) -> None:
        if not sighting.thumbnail_key:
            raise UnusablePhoto("the pictures of this event were erased", "choose another event")
        if sighting.template is None:
            raise UnusablePhoto(
                f"this event has no template of {self.model}: no look of it was fit to compare",
                "choose another event",
            )
        self.gate.refuse_poor("this event", sighting.box.width, sighting.quality)

    async def _pixels(self, key: str) -> bytes:
        try:
            return await self.blobs.get(key)
        except NotFound:
            raise UnusablePhoto(
                "the pictures of this event have just changed", "try again"
            ) from None

    def _copy(self, sighting: Sighting, photo: bytes, crop: bytes) -> Enrolment:
        """Blocks for the decoding of *photo*."""
        assert sighting.template is not None
        picture = self.decode(photo, "thumbnail.jpg")
        around = sighting.box.grown(THUMBNAIL_MARGIN)
        # cameras' pictures are cut at even pixels
        left, top = (2 * math.floor(max(0.0, edge) / 2) for edge in (around.left, around.top))
        quality = sighting.quality
        return Enrolment(
            face=FaceId(new_id()),
            photo=photo,
            content_type="image/jpeg",
            file_name="sighting.jpg",
            width=picture.width,
            height=picture.height,
            digest=hashlib.sha256(photo).digest(),
            detection=Detection(
                sighting.box.moved(-left, -top),
                sighting.landmarks - np.array([left, top], np.float32),
                quality.score,
                _NO_TINY,
            ),
            quality=quality,
            thumbnail=photo,
            crop=crop,
            template=sighting.template,
            model=self.model,
            origin=sighting,
        )
