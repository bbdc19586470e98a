"""/api/v1/keys: who may ask what of an org."""

from facewatch.api.deps import Deps
from facewatch.api.family import Role, may
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import Id, Name, Page, PageIn, Shape, Thing, Time
from facewatch.domain.audit import Action
from facewatch.domain.ids import KeyId
from facewatch.errors import Forbidden, InvalidRequest
from facewatch.ports.access import ApiKey


class KeyIn(Shape):
    key: Id


class KeyMadeIn(Shape):
    """A new key; without *expires_at* it is good until it is revoked."""

    name: Name
    role: Role = Role.OPERATOR
    expires_at: Time | None = None


class KeyOut(Thing):
    """A key; its secret is kept nowhere."""

    name: str
    role: Role
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyOut":
        return cls(
            id=key.id,
            name=key.name,
            role=Role(key.role),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
        )


class KeyMadeOut(KeyOut):
    """A new key with its secret, which is shown this once."""

    secret: str

    @classmethod
    def made(cls, key: ApiKey, secret: str) -> "KeyMadeOut":
        return cls(**KeyOut.of(key).model_dump(), secret=secret)


async def list_keys(deps: Deps, caller: ApiKey, asked: PageIn) -> Page[KeyOut]:
    """Every key of the org, revoked ones too, the oldest first."""
    after = KeyId(asked.cursor) if asked.cursor else None
    found = await deps.keys.page(caller.org, asked.limit + 1, after)
    return Page[KeyOut].of([KeyOut.of(key) for key in found], asked.limit)


async def get_key(deps: Deps, caller: ApiKey, asked: KeyIn) -> KeyOut:
    """One key, without its secret."""
    return KeyOut.of(await deps.keys.get(caller.org, KeyId(asked.key)))


async def add_key(deps: Deps, caller: ApiKey, asked: KeyMadeIn) -> KeyMadeOut:
    """One more, which may not do more than the key that makes it."""
    if not may(caller, asked.role):
        raise Forbidden(f"a key of role {caller.role} makes none of role {asked.role}")
    if asked.expires_at is not None and asked.expires_at <= deps.clock():
        raise InvalidRequest("expires_at: it would have expired already", "choose a later time")
    return KeyMadeOut.made(
        *await deps.keys.create(caller.org, asked.name, asked.role, asked.expires_at)
    )


async def revoke_key(deps: Deps, caller: ApiKey, asked: KeyIn) -> None:
    """It opens nothing from now on; it stays in the list. Once more changes nothing."""
    await deps.keys.revoke(caller.org, asked.key)


_BASE = "/api/v1/keys"
_ONE = f"{_BASE}/{{key}}"

ROUTES = [
    resource("GET", _BASE, list_keys, Role.ADMIN, action=None),
    resource("POST", _BASE, add_key, Role.ADMIN, 201, action=Action.API_KEY_CREATED),
    resource("GET", _ONE, get_key, Role.ADMIN, action=None),
    resource("DELETE", _ONE, revoke_key, Role.ADMIN, action=Action.API_KEY_REVOKED),
]
