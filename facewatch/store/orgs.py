"""Orgs, and what each has settled, in Postgres."""

from facewatch.domain.ids import OrgId, new_id, to_ruuid
from facewatch.errors import NotFound
from facewatch.ports.access import ApiKey, InForce, Org
from facewatch.store.database import Database, Row
from facewatch.store.keys import put_key
from facewatch.store.people import GALLERY


class PostgresOrgs:
    """`ports.access.Orgs` in Postgres."""

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
        return _threshold(row)

    async def set_match_threshold(self, org: OrgId, threshold: float | None) -> None:
        """Whoever listens for the gallery is told: the two decide together.

        Raises:
            NotFound: there is no such org.
        """
        async with self._database.transaction() as work:
            if await work.row("org_match_threshold_set", org=org, threshold=threshold) is None:
                raise NotFound(f"there is no org {org}")
            await work.fetch("ring", channel=GALLERY, payload=str(org))

    async def page(self, limit: int, after: OrgId | None = None) -> list[Org]:
        """The oldest first, from just behind *after*."""
        return [_org(row) for row in await self._database.fetch("orgs", limit=limit, after=after)]

    async def get(self, org: OrgId) -> Org:
        """
        Raises:
            NotFound: there is no such org.
        """
        row = await self._database.row("org_get", org=org)
        if row is None:
            raise NotFound(f"there is no org {to_ruuid(org)}")
        return _org(row)

    async def create(self, name: str) -> tuple[Org, ApiKey, str]:
        """An org with a location to hang cameras in, and an admin's key with its secret."""
        async with self._database.transaction() as work:
            row = await work.row("org_create", id=new_id(), name=name)
            assert row is not None
            made = _org(row)
            await work.fetch(
                "location_add",
                id=new_id(),
                org=made.id,
                parent=None,
                name="default",
                time_zone="UTC",
            )
            key, secret = await put_key(work, made.id, "first admin", "admin")
            await work.fetch("ring", channel=GALLERY, payload=str(made.id))
        return made, key, secret

    async def rename(self, org: OrgId, name: str) -> None:
        """Several may have one name.

        Raises:
            NotFound: there is no such org.
        """
        if await self._database.row("org_rename", org=org, name=name) is None:
            raise NotFound(f"there is no org {to_ruuid(org)}")

    async def governs(self, org: OrgId) -> bool:
        """Whether it is the installation's first, whose admins make the others."""
        return org == await self._database.default_org()

    async def in_force(self, only: OrgId | None = None) -> list[InForce]:
        """What the table says of every org, or of *only*, for workers to compare."""
        rows = await self._database.fetch("orgs_in_force", only=only)
        return [InForce(OrgId(row["id"]), row["revision"], _threshold(row)) for row in rows]


def _org(row: Row) -> Org:
    return Org(OrgId(row["id"]), row["name"], _threshold(row), row["created_at"])


def _threshold(row: Row) -> float | None:
    kept = row["match_threshold"]
    return None if kept is None else round(kept, 6)  # without what single precision adds
