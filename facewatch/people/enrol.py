"""A photo becomes a matchmaker, if the face in it is fit to be compared."""

import asyncio
import hashlib
import mimetypes
import unicodedata
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime

from facewatch.domain.faces import Detection
from facewatch.domain.ids import FaceId, OrgId, PersonId, new_id
from facewatch.domain.keys import photo_prefix
from facewatch.domain.people import Matchmaker
from facewatch.errors import NoFace, NotFound, PoorFace, SeveralFaces, UnusablePhoto
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
        keys = PhotoKeys(f"{prefix}/photo{suffix}", f"{prefix}/thumbnail.jpg", f"{prefix}/crop.png")
        await self.blobs.put(keys.photo, photo, enrolment.content_type)
        await self.blobs.put(keys.thumbnail, enrolment.thumbnail, "image/jpeg")
        await self.blobs.put(keys.crop, enrolment.crop, "image/png")
        known = known or (await self.people.create(org, person)).id
        return await self.people.enrol(org, known, enrolment, keys)

    async def _named(self, org: OrgId, person: str) -> PersonId | None:
        try:
            return (await self.people.named(org, person)).id
        except NotFound:
            return None

    def _look_at(self, name: str, photo: bytes) -> Enrolment:
        picture = self.decode(photo, name)
        detection = self._only_face(name, self.engine.detect([picture])[0])
        crop = self.engine.align(picture, detection.landmarks)
        quality = self.engine.quality(detection, crop)
        self._refuse_poor(name, detection, quality.sharpness, quality.pose)
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

    def _only_face(self, name: str, found: list[Detection]) -> Detection:
        if not found:
            raise NoFace(f"{name}: no face found", "use a photo that shows the face from the front")
        found = sorted(found, key=lambda it: it.box.width, reverse=True)
        rivals = [it for it in found[1:] if it.box.width > self.gate.ghost * found[0].box.width]
        if rivals:
            raise SeveralFaces(
                f"{name}: {len(rivals) + 1} faces found", "cut the photo down to one person"
            )
        return found[0]

    def _refuse_poor(self, name: str, found: Detection, sharpness: float, pose: float) -> None:
        gate = self.gate
        if found.box.width < gate.width_px:
            raise PoorFace(
                f"{name}: the face is {found.box.width:.0f} px wide, less than {gate.width_px:.0f}",
                "use a photo with more of the face",
            )
        if sharpness < gate.sharpness:
            raise PoorFace(
                f"{name}: the face is blurred (sharpness {sharpness:.2f}, at least "
                f"{gate.sharpness:.2f})",
                "use a sharper photo",
            )
        if pose < gate.pose:
            raise PoorFace(
                f"{name}: the face is turned away (pose {pose:.2f}, at least {gate.pose:.2f})",
                "use a photo that looks at the camera",
            )


def _as_kept(name: str) -> str:
    """*name* as it is kept: a folder copied from another system must not be another person."""
    kept = unicodedata.normalize("NFC", name).strip()
    try:
        kept.encode()
    except UnicodeEncodeError:
        raise UnusablePhoto(f"{name!r} is no UTF-8 text", "rename the folder or file") from None
    if not kept or "\0" in kept:
        raise UnusablePhoto("a person's name must not be blank", "rename the folder or file")
    return kept
