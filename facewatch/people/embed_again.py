"""Kept crops through another embedder: nobody enrols again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Pixels, Template
from facewatch.domain.ids import CameraId, FaceId, OrgId, PersonId
from facewatch.domain.past import PastMatchmaker, PastVisit
from facewatch.domain.people import Matchmaker
from facewatch.people.crops import Crops
from facewatch.ports.events import Past
from facewatch.ports.keeping import Blobs
from facewatch.ports.streams import Picture
from facewatch.ports.vision import Embedder

_PAGE = 64
"""So many visits or matchmakers at once, with up to five crops of 37 kB each."""

_Put: TypeAlias = Callable[[OrgId, str, Sequence[tuple[FaceId, Template]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kept:
    """How many templates were made, and how many had no crop left to make them of."""

    matchmakers: int
    matchmakers_lost: int
    visits: int
    visits_lost: int


@dataclass(frozen=True, slots=True)
class AgainEmbedder:
    """Reads crops and embeds them.

    Attributes:
        embedder: Used in *thread* only.
        at_once: Crops in one go: whoever shares *thread* waits for no more.
    """

    embedder: Embedder
    past: Past
    blobs: Blobs
    decode: Callable[[bytes, str], Picture]
    thread: Executor
    at_once: int = 8

    async def visits(
        self, org: OrgId, since: datetime | None = None, camera: CameraId | None = None
    ) -> AsyncIterator[list[tuple[PastVisit, Template | None]]]:
        """Every visit that was compared, newest first, with its template by this embedder.

        None where no crop is left, or the visit goes on. Memory holds a page.
        """
        before = None
        while page := await self.past.visits(
            org, self.embedder.model, _PAGE, since=since, camera=camera, before=before
        ):
            missing = [it for it in page if it.compared and it.template is None]
            made = await self._fused([it.crop_keys for it in missing])
            made_of = dict(zip((it.event for it in missing), made, strict=True))
            yield [(it, made_of.get(it.event)) for it in page]
            before = page[-1].event

    async def matchmakers(
        self, org: OrgId
    ) -> AsyncIterator[list[tuple[PastMatchmaker, Template | None]]]:
        """Every matchmaker, with its template by this embedder; None where no crop is left."""
        after = None
        while page := await self.past.matchmakers(org, self.embedder.model, _PAGE, after):
            missing = [it for it in page if it.template is None]
            made = await self._fused([(it.crop_key,) if it.crop_key else () for it in missing])
            made_of = dict(zip((it.face for it in missing), made, strict=True))
            yield [(it, made_of.get(it.face)) for it in page]
            after = page[-1].face

    async def gallery(self, org: OrgId) -> tuple[list[Matchmaker], int]:
        """Every matchmaker as this embedder sees it, and how many have no crop. Keeps nothing."""
        gallery: list[Matchmaker] = []
        lost = 0
        async for page in self.matchmakers(org):
            for it, made in page:
                template = it.template if it.template is not None else made
                if template is None:
                    lost += 1
                else:
                    gallery.append(Matchmaker(it.face, PersonId(it.person), org, template))
        return gallery, lost

    async def keep(
        self, org: OrgId, since: datetime | None, kept: Callable[[int, int, str], None]
    ) -> "Kept":
        """Make what is missing of matchmakers, then of visits from *since* on, and keep it.

        Each page is kept when it is made: broken off and begun again it goes on where it was.
        Running workers load matchmakers as they are made. *kept* is told how many
        were looked at, how many of these were made, and what they are.
        """
        matchmakers, lost = await self._keep(
            org, self.matchmakers(org), self.past.put_enrolled, kept, "matchmakers"
        )
        visits, lost_visits = await self._keep(
            org, self.visits(org, since), self.past.put, kept, "visits"
        )
        return Kept(matchmakers, lost, visits, lost_visits)

    async def _keep(
        self,
        org: OrgId,
        pages: AsyncIterator[Sequence[tuple[PastVisit | PastMatchmaker, Template | None]]],
        put: _Put,
        kept: Callable[[int, int, str], None],
        what: str,
    ) -> tuple[int, int]:
        """How many were made, and how many had nothing to be made of."""
        looked_at = done = lost = 0
        async for page in pages:
            made = [(it.face, template) for it, template in page if template is not None]
            await put(org, self.embedder.model, made)
            lost += sum(template is None and _wants(it) for it, template in page)
            looked_at, done = looked_at + len(page), done + len(made)
            kept(looked_at, done, what)
        return done, lost

    async def _fused(self, crop_keys: Sequence[Sequence[str]]) -> list[Template | None]:
        """One template for the crops of each, weighted by how much each tells."""
        crop = Crops(self.blobs, self.decode).get
        pixels = await asyncio.gather(*(crop(key) for keys in crop_keys for key in keys))
        there = [it for it in pixels if it is not None]
        loop = asyncio.get_running_loop()
        said: list[tuple[Template, float]] = []
        for start in range(0, len(there), self.at_once):
            said += await loop.run_in_executor(
                self.thread, self._embed, there[start : start + self.at_once]
            )
        answers, crops = iter(said), iter(pixels)
        return [
            _fused([next(answers) for _ in keys if next(crops) is not None]) for keys in crop_keys
        ]

    def _embed(self, crops: Sequence[Pixels]) -> list[tuple[Template, float]]:
        templates, telling = self.embedder.embed_telling(crops)
        return list(zip(templates, telling.tolist(), strict=True))


def _wants(it: PastVisit | PastMatchmaker) -> bool:
    """Whether there should be a template, and is none."""
    if isinstance(it, PastVisit):
        return it.compared and it.closed and it.template is None
    return it.template is None


def _fused(said: Sequence[tuple[Template, float]]) -> Template | None:
    """As `pipeline.visit.fuse`, where the parts of the quality that crops do not show are equal."""
    if not said:
        return None
    weights = [telling * min(1.0, 2 * telling) + 1e-3 for _, telling in said]
    total: NDArray[np.float32] = np.sum(
        [weight * template for weight, (template, _) in zip(weights, said, strict=True)], axis=0
    )
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)
