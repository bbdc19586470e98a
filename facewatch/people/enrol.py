"""A photo becomes a matchmaker, if the face in it is fit to be compared."""

import asyncio
import hashlib
import mimetypes
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime

from facewatch.domain.faces import Detection, Pixels, Quality
from facewatch.domain.ids import FaceId, OrgId, PersonId, new_id
from facewatch.domain.keys import photo_prefix
from facewatch.domain.people import Matchmaker
from facewatch.errors import (
    AlreadyExists,
    NoFace,
    NotFound,
    PoorFace,
    SeveralFaces,
    UnusablePhoto,
    UnusableValue,
)
from facewatch.people.words import as_kept
from facewatch.ports import Blobs, Encoder, Engine, Enrolment, People, PhotoKeys, Picture


@dataclass(frozen=True, slots=True)
class Gate:
    """The least that an enrolment photo must be; quality parts are 0..1.

    Attributes:
        width_px: Face width.
        ghost: A second face smaller than this share of the largest one's width is background.
    """

    width_px: float = 40.0
    sharpness: float = 0.2
    pose: float = 0.25
    ghost: float = 0.3

    def refuse_poor(self, name: str, width_px: float, quality: Quality) -> None:
        """
        Raises:
            PoorFace: a face of this width and quality would name strangers; *name* is whose.
        """
        if width_px < self.width_px:
            raise PoorFace(
                f"{name}: the face is {width_px:.0f} px wide, less than {self.width_px:.0f}",
                "use one with more of the face",
            )
        if quality.sharpness < self.sharpness:
            raise PoorFace(
                f"{name}: the face is blurred (sharpness {quality.sharpness:.2f}, at least "
                f"{self.sharpness:.2f})",
                "use a sharper one",
            )
        if quality.pose < self.pose:
            raise PoorFace(
                f"{name}: the face is turned away (pose {quality.pose:.2f}, at least "
                f"{self.pose:.2f})",
                "use one that looks at the camera",
            )


@dataclass(frozen=True, slots=True)
class Enroller:
    """Everything that turning photos into matchmakers takes.

    `decode` turns a file's bytes and name into a picture and raises `NotAPicture`; `executor`
    is the engine's one thread.
    """

    engine: Engine
    encoder: Encoder
    decode: Callable[[bytes, str], Picture]
    people: People
    blobs: Blobs
    executor: Executor
    gate: Gate = Gate()

    async def enrol(self, org: OrgId, person: str, name: str, photo: bytes) -> Matchmaker | None:
        """Add *photo* (file name *name*) to who is called *person*; None when it is theirs already.

        Somebody of that name is created once the photo has proved fit. Pixels are kept before
        rows, so that no row ever points at nothing.

        Raises:
            UnusablePhoto: *person* is no name: blank, or no text.
            NotAPicture, NoFace, SeveralFaces, PoorFace: why the photo cannot be used.
            DatabaseUnavailable, ObjectStoreUnavailable: it could not be kept.
        """
        person = _as_kept(person)
        known = await self._named(org, person)
        if known and await self.people.has_photo(org, known, hashlib.sha256(photo).digest()):
            return None
        loop = asyncio.get_running_loop()
        enrolment = await loop.run_in_executor(self.executor, self._look_at, name, photo)
        prefix = photo_prefix(org, enrolment.face, datetime.now(UTC))
        suffix = mimetypes.guess_extension(enrolment.content_type) or ".bin"
        crop_key = f"{prefix}/crop.png"
        keys = PhotoKeys(f"{prefix}/photo{suffix}", f"{prefix}/thumbnail.jpg", crop_key)
        await self.blobs.put(keys.photo, photo, enrolment.content_type)
        await self.blobs.put(keys.thumbnail, enrolment.thumbnail, "image/jpeg")
        await self.blobs.put(crop_key, enrolment.crop, "image/png")
        known = known or await self._made(org, person)
        return await self.people.enrol(org, known, enrolment, keys)

    async def _named(self, org: OrgId, person: str) -> PersonId | None:
        try:
            return (await self.people.named(org, person)).id
        except NotFound:
            return None

    async def _made(self, org: OrgId, person: str) -> PersonId:
        """Of a new person, or of the one whom another photo has made meanwhile."""
        try:
            return (await self.people.create(org, person)).id
        except AlreadyExists:
            return (await self.people.named(org, person)).id

    def _look_at(self, name: str, photo: bytes) -> Enrolment:
        picture = self.decode(photo, name)
        detection, crop, quality = fit_face(self.engine, self.gate, picture, name)
        thumbnail, _ = picture.cut(detection.box.grown(0.3))
        return Enrolment(
            face=FaceId(new_id()),
            photo=photo,
            content_type=mimetypes.guess_type(name)[0] or "application/octet-stream",
            file_name=name.encode(errors="replace").decode(),
            width=picture.width,
            height=picture.height,
            digest=hashlib.sha256(photo).digest(),
            detection=detection,
            quality=quality,
            thumbnail=self.encoder.jpeg(thumbnail, 90),
            crop=self.encoder.png(crop),
            template=self.engine.embed([crop])[0],
            model=self.engine.model,
        )


def fit_face(
    engine: Engine, gate: Gate, picture: Picture, name: str
) -> tuple[Detection, Pixels, Quality]:
    """The one face of the photo called *name*, aligned and judged. Blocks; engine's thread.

    Raises:
        NoFace, SeveralFaces, PoorFace: why the photo cannot be used.
    """
    found = sorted(engine.detect([picture])[0], key=lambda it: it.box.width, reverse=True)
    if not found:
        raise NoFace(f"{name}: no face found", "use a photo that shows the face from the front")
    rivals = [it for it in found[1:] if it.box.width > gate.ghost * found[0].box.width]
    if rivals:
        raise SeveralFaces(
            f"{name}: {len(rivals) + 1} faces found", "cut the photo down to one person"
        )
    crop = engine.align(picture, found[0].landmarks)
    quality = engine.quality(found[0], crop)
    gate.refuse_poor(name, found[0].box.width, quality)
    return found[0], crop, quality


def _as_kept(name: str) -> str:
    try:
        return as_kept(name, "a person's name")
    except UnusableValue as error:
        raise UnusablePhoto(error.what, "rename the folder or file") from None
