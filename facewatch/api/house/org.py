"""/api/v1/org: what the caller's org has settled."""

from typing import Annotated

from pydantic import Field

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import Id, Shape
from facewatch.domain.audit import Action
from facewatch.ports import ApiKey


class OrgIn(Shape):
    """Nothing is asked: a key tells its org."""


class OrgChangesIn(Shape):
    """What changes: a field that is not there is left alone, null is the built-in default."""

    match_threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None


class OrgOut(Shape):
    """An org; *match_threshold* is the one in force, its own or the built-in one."""

    id: Id
    match_threshold: float


async def get_org(deps: Deps, caller: ApiKey, _asked: OrgIn) -> OrgOut:
    """The org that the key belongs to."""
    settled = await deps.orgs.match_threshold(caller.org)
    return OrgOut(id=caller.org, match_threshold=deps.threshold if settled is None else settled)


async def change_org(deps: Deps, caller: ApiKey, asked: OrgChangesIn) -> OrgOut:
    """Settle what is given; what was decided before stays decided."""
    if "match_threshold" in asked.model_fields_set:
        await deps.orgs.set_match_threshold(caller.org, asked.match_threshold)
    return await get_org(deps, caller, OrgIn())


ROUTES = [
    resource("GET", "/api/v1/org", get_org, action=None),
    resource("PATCH", "/api/v1/org", change_org, Role.ADMIN, action=Action.ORG_UPDATED),
]
