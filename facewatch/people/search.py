"""Pictures are found by words."""

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

from facewatch.domain.ids import OrgId
from facewatch.domain.library import Asset, AssetFilter, Described
from facewatch.errors import NoSearchModel
from facewatch.ports.library import PictureVectors
from facewatch.ports.vision import Seer


@dataclass(frozen=True, slots=True)
class WordSearch:
    """Words become a vector, and whatever lies near it is found.

    Attributes:
        model: The seer's number in *vectors*.
        thread: The one in which the seer reads.
    """

    seer: Seer
    vectors: PictureVectors
    model: int
    thread: Executor

    async def find(
        self, org: OrgId, text: str, farthest: float, wanted: AssetFilter, limit: int, offset: int
    ) -> list[tuple[Asset, float]]:
        """Nearest first, from behind the first *offset*; each with its distance, 0..1.

        Fewer than *limit* only at the end.

        Args:
            farthest: Distance, 0..1, beyond which there is nothing.

        Raises:
            NotFound: *org* has nobody with one of the ids that are *wanted*.
        """
        loop = asyncio.get_running_loop()
        vector = await loop.run_in_executor(self.thread, self.seer.words, text)
        like = Described(self.model, vector, 1.0 - self.seer.least_cosine(farthest))
        found = await self.vectors.near(org, like, wanted, limit, offset)
        return [(asset, self.seer.distance(1.0 - far)) for asset, far in found]

    async def state(self) -> str:
        """How far it is, for an operator."""
        waiting = await self.vectors.waiting(self.model)
        return f"{self.seer.model}, {waiting} pictures wait"


@dataclass(frozen=True, slots=True)
class NoWordSearch:
    """There is no model; *why* and *remedy* are told to whoever searches."""

    why: str
    remedy: str

    async def find(
        self, org: OrgId, text: str, farthest: float, wanted: AssetFilter, limit: int, offset: int
    ) -> list[tuple[Asset, float]]:
        """
        Raises:
            NoSearchModel: always: a distance that nobody measured would be worse.
        """
        raise NoSearchModel(self.why, self.remedy)

    async def state(self) -> str:
        return f"{self.why}; {self.remedy}"


OFF = NoWordSearch(
    "search by words is off",
    'set models.search, to "siglip2-base" for example, and run facewatch models fetch and'
    " facewatch models pin with the same name; without query, person_ids, captured_after and"
    " captured_before work",
)
