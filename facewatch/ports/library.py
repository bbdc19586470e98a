"""Faces, persons and assets as a library of pictures."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol, TypedDict

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import (
    AssetId,
    EventId,
    FaceId,
    OrgId,
    PersonId,
)
from facewatch.domain.library import (
    Asset,
    AssetFilter,
    Cohesion,
    Described,
    FaceFilter,
    Fit,
    IntakeState,
    LibraryFace,
    NewAsset,
    Portrait,
    PortraitFilter,
    Sorting,
    Unseen,
)
from facewatch.domain.people import (
    NearMiss,
    Part,
    Profile,
    Sure,
    Teacher,
    View,
)
from facewatch.ports.people import PersonChanges


class ProfileChanges(PersonChanges, total=False):
    """What changes of somebody, named or not; *labels* are all that there are then."""

    labels: Sequence[str]


class Clusters(Protocol):
    """Unknown visitors who came back, kept as persons without a name."""

    async def step(self) -> bool:
        """Compare the oldest visit that closed unknown and waits with those before it.

        Once for each visit, in whichever process; an operator's word stays. A visit that surely
        is somebody's who was seen before, and whom nobody named, is theirs from then on.

        Returns:
            Whether there was one that no other process is at.

        Raises:
            DatabaseUnavailable: Postgres does not answer; nothing was done.
        """
        ...


class Register(Protocol):
    """Persons with and without a name, and who of them is the same human.

    An id that was merged means the person that it was merged into.
    """

    async def named(
        self, org: OrgId, limit: int, before: PersonId | None = None, prefix: str | None = None
    ) -> list[Profile]:
        """Newest first; those whose name begins with *prefix*, whatever its case."""
        ...

    async def unnamed(
        self, org: OrgId, limit: int, before: PersonId | None = None
    ) -> list[Profile]:
        """Unknowns who came back, and whoever lost their name; newest first."""
        ...

    async def get(self, org: OrgId, person: PersonId) -> Profile:
        """
        Raises:
            NotFound: *org* has nobody with this id.
        """
        ...

    async def create(
        self, org: OrgId, name: str, email: str | None = None, labels: Sequence[str] = ()
    ) -> PersonId:
        """
        Raises:
            AlreadyExists: *org* has somebody of this name.
        """
        ...

    async def change(self, org: OrgId, person: PersonId, changes: ProfileChanges) -> None:
        """
        Raises:
            NotFound: *org* has nobody with this id.
            AlreadyExists: somebody else has the new name.
        """
        ...

    async def merge(
        self, org: OrgId, into: PersonId, others: Sequence[PersonId], name: str | None = None
    ) -> PersonId:
        """All of *others* becomes *into*'s, who is called *name* then, or as before.

        Matchmakers, visits and labels go over; the ids of *others* mean *into* from then on.
        Whoever is *into* already changes nothing. Running workers follow.

        Returns:
            Whom *into* means.

        Raises:
            NotFound: *org* has nobody with one of these ids, or they were erased.
            UnusableValue: *into* is one of *others*.
            AlreadyExists: somebody else is called *name*.
        """
        ...

    async def split(
        self, org: OrgId, person: PersonId, part: Part, to: PersonId | None, name: str | None = None
    ) -> PersonId:
        """*part* becomes *to*'s, or somebody new's, called *name* if given.

        An operator said so: no machine takes the visits back. Running workers follow. What is
        *to*'s already stays so.

        Returns:
            Whose it is then.

        Raises:
            NotFound: *org* has nobody with one of these ids, or something of *part* is not theirs.
            UnusableValue: *to* is the person themselves.
            AlreadyExists: somebody else is called *name*.
        """
        ...

    async def near_misses(
        self, org: OrgId, least: float, since: datetime, limit: int, before: EventId | None = None
    ) -> list[NearMiss]:
        """Newest first, from confidence *least* on (0.4 at least), without the dismissed."""
        ...

    async def teachers(
        self, org: OrgId, model: str, sure: Sure, since: datetime, limit: int
    ) -> list[Teacher]:
        """Visits of the named that may become matchmakers: the best twenty of each person.

        Of the newest five thousand since then; the confirmed first, then the best. What was
        copied or dismissed already is not there.
        """
        ...

    async def views(self, org: OrgId, faces: Collection[FaceId]) -> dict[FaceId, View]:
        """How these matchmakers look."""
        ...

    async def dismiss_teacher(self, org: OrgId, event: EventId, person: PersonId) -> None:
        """The visit makes no matchmaker of theirs. Saying it again changes nothing.

        Raises:
            NotFound: *org* has no such event, or nobody with this id.
        """
        ...

    async def names(
        self, org: OrgId, people: Collection[PersonId]
    ) -> dict[PersonId, str | None]: ...

    async def different(self, org: OrgId) -> set[frozenset[PersonId]]:
        """Pairs that an operator said are two."""
        ...

    async def dismiss_pair(self, org: OrgId, one: PersonId, other: PersonId) -> None:
        """They are two. Saying it again changes nothing.

        Raises:
            NotFound: *org* has nobody with one of these ids.
            UnusableValue: both are the same person.
        """
        ...

    async def dismiss_name(self, org: OrgId, event: EventId, person: PersonId) -> None:
        """The visit is not theirs. Saying it again changes nothing.

        Raises:
            NotFound: *org* has no such event, or nobody with this id.
        """
        ...


class Faces(Protocol):
    """Every face in every picture, enrolled ones among them."""

    async def get(self, org: OrgId, face: FaceId) -> LibraryFace:
        """
        Raises:
            NotFound: *org* has no such face.
        """
        ...

    async def page(
        self, org: OrgId, wanted: FaceFilter, limit: int, before: FaceId | None = None
    ) -> list[LibraryFace]:
        """Newest first, from just after *before*, be it gone or not.

        Fewer than *limit* only at the end.

        Raises:
            NotFound: *org* has not the person or the asset that is *wanted*.
        """
        ...

    async def fits(self, org: OrgId, faces: Sequence[FaceId], model: str) -> dict[FaceId, Fit]:
        """How each fits its person, and who else is near, by templates of *model*."""
        ...

    async def give(self, org: OrgId, face: FaceId, person: PersonId | None) -> None:
        """An operator says whose face it is, None for nobody's; no machine overwrites that.

        The visit that it belongs to goes along, with all of its faces; nobody's is then also: not
        that of whose it was. An enrolled one is compared for its new person, or rests.

        Raises:
            NotFound: *org* has no such face, or nobody with this id.
        """
        ...

    async def remove(self, org: OrgId, face: FaceId) -> list[str]:
        """Gone with its templates; picture, visit and person stay. An enrolled one takes its photo.

        Returns:
            Object keys whose pixels must go; they are garbage already.

        Raises:
            NotFound: *org* has no such face.
        """
        ...


class Assets(Protocol):
    """Whole pictures, and who is in them."""

    async def get(self, org: OrgId, asset: AssetId) -> Asset:
        """
        Raises:
            NotFound: *org* has no such asset.
        """
        ...

    async def page(
        self,
        org: OrgId,
        wanted: AssetFilter,
        limit: int,
        after: AssetId | None = None,
        *,
        newest: bool = True,
        ids: frozenset[AssetId] | None = None,
    ) -> list[Asset]:
        """Newest or oldest capture first, from just behind *after*, be it gone or not.

        Fewer than *limit* only at the end.

        Args:
            ids: Only these; None lets all through.

        Raises:
            NotFound: *org* has nobody with one of the ids that are *wanted*.
        """
        ...

    async def remove(self, org: OrgId, asset: AssetId) -> list[str]:
        """Gone with its faces and their templates; a late version does not bring it back.

        Visits that a camera's snapshot was taken of stay without it. Those that were found in what
        somebody brought go with it, and a photo's matchmaker with the photo.

        Returns:
            Object keys whose pixels must go; they are garbage already.

        Raises:
            NotFound: *org* has no such asset.
            InUse: a visit that goes on is shown by it.
        """
        ...

    async def find(self, org: OrgId, wanted: AssetFilter, limit: int, offset: int) -> list[Asset]:
        """The newest capture first, from behind the first *offset*.

        Raises:
            NotFound: *org* has nobody with one of the ids that are *wanted*.
        """
        ...


class PictureVectors(Protocol):
    """What assets look like, as models see them; a vector goes with the pixels it is made of."""

    async def want(self, name: str, digest: str, dimensions: int) -> int:
        """This model is in force from now on: whatever comes in waits for it.

        Returns:
            Its number here.
        """
        ...

    async def line_up(self, model: int) -> None:
        """What came in before, and *model* has not looked at, waits as well."""
        ...

    async def want_none(self) -> None:
        """No model is in force: nothing waits."""
        ...

    async def take(self, model: int, limit: int) -> list[Unseen]:
        """The newest that wait, and that nobody else is at, for 20 seconds."""
        ...

    async def keep(
        self, model: int, asset: AssetId, vectors: Sequence[tuple[int, NDArray[np.float32]]]
    ) -> None:
        """What *model* sees in it, and at which millisecond; it waits no more.

        One that was erased meanwhile gets none.
        """
        ...

    async def waiting(self, model: int) -> int:
        """How many it has not looked at."""
        ...

    async def near(
        self, org: OrgId, like: Described, wanted: AssetFilter, limit: int, offset: int
    ) -> list[tuple[Asset, float]]:
        """Nearest first, from behind the first *offset*, each with its 1 - cosine.

        Of a clip its nearest frame counts; *wanted.is_clip* is not looked at. Fewer than *limit*
        only at the end.

        Raises:
            NotFound: *org* has nobody with one of the ids that are *wanted*.
        """
        ...


@dataclass(frozen=True, slots=True)
class Taken:
    """What a worker has in hand; *tries* counts how often anybody had."""

    asset: AssetId
    org: OrgId
    tries: int


class BroughtAssets(Protocol):
    """Pictures and clips that somebody brings, and how far they have been looked at."""

    async def known(self, org: OrgId, sha256: bytes) -> AssetId | None:
        """What was brought before with these very bytes, and still has them."""
        ...

    async def waiting(self, org: OrgId) -> tuple[int, int]:
        """How many files of *org* wait to be looked at, and how many bytes these are."""
        ...

    async def add(self, new: NewAsset) -> AssetId:
        """It waits from now on, and the workers are told; its pixels are kept already.

        Returns:
            Its id, or that of what was brought before with these very bytes: then nothing is
            added.
        """
        ...

    async def take(self, worker: str, lease: timedelta) -> Taken | None:
        """The oldest that waits, for *worker* alone until *lease* is over."""
        ...

    async def goes_on(self, asset: AssetId, worker: str, percent: float, lease: timedelta) -> bool:
        """How far *worker* is; False where it was deleted, or somebody else has it."""
        ...

    async def settle(self, asset: AssetId, worker: str, state: IntakeState, said: str) -> None:
        """What became of it, if *worker* still has it."""
        ...

    async def let_go(self, worker: str, *, tried: bool) -> None:
        """What *worker* has waits again; *tried*, it may be why the worker died."""
        ...


class Centroids(Protocol):
    """The middle of everybody's templates."""

    async def refresh_all(self) -> None:
        """Bring up to date what changed before."""
        ...


