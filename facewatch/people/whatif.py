"""What another threshold, margin or model would have said of the visits there are."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from facewatch.domain.events import AssignedBy
from facewatch.domain.faces import Template
from facewatch.domain.ids import CameraId, OrgId, PersonId
from facewatch.domain.past import Change, PastVisit, Reconsidered
from facewatch.domain.people import Called, Decision
from facewatch.people.decide import Asked, Decider
from facewatch.people.embed_again import AgainEmbedder
from facewatch.ports.events import Past
from facewatch.ports.people import People

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked; None is as it is in force.

    Attributes:
        threshold: Least confidence, 0..1: the camera's own if *camera* is said, else the org's,
            which gives way to cameras that have their own.
        margin: Least cosine between the best person and the runner-up.
        since: The oldest visit that is asked about.
        camera: Visits at this one only.
    """

    threshold: float | None
    margin: float | None
    since: datetime | None
    camera: CameraId | None = None


@dataclass(frozen=True, slots=True)
class Reconsiderer:
    """Decides visits again, and changes nothing.

    Attributes:
        decider: Its gallery, calibration and rule answer where nothing else is asked.
        model: Whose templates its gallery holds.
        again: Another embedder; None takes the templates that are kept.
    """

    past: Past
    people: People
    decider: Decider
    model: str
    again: AgainEmbedder | None = None

    async def reconsider(self, org: OrgId, wish: Wish) -> AsyncGenerator[list[Reconsidered], None]:
        """Every visit since then, newest first, a page at a time. Memory holds a page."""
        decider = _wishful(self.decider, org, wish)
        pages = self.again.visits(org, wish.since, wish.camera) if self.again else None
        async for page in pages or self._kept(org, wish):
            yield await self._page(org, decider, wish, page)

    async def _kept(
        self, org: OrgId, wish: Wish
    ) -> AsyncIterator[list[tuple[PastVisit, Template | None]]]:
        before = None
        while page := await self.past.visits(
            org, self.model, _PAGE, since=wish.since, camera=wish.camera, before=before
        ):
            yield [(it, None) for it in page]
            before = page[-1].event

    async def _page(
        self,
        org: OrgId,
        decider: Decider,
        wish: Wish,
        page: Sequence[tuple[PastVisit, Template | None]],
    ) -> list[Reconsidered]:
        decisions = await asyncio.to_thread(_decided, decider, org, wish, page)
        people = {it.person for it in decisions if it and it.person}
        standing = await self.people.standing(org, sorted(people))
        return [
            _compared(visit, decision, standing)
            for (visit, _), decision in zip(page, decisions, strict=True)
        ]


def _wishful(decider: Decider, org: OrgId, wish: Wish) -> Decider:
    rule = decider.rule if wish.margin is None else replace(decider.rule, margin=wish.margin)
    thresholds = dict(decider.thresholds)
    if wish.threshold is not None:
        thresholds[org] = wish.threshold
    return replace(decider, rule=rule, thresholds=thresholds)


def _decided(
    decider: Decider, org: OrgId, wish: Wish, page: Sequence[tuple[PastVisit, Template | None]]
) -> list[Decision | None]:
    """Blocks for a search."""
    asked = [_asked(wish, visit, made) for visit, made in page]
    decisions = iter(decider.decide_each(org, [it for it in asked if it]))
    return [next(decisions) if it else None for it in asked]


def _asked(wish: Wish, visit: PastVisit, made: Template | None) -> Asked | None:
    template = visit.template if visit.template is not None else made
    if template is None:
        return None
    own = visit.camera_threshold
    if wish.camera is not None and wish.threshold is not None:
        own = wish.threshold
    return Asked(template, visit.quality, visit.grey, own, visit.camera)


def _compared(
    visit: PastVisit, decision: Decision | None, standing: dict[PersonId, Called]
) -> Reconsidered:
    before = visit.person if visit.person and visit.person.name else None
    if decision is None:
        name = before.name if before else ""
        return Reconsidered(visit.event, visit.camera, visit.at, Change.UNCOMPARABLE, name, name)
    after = standing.get(decision.person) if decision.person else None
    after = after if after and after.name else None
    best = decision.candidates[0] if decision.candidates else None
    return Reconsidered(
        *(visit.event, visit.camera, visit.at, _change(visit, before, after)),
        before=before.name if before else "",
        after=after.name if after else "",
        confidence=best.confidence if best else None,
        similarity=best.similarity if best else None,
        reason=decision.reason,
    )


def _change(visit: PastVisit, before: Called | None, after: Called | None) -> Change:
    same = (before and before.id) == (after and after.id)
    if visit.assigned_by is AssignedBy.OPERATOR:
        return Change.SETTLED if same else Change.CONTRADICTED
    if same:
        return Change.SAME
    if before is None:
        return Change.GAINED
    return Change.CHANGED if after else Change.LOST
