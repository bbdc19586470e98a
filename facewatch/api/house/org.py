"""/api/v1/org: the caller's own org. /api/v1/orgs: all of them, for admins of the first."""

from typing import Annotated

from pydantic import Field

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.keys import KeyMadeOut
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import LEFT, Id, Name, Page, PageIn, Shape, Thing, Time
from facewatch.domain.audit import Action
from facewatch.domain.ids import OrgId
from facewatch.errors import Forbidden
from facewatch.ports.access import ApiKey, Org


class OwnOrgIn(Shape):
    """Nothing is asked: a key tells its org."""


class OwnOrgChangesIn(Shape):
    """A field that is not there is left alone; null is the built-in threshold."""

    name: Name = LEFT
    match_threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = LEFT


class OwnOrgOut(Thing):
    """An org; *match_threshold* is the one in force, its own or the built-in one."""

    name: str
    match_threshold: float


class OrgIn(Shape):
    org: Id


class OrgMadeIn(Shape):
    """Several may have one name: ids tell them apart."""

    name: Name


class OrgChangesIn(OrgIn):
    """Its name is all that others may change."""

    name: Name


class OrgOut(Thing):
    """That there is an org, and nothing of what is in it."""

    name: str
    created_at: Time

    @classmethod
    def of(cls, org: Org) -> "OrgOut":
        return cls(id=org.id, name=org.name, created_at=org.created_at)


class OrgMadeOut(OrgOut):
    """A new org, and the first key to it, whose secret is shown this once."""

    key: KeyMadeOut


async def get_own_org(deps: Deps, caller: ApiKey, _asked: OwnOrgIn) -> OwnOrgOut:
    """The org that the key belongs to."""
    org = await deps.orgs.get(caller.org)
    settled = org.match_threshold
    threshold = deps.threshold if settled is None else settled
    return OwnOrgOut(id=org.id, name=org.name, match_threshold=threshold)


async def change_own_org(deps: Deps, caller: ApiKey, asked: OwnOrgChangesIn) -> OwnOrgOut:
    """Settle what is given; what was decided before stays decided."""
    if "name" in asked.model_fields_set:
        await deps.orgs.rename(caller.org, asked.name)
    if "match_threshold" in asked.model_fields_set:
        await deps.orgs.set_match_threshold(caller.org, asked.match_threshold)
    return await get_own_org(deps, caller, OwnOrgIn())


async def list_orgs(deps: Deps, caller: ApiKey, asked: PageIn) -> Page[OrgOut]:
    """Every org of the installation, the oldest first."""
    await _governs(deps, caller)
    after = OrgId(asked.cursor) if asked.cursor else None
    found = await deps.orgs.page(asked.limit + 1, after)
    return Page[OrgOut].of([OrgOut.of(org) for org in found], asked.limit)


async def get_org(deps: Deps, caller: ApiKey, asked: OrgIn) -> OrgOut:
    """One org."""
    await _governs(deps, caller)
    return OrgOut.of(await deps.orgs.get(OrgId(asked.org)))


async def add_org(deps: Deps, caller: ApiKey, asked: OrgMadeIn) -> OrgMadeOut:
    """One more, with a location to hang cameras in and an admin's key."""
    await _governs(deps, caller)
    org, key, secret = await deps.orgs.create(asked.name)
    return OrgMadeOut(**OrgOut.of(org).model_dump(), key=KeyMadeOut.made(key, secret))


async def rename_org(deps: Deps, caller: ApiKey, asked: OrgChangesIn) -> OrgOut:
    """Call it something else."""
    await _governs(deps, caller)
    await deps.orgs.rename(OrgId(asked.org), asked.name)
    return await get_org(deps, caller, OrgIn(org=asked.org))


async def _governs(deps: Deps, caller: ApiKey) -> None:
    """
    Raises:
        Forbidden: the caller's org is not the installation's first.
    """
    if not await deps.orgs.governs(caller.org):
        raise Forbidden("only admins of the installation's first org look after the others")


_OWN, _BASE = "/api/v1/org", "/api/v1/orgs"
_ONE = f"{_BASE}/{{org}}"

ROUTES = [
    resource("GET", _OWN, get_own_org, action=None),
    resource("PATCH", _OWN, change_own_org, Role.ADMIN, action=Action.ORG_UPDATED),
    resource("GET", _BASE, list_orgs, Role.ADMIN, action=None),
    resource("POST", _BASE, add_org, Role.ADMIN, 201, action=Action.ORG_CREATED),
    resource("GET", _ONE, get_org, Role.ADMIN, action=None),
    resource("PATCH", _ONE, rename_org, Role.ADMIN, action=Action.ORG_UPDATED),
]
