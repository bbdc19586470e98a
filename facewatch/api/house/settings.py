"""/api/v1/settings: what is in force."""

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import Shape
from facewatch.domain.settings import Setting, Value
from facewatch.ports.access import ApiKey

_FOR_EVERY_ORG = ("recognition.", "cameras.")
"""Sections that shape every org's answers; the others are the installation's own affair."""


class SettingsIn(Shape):
    """Nothing is asked."""


class SettingOut(Shape):
    """One setting.

    Attributes:
        value: The one in force; null for a secret.
        is_set: Whether there is one: of a secret that is all that is said.
        change: The operation that changes it while the service runs; null where that takes the
            settings file or the environment, and a new start.
    """

    key: str
    value: Value
    is_set: bool
    change: str | None

    @classmethod
    def of(cls, it: Setting) -> "SettingOut":
        return cls(key=it.key, value=it.value, is_set=it.is_set, change=None)


class SettingsOut(Shape):
    items: list[SettingOut]


async def get_settings(deps: Deps, caller: ApiKey, _asked: SettingsIn) -> SettingsOut:
    """Every setting that concerns the caller's org, and to the first org those of the
    installation."""
    whole = await deps.orgs.governs(caller.org)
    own = await deps.orgs.match_threshold(caller.org)
    threshold = SettingOut(
        key="org.match_threshold",
        value=deps.threshold if own is None else own,
        is_set=own is not None,
        change="PATCH /api/v1/org",
    )
    shown = (it for it in deps.settings if whole or it.key.startswith(_FOR_EVERY_ORG))
    return SettingsOut(items=[threshold, *map(SettingOut.of, shown)])


ROUTES = [resource("GET", "/api/v1/settings", get_settings, Role.ADMIN, action=None)]
