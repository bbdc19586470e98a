"""What an org has settled, in Postgres."""

from facewatch.domain.ids import OrgId
from facewatch.errors import NotFound
from facewatch.store.database import Database
from facewatch.store.people import GALLERY


class PostgresOrgs:
    """`ports.Orgs` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def match_threshold(self, org: OrgId) -> float | None:
        """The least confidence for a name, 0..1; None is the built-in default.

        Raises:
            NotFound: there is no such org.
        """
        row = await self._database.row("org_match_threshold", org=org)
        if row is None:
            raise NotFound(f"there is no org {org}")
        kept = row["match_threshold"]
        return None if kept is None else round(kept, 6)  # without what single precision adds

    async def set_match_threshold(self, org: OrgId, threshold: float | None) -> None:
        """Whoever listens for the gallery is told: the two decide together.

        Raises:
            NotFound: there is no such org.
        """
        async with self._database.transaction() as work:
            if await work.row("org_match_threshold_set", org=org, threshold=threshold) is None:
                raise NotFound(f"there is no org {org}")
            await work.fetch("ring", channel=GALLERY, payload=str(org))
