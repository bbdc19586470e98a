"""Who is enrolled, and who is about to be."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypedDict
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Detection, Quality
from facewatch.domain.ids import (
    EventId,
    FaceId,
    OrgId,
    PersonId,
)
from facewatch.domain.people import (
    Called,
    Confirmed,
    EnrolledFace,
    FaceNote,
    GalleryChange,
    Matchmaker,
    Person,
    Refusal,
    Sighting,
)
from facewatch.domain.uploads import Upload


@dataclass(frozen=True, slots=True, eq=False)
class Enrolment:
    """A face ready to become a matchmaker.

    Attributes:
        face: The id that the matchmaker will have.
        photo: The photo's own bytes, as they came.
        thumbnail: The face, JPEG.
        crop: Aligned, 112 x 112, PNG.
        digest: sha256 of *photo*: the same photo again is noticed.
        origin: What it is a copy of; None for a photo that somebody brought.
    """

    face: FaceId
    photo: bytes
    content_type: str
    file_name: str
    width: int
    height: int
    digest: bytes
    detection: Detection
    quality: Quality
    thumbnail: bytes
    crop: bytes
    template: NDArray[np.float32]
    model: str
    origin: Sighting | None = None


@dataclass(frozen=True, slots=True)
class PhotoKeys:
    """Object keys of an enrolment photo's pictures; *crop* is None where there is none."""

    photo: str
    thumbnail: str
    crop: str | None

    @property
    def all(self) -> list[str]:
        return [key for key in (self.photo, self.thumbnail, self.crop) if key]


class PersonChanges(TypedDict, total=False):
    """What changes of a person: a key that is not there is left alone, None clears."""

    name: str | None
    email: str | None


class People(Protocol):
    """Persons and their matchmakers."""

    async def all(self, org: OrgId) -> list[Person]:
        """Named persons, by name."""
        ...

    async def named(self, org: OrgId, name: str) -> Person:
        """
        Raises:
            NotFound: *org* has nobody of this name.
        """
        ...

    async def get(self, org: OrgId, person: PersonId) -> Person:
        """A person who has a name.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        ...

    async def create(self, org: OrgId, name: str) -> Person:
        """
        Raises:
            AlreadyExists: *org* has somebody of this name.
        """
        ...

    async def change(self, org: OrgId, person: PersonId, changes: PersonChanges) -> Person:
        """Somebody who has a name, as they are then; without changes they only count as updated.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
            AlreadyExists: somebody else has the new name.
        """
        ...

    async def add_label(self, org: OrgId, person: PersonId, label: str) -> None:
        """Adding it again changes nothing.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        ...

    async def remove_label(self, org: OrgId, person: PersonId, label: str) -> None:
        """A label that the person has not is no error.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        ...

    async def labels(self, org: OrgId) -> dict[PersonId, list[str]]:
        """Of named persons who have any, in alphabetical order."""
        ...

    async def has_photo(self, org: OrgId, person: PersonId, digest: bytes) -> bool:
        """Whether this very photo is one of the person's matchmakers already."""
        ...

    async def photo_owners(self, org: OrgId, digests: Sequence[bytes]) -> dict[bytes, list[Called]]:
        """By sha256, whose matchmakers these very photos are."""
        ...

    async def templates(
        self, org: OrgId, people: Sequence[PersonId], model: str
    ) -> dict[PersonId, list[NDArray[np.float32]]]:
        """What *model* made of their matchmakers; nobody is there who has none."""
        ...

    async def holding(self, org: OrgId, faces: Sequence[FaceId]) -> dict[FaceId, PersonId]:
        """Whose matchmakers these are today; one that was deleted is not there."""
        ...

    async def of_names(self, org: OrgId, names: Sequence[str]) -> dict[str, PersonId]:
        """Who is called so; a name that nobody has is not there."""
        ...

    async def standing(self, org: OrgId, people: Sequence[PersonId]) -> dict[PersonId, Called]:
        """Who *people* are now, merged or not; whoever is gone is not there."""
        ...

    async def enrol(
        self, org: OrgId, person: PersonId, enrolment: Enrolment, keys: PhotoKeys
    ) -> Matchmaker:
        """Add a matchmaker: asset, face, template, and a new gallery revision, at once.

        Raises:
            NotFound: *org* has no such person.
            AlreadyExists: the person has a matchmaker of this very sighting.
            UnusablePhoto: the sighting was erased meanwhile.
        """
        ...

    async def sighting(self, org: OrgId, event: EventId, model: str) -> Sighting:
        """The best shot of a visit, with its template of *model*.

        Raises:
            NotFound: *org* has no such event.
        """
        ...

    async def matchmaker(self, org: OrgId, face: FaceId) -> EnrolledFace:
        """
        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        ...

    async def matchmakers(self, org: OrgId, person: PersonId | None = None) -> list[EnrolledFace]:
        """Those of one person, or of everybody who has a name; newest first."""
        ...

    async def remove_matchmaker(self, org: OrgId, face: FaceId) -> list[str]:
        """Erase one matchmaker; its person and past events stay as they are.

        Returns:
            Object keys whose pixels must go.

        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        ...

    async def forget(self, org: OrgId, person: PersonId) -> list[str]:
        """Erase the person, matchmakers and templates of their past; events become unnamed.

        Returns:
            Object keys whose pixels must go.
        """
        ...

    async def gallery(self, org: OrgId, model: str) -> tuple[int, list[Matchmaker]]:
        """The revision in force and every matchmaker with a template of *model*."""
        ...

    async def notes(self, org: OrgId) -> dict[FaceId, FaceNote]:
        """What is known of each matchmaker."""
        ...

    async def gallery_lineage(self, org: OrgId) -> UUID:
        """Of which table the org's revisions are: no other one has it."""
        ...

    async def gallery_revision(self, org: OrgId) -> int:
        """The newest."""
        ...

    async def gallery_count(self, org: OrgId, model: str) -> tuple[int, int]:
        """The newest revision, and how many matchmakers it has with a template of *model*."""
        ...

    def gallery_changes(self, org: OrgId, model: str, since: int) -> AsyncIterator[GalleryChange]:
        """What is different from revision *since*, part by part; from 0 on everything."""
        ...

    async def gallery_gone(self, org: OrgId, since: int) -> list[FaceId]:
        """Matchmakers that were removed since that revision."""
        ...

    async def refusals(self, org: OrgId, model: str) -> list[Refusal]:
        """What operators said is not somebody's, or no face: the newest, ten thousand of each."""
        ...

    async def confirmed(self, org: OrgId, model: str, limit: int) -> list[Confirmed]:
        """The newest visits that an operator gave to somebody, with a template of *model*."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A photo that was sent and is fit; its pixels lie under *keys*.

    Attributes:
        warning: What somebody should look at; '' where there is nothing.
    """

    upload: Upload
    person: PersonId
    enrolment: Enrolment
    keys: PhotoKeys
    warning: str

    @property
    def matchmaker(self) -> Matchmaker:
        """What it becomes."""
        return Matchmaker(self.upload.face, self.person, self.upload.org, self.enrolment.template)


