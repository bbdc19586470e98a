"""Where faces are looked for."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import (
    CameraId,
    OrgId,
    PersonId,
)
from facewatch.domain.people import (
    Hit,
    Matchmaker,
    Refusal,
    Resemblance,
)


class Gallery(Protocol):
    """The enrolled templates of every org, in memory. Any thread."""

    def search(self, org: OrgId, probe: NDArray[np.float32], limit: int) -> list[Hit]:
        """The matchmakers most like *probe* (d,), best first."""
        ...

    def resembling(self, org: OrgId, probe: NDArray[np.float32], limit: int) -> list[Resemblance]:
        """The people most like *probe* (d,) by all of their matchmakers, best first."""
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

    def replace(
        self,
        org: OrgId,
        revision: int,
        matchmakers: Sequence[Matchmaker],
        refusals: Sequence[Refusal] = (),
    ) -> None:
        """Put the whole gallery of *org* in force at once."""
        ...
