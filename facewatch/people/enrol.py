"""A photo becomes a matchmaker, if the face in it is fit to be compared."""

import hashlib
import mimetypes
from dataclasses import dataclass
from datetime import UTC, datetime

from facewatch.domain.ids import FaceId, OrgId, PersonId, new_id
from facewatch.domain.keys import photo_prefix
from facewatch.domain.people import Matchmaker
from facewatch.errors import AlreadyExists, NotFound, UnusablePhoto, UnusableValue
from facewatch.people.forget import drop_pixels
from facewatch.people.likeness import Likeness
from facewatch.people.look import Gate as Gate
from facewatch.people.look import Looker, Photo
from facewatch.people.look import fit_face as fit_face
from facewatch.people.words import as_kept
from facewatch.ports.keeping import Blobs
from facewatch.ports.people import Enrolment, People, PhotoKeys


@dataclass(frozen=True, slots=True, eq=False)
class Enrolled:
    """A new matchmaker; *warning* is what somebody should look at, '' where there is nothing."""

    matchmaker: Matchmaker
    warning: str


@dataclass(frozen=True, slots=True)
class Enroller:
    """Everything that turning photos into matchmakers takes."""

    looker: Looker
    likeness: Likeness
    people: People
    blobs: Blobs

    async def enrol(self, org: OrgId, person: str, name: str, photo: bytes) -> Enrolled | None:
        """Add *photo* (file name *name*) to who is called *person*; None when it is theirs already.

        Somebody of that name is created once the photo has proved fit. Pixels are kept before
        rows, so that no row ever points at nothing.

        Raises:
            UnusablePhoto: *person* is no name: blank, or no text.
            NotAPicture, NoFace, SeveralFaces, PoorFace: why the photo cannot be used.
            DatabaseUnavailable, ObjectStoreUnavailable: it could not be kept.
        """
        person = _as_kept(person)
        known = (await self.people.of_names(org, [person])).get(person)
        if known and await self.people.has_photo(org, known, hashlib.sha256(photo).digest()):
            return None
        (enrolment,) = await self.looker.look_at([Photo(FaceId(new_id()), name, photo)])
        if isinstance(enrolment, UnusablePhoto):
            raise enrolment
        prefix = photo_prefix(org, enrolment.face, datetime.now(UTC))
        mime = enrolment.content_type
        keys = photo_keys(photo_key(prefix, mime))
        await self.blobs.put_all([(keys.photo, photo, mime), *cut(enrolment, keys)])
        known = known or await made(self.people, org, person)
        (warning,) = await self.likeness.warnings(org, [(known, enrolment)])
        matchmaker = await add(self.people, self.blobs, org, known, enrolment, keys)
        self.likeness.enrolled([matchmaker])
        return Enrolled(matchmaker, warning)


async def add(
    people: People,
    blobs: Blobs,
    org: OrgId,
    person: PersonId,
    enrolment: Enrolment,
    keys: PhotoKeys,
) -> Matchmaker:
    """`People.enrol` with pixels that are kept already; where it is refused, they go."""
    try:
        return await people.enrol(org, person, enrolment, keys)
    except (NotFound, AlreadyExists, UnusablePhoto):
        await drop_pixels(blobs, keys.all)
        raise


def photo_key(prefix: str, mime: str) -> str:
    """Where a photo lies below *prefix*."""
    return f"{prefix}/photo{mimetypes.guess_extension(mime) or '.bin'}"


def photo_keys(photo: str) -> PhotoKeys:
    """What is cut out of a photo lies beside it."""
    prefix = photo.rpartition("/")[0]
    return PhotoKeys(photo, f"{prefix}/thumbnail.jpg", f"{prefix}/crop.png")


def cut(enrolment: Enrolment, keys: PhotoKeys) -> list[tuple[str, bytes, str]]:
    """The objects that are kept beside the photo itself."""
    assert keys.crop is not None
    return [
        (keys.thumbnail, enrolment.thumbnail, "image/jpeg"),
        (keys.crop, enrolment.crop, "image/png"),
    ]


async def made(people: People, org: OrgId, name: str) -> PersonId:
    """Of a new person, or of the one whom another photo has made meanwhile."""
    try:
        return (await people.create(org, name)).id
    except AlreadyExists:
        return (await people.named(org, name)).id


def _as_kept(name: str) -> str:
    try:
        return as_kept(name, "a person's name")
    except UnusableValue as error:
        raise UnusablePhoto(error.what, "rename the folder or file") from None