@dataclass(frozen=True, slots=True)
class Refused:
    """A photo that was sent and is not fit, with the reason in words."""

    upload: Upload
    why: str
    person: PersonId | None


class Uploads(Protocol):
    """Photos that were sent to become matchmakers, and what became of them."""

    async def add(self, uploads: Sequence[Upload]) -> None:
        """They wait from now on; the workers are told."""
        ...

    async def waiting(self, org: OrgId) -> tuple[int, int]:
        """How many photos of *org* wait, and how many bytes these are."""
        ...

    async def count(self, org: OrgId, transaction: str) -> int:
        """How many photos *transaction* holds."""
        ...

    async def of_transaction(self, org: OrgId, transaction: str) -> list[Upload]:
        """In the order in which they came, each with its person of today who has a name."""
        ...

    async def take(self, worker: str, limit: int, lease: timedelta) -> list[Upload]:
        """The oldest that wait, for *worker* alone until *lease* is over.

        What was in hand when its worker died is taken alone, and one at a time.
        """
        ...

    async def let_go(self, worker: str, faces: Sequence[FaceId] | None = None) -> None:
        """What *worker* has taken waits again: *faces* as if untouched, or all that it has."""
        ...

    async def settle(
        self, accepted: Sequence[Accepted], refused: Sequence[Refused]
    ) -> tuple[list[Matchmaker], list[str]]:
        """What became of photos: at once for all of them, and once for each.

        What was settled or erased meanwhile stays so, and whoever was forgotten meanwhile is not
        enrolled.

        Returns:
            The matchmakers that were added, and object keys whose pixels must go; they are
            garbage already.
        """
        ...

    async def expire(self, age: timedelta) -> None:
        """Forget what was settled longer ago than *age*; matchmakers stay."""
        ...
