"""The middle of everybody's templates, kept up to date behind whoever changes faces.

Triggers note whose is no longer true, in the transaction that made it so; whoever reads brings
them up to date first (docs/decisions/0081).
"""

from collections import defaultdict
from uuid import UUID

import numpy as np

from facewatch.domain.faces import Template
from facewatch.domain.ids import OrgId
from facewatch.store.database import Database, Row, Work
from facewatch.store.events import received, spelled

_MOST_FACES = 256
"""Of one person: the newest."""
_NOTES_AT_ONCE = 64
_MOST_ROUNDS = 32


class PostgresCentroids:
    """`ports.library.Centroids` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refresh(self, org: OrgId) -> bool:
        """Bring up to date what changed before this call; one at a time does it for an org.

        Returns:
            Whether all is: after two thousand notes the rest is left for the next call.
        """
        for _ in range(_MOST_ROUNDS):
            if not await self._database.fetch("centroids_stale", org=org, limit=1):
                return True
            async with self._database.transaction() as work:
                await work.fetch("centroids_lock", org=org)
                notes = await work.fetch("centroids_stale", org=org, limit=_NOTES_AT_ONCE)
                await _renew(work, org, notes)
        return False

    async def refresh_all(self) -> None:
        """Of every org, until nothing is noted."""
        for row in await self._database.fetch("centroids_stale_orgs"):
            while not await self.refresh(OrgId(row["org"])):
                pass


async def _renew(work: Work, org: OrgId, notes: list[Row]) -> None:
    people = sorted({note["person"] for note in notes})
    rows = await work.fetch("centroid_templates", org=org, people=people, limit=_MOST_FACES)
    templates: defaultdict[tuple[UUID, int], list[Template]] = defaultdict(list)
    for row in rows:
        templates[row["person"], row["model"]].append(received(row["embedding"]))
    persons, models = [person for person, _ in templates], [model for _, model in templates]
    middles = [_middle(np.stack(faces)) for faces in templates.values()]
    await work.fetch(
        "centroids_put",
        org=org,
        people=persons,
        models=models,
        embeddings=[spelled(middle) for middle, _, _ in middles],
        means=[mean for _, mean, _ in middles],
        p90s=[p90 for _, _, p90 in middles],
    )
    await work.fetch("centroids_drop", people=people, kept=persons, models=models)
    await work.fetch("centroids_fresh", ids=[note["id"] for note in notes])


def _middle(faces: Template) -> tuple[Template, float, float]:
    """Of (n, d) unit vectors their mean, and mean and 90th percentile of their distances."""
    apart = 1.0 - (faces @ faces.T)[np.triu_indices(len(faces), 1)]
    mean, p90 = (apart.mean(), np.percentile(apart, 90)) if len(apart) else (0.0, 0.0)
    return faces.mean(axis=0), max(0.0, float(mean)), max(0.0, float(p90))