class PortraitChanges(TypedDict, total=False):
    """What is told of a person: a key that is not there is left alone, None clears."""

    name: str | None
    birth_date: date | None
    hidden: bool
    favourite: bool
    face: FaceId | None


class Portraits(Protocol):
    """Persons with and without a name, as a library of pictures shows them.

    An id that was merged means the person that it was merged into.
    """

    async def get(self, org: OrgId, person: PersonId) -> Portrait:
        """
        Raises:
            NotFound: *org* has nobody with this id.
        """
        ...

    async def page(
        self,
        org: OrgId,
        wanted: PortraitFilter,
        limit: int,
        after: PersonId | None,
        sorting: Sorting,
    ) -> list[Portrait]:
        """From just behind *after*, be they gone or not; of those who are gone only age is known.

        Raises:
            NotFound: *org* has not the asset that is *wanted*, or *after* is gone and the order
                not that of age.
        """
        ...

    async def cohesions(
        self, org: OrgId, people: Sequence[PersonId], model: str
    ) -> dict[PersonId, Cohesion]:
        """Of those who have a template of *model*."""
        ...

    async def create(self, org: OrgId, changes: PortraitChanges) -> PersonId:
        """
        Raises:
            AlreadyExists: *org* has somebody of this name.
            NotFound: *org* has not the face that is to stand for them.
        """
        ...

    async def change(self, org: OrgId, person: PersonId, changes: PortraitChanges) -> None:
        """
        Raises:
            NotFound: *org* has nobody with this id, or not the face.
            AlreadyExists: somebody else has the new name.
        """
        ...

    async def dissolve(self, org: OrgId, person: PersonId) -> list[str]:
        """There is no such person: visits and faces are nobody's, with their pictures.

        What was enrolled for the person goes.

        Returns:
            Object keys whose pixels must go; they are garbage already.

        Raises:
            NotFound: *org* has nobody with this id.
        """
        ...
