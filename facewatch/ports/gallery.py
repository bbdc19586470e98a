"""Where faces are looked for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import (
    CameraId,
    FaceId,
    OrgId,
    PersonId,
)
from facewatch.domain.people import (
    GalleryChange,
    Hit,
    Refusal,
    Resemblance,
)


class Gallery(Protocol):
    """The enrolled templates of every org, in memory. Any thread."""

    def search(self, org: OrgId, probe: NDArray[np.float32], limit: int) -> list[Hit]:
        """The matchmakers most like *probe* (d,), best first."""
        ...

    def resembling(
        self, org: OrgId, probes: NDArray[np.float32], limit: int
    ) -> list[list[Resemblance]]:
        """Of each probe (n, d) the people most like it by all their matchmakers, best first.

        All see one revision.
        """
        ...

    def people(self, org: OrgId) -> int:
        """How many people of *org* are enrolled."""
        ...

    def revision(self, org: OrgId) -> int:
        """Which state of the table is in force here."""
        ...

    def refused(
        self, org: OrgId, probe: NDArray[np.float32], camera: CameraId | None
    ) -> Mapping[PersonId | None, float]:
        """How much *probe* is like faces that are not somebody's, the most alike of each.

        None stands for what is no face as *camera* sees it.
        """
        ...


class GalleryDraft(Protocol):
    """The next state of an org's gallery; nobody sees it before it is published."""

    def take(self, change: GalleryChange) -> None:
        """What is in it already changes nothing. Blocks."""
        ...

    def publish(self, revision: int, refusals: Sequence[Refusal]) -> None:
        """In force, at once, for every search that begins from now on. Blocks."""
        ...


class FollowedGallery(Gallery, Protocol):
    """A gallery that follows the table, and is kept in the home. One at a time changes it."""

    def taken_up(self, org: OrgId, lineage: UUID, newest: int) -> bool:
        """Whether what is kept of *org*, no newer than revision *newest*, is in force now.

        What is damaged, or was read from another table, is said in one line and left out. Blocks.
        """
        ...

    def draft(self, org: OrgId, *, anew: bool = False) -> GalleryDraft:
        """From what is in force, or from nothing. Of two drafts that overlap one would be lost."""
        ...

    def matchmakers(self, org: OrgId) -> int:
        """How many are in force."""
        ...

    def outgrown(self) -> list[OrgId]:
        """Of whom so much changed since it was kept that it is worth keeping again."""
        ...

    def keep(
        self, org: OrgId, lineage: UUID, went: Callable[[int], Sequence[FaceId]]
    ) -> Callable[[], None]:
        """Write what is in force, but nothing of what *went* since its revision. Blocks.

        *went* is asked while nobody else can write or erase here.

        Returns:
            Lets the file be read from then on; to be called while nobody else changes *org*.

        Raises:
            HomeUnusable: the home cannot be written; what was kept before stays.
        """
        ...


class KeptGalleries(Protocol):
    """What galleries keep in this home."""

    def revisions(self, org: OrgId) -> dict[str, int]:
        """Of which models templates are kept, as of which revision. Blocks.

        A file that cannot be read is removed.
        """
        ...

    def erase(self, org: OrgId, model: str, faces: Sequence[FaceId]) -> None:
        """Nothing of *faces* is on disk when this returns. Blocks.

        Raises:
            HomeUnusable: the home cannot be written.
        """
        ...
