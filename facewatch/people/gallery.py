"""Puts the enrolled people, and how sure one must be, in force where faces are matched."""

import asyncio
import logging
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from uuid import UUID

from facewatch.domain.ids import FaceId, OrgId, to_ruuid
from facewatch.domain.people import id_of
from facewatch.errors import HomeUnusable
from facewatch.ports.access import Orgs
from facewatch.ports.gallery import FollowedGallery, KeptGalleries
from facewatch.ports.people import People

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Galleries:
    """Every org's gallery and threshold as the table has them, in force in this process.

    Attributes:
        thresholds: Of the orgs that have settled their own; a decider reads it meanwhile.
        model: Whose templates are loaded.
        kept: Where what is removed from the table has to go as well; None where nothing is kept.
    """

    gallery: FollowedGallery
    thresholds: MutableMapping[OrgId, float]
    people: People
    orgs: Orgs
    model: str
    kept: KeptGalleries | None = None
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def catch_up(self, only: OrgId | None = None) -> list[OrgId]:
        """Load what is newer in the table than in force: of *only*, or of every org.

        Returns:
            The orgs whose gallery changed.
        """
        newer = []
        for told in await self.orgs.in_force(only):
            if told.match_threshold is None:
                self.thresholds.pop(told.org, None)
            else:
                self.thresholds[told.org] = told.match_threshold
            async with self._changing:
                if told.revision > self.gallery.revision(told.org):
                    await self._load(told.org)
                    newer.append(told.org)
        return newer

    async def keep_outgrown(self) -> None:
        """Write galleries into the home that changed much since they were written.

        A home that cannot be written is said once: then the gallery stays in memory.
        """
        loop = asyncio.get_running_loop()
        for org in self.gallery.outgrown():

            def went(since: int, org: OrgId = org) -> list[FaceId]:
                asked = self.people.gallery_gone(org, since)
                return asyncio.run_coroutine_threadsafe(asked, loop).result()

            lineage = await self.people.gallery_lineage(org)
            try:
                read_from_there = await asyncio.to_thread(self.gallery.keep, org, lineage, went)
            except HomeUnusable as trouble:
                log.warning("the gallery of org %s is not kept: %s", to_ruuid(org), trouble)
                continue
            async with self._changing:
                read_from_there()

    async def _load(self, org: OrgId) -> None:
        if self.gallery.revision(org) or not await self._taken_up(org):
            await self._follow(org)
            return
        while True:
            await self._follow(org)
            revision, count = await self.people.gallery_count(org, self.model)
            if revision == self.gallery.revision(org):
                break
        if count != self.gallery.matchmakers(org):
            log.warning(
                "the gallery that is kept of org %s has %d faces, the table %d: it is read anew",
                *(to_ruuid(org), self.gallery.matchmakers(org), count),
            )
            await self._follow(org, anew=True)

    async def _taken_up(self, org: OrgId) -> bool:
        lineage = await self.people.gallery_lineage(org)
        newest = await self.people.gallery_revision(org)
        return await asyncio.to_thread(self.gallery.taken_up, org, lineage, newest)

    async def _follow(self, org: OrgId, *, anew: bool = False) -> None:
        # In this order: rows that are newer than the revision only mean one more reading.
        revision = await self.people.gallery_revision(org)
        draft = self.gallery.draft(org, anew=anew)
        since = 0 if anew else self.gallery.revision(org)
        went: list[FaceId] = []
        async for change in self.people.gallery_changes(org, self.model, since):
            await asyncio.to_thread(draft.take, change)
            went += [FaceId(id_of(it)) for it in change.went.tolist()]
        refusals = await self.people.refusals(org, self.model)
        await asyncio.to_thread(draft.publish, revision, refusals)
        if went and self.kept is not None:
            await asyncio.to_thread(self.kept.erase, org, self.model, went)


@dataclass(frozen=True, slots=True)
class Remains:
    """What the galleries of this home may hold of faces that are in the table no more."""

    people: People
    kept: KeptGalleries

    async def erase(self, org: OrgId) -> None:
        """Whoever forgets waits for this. What other homes keep goes when they hear of it.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
            HomeUnusable: the home cannot be written.
        """
        for model, revision in (await asyncio.to_thread(self.kept.revisions, org)).items():
            if went := await self.people.gallery_gone(org, revision):
                await asyncio.to_thread(self.kept.erase, org, model, went)


def org_of_ring(ring: str) -> OrgId | None:
    """Whose gallery changed; None where that is not said."""
    try:
        return OrgId(UUID(ring))
    except ValueError:
        return None
