"""Puts the enrolled people, and how sure one must be, in force where faces are matched."""

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from uuid import UUID

from facewatch.domain.ids import OrgId
from facewatch.ports.access import Orgs
from facewatch.ports.gallery import Gallery
from facewatch.ports.people import People


@dataclass(frozen=True, slots=True)
class Galleries:
    """Every org's gallery and threshold as the table has them, in force in this process.

    Attributes:
        thresholds: Of the orgs that have settled their own; a decider reads it meanwhile.
        model: Whose templates are loaded.
    """

    gallery: Gallery
    thresholds: MutableMapping[OrgId, float]
    people: People
    orgs: Orgs
    model: str

    async def catch_up(self, only: OrgId | None = None) -> list[OrgId]:
        """Load what is newer in the table than in force: of *only*, or of every org.

        Returns:
            The orgs whose gallery was loaded.
        """
        newer = []
        for told in await self.orgs.in_force(only):
            if told.match_threshold is None:
                self.thresholds.pop(told.org, None)
            else:
                self.thresholds[told.org] = told.match_threshold
            if told.revision > self.gallery.revision(told.org):
                revision, matchmakers = await self.people.gallery(told.org, self.model)
                refusals = await self.people.refusals(told.org, self.model)
                await asyncio.to_thread(
                    self.gallery.replace, told.org, revision, matchmakers, refusals
                )
                newer.append(told.org)
        return newer


def org_of_ring(ring: str) -> OrgId | None:
    """Whose gallery changed; None where that is not said."""
    try:
        return OrgId(UUID(ring))
    except ValueError:
        return None
