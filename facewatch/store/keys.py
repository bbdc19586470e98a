"""API keys in Postgres, as hashes."""

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

from facewatch.domain.ids import KeyId, OrgId, new_id, to_ruuid
from facewatch.errors import InvalidRequest, NotFound
from facewatch.ports.access import ApiKey
from facewatch.store.database import Database, Row, Work

ROLES = ("viewer", "operator", "admin")


class PostgresKeys:
    """`ports.access.Keys` in Postgres.

    A secret is 32 random bytes, so that a plain hash of it can be neither guessed nor reversed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, org: OrgId, name: str, role: str, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and the secret that is shown this once; None never expires.

        Raises:
            InvalidRequest: there is no such role.
        """
        async with self._database.transaction() as work:
            return await put_key(work, org, name, role, expires_at)

    def remembered(self, secret: str) -> ApiKey | None:
        """Nothing is."""
        return None

    async def authenticate(self, secret: str) -> ApiKey | None:
        """The key that *secret* opens, unless it is unknown, expired or revoked."""
        row = await self._database.row("api_key_by_hash", hash=hashed(secret))
        return _key(row) if row else None

    async def all(self, org: OrgId) -> list[ApiKey]:
        return [_key(row) for row in await self._database.fetch("api_keys", org=org)]

    async def page(self, org: OrgId, limit: int, after: KeyId | None = None) -> list[ApiKey]:
        """The oldest first, from just behind *after*; revoked ones too."""
        rows = await self._database.fetch("api_keys_page", org=org, after=after, limit=limit)
        return [_key(row) for row in rows]

    async def get(self, org: OrgId, key: KeyId) -> ApiKey:
        """
        Raises:
            NotFound: *org* has no such key.
        """
        row = await self._database.row("api_key_get", org=org, id=key)
        if row is None:
            raise _absent(key)
        return _key(row)

    async def revoke(self, org: OrgId, key: UUID) -> None:
        """
        Raises:
            NotFound: *org* has no such key.
        """
        if await self._database.row("api_key_revoke", org=org, id=key) is None:
            raise _absent(key)

    async def signer(self, key: KeyId) -> tuple[ApiKey, bytes] | None:
        """A key by its id, with the secret of its org, unless it is unknown, expired or revoked."""
        row = await self._database.row("api_key_signer", id=key)
        return (_key(row), row["page_secret"]) if row else None

    async def page_secret(self, org: OrgId) -> bytes:
        """What signs the page keys of *org*: the same in every process."""
        row = await self._database.row("page_secret", org=org)
        assert row is not None
        secret: bytes = row["page_secret"]
        return secret


async def put_key(
    work: Work, org: OrgId, name: str, role: str, expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key within *work*, and its secret.

    Raises:
        InvalidRequest: there is no such role.
    """
    if role not in ROLES:
        raise InvalidRequest(f"there is no role {role!r}", f"choose one of {', '.join(ROLES)}")
    secret = f"fw_{secrets.token_urlsafe(32)}"
    row = await work.row(
        "api_key_create",
        id=new_id(),
        org=org,
        name=name,
        role=role,
        hash=hashed(secret),
        expires_at=expires_at,
    )
    assert row is not None
    return _key(row), secret


def _absent(key: UUID) -> NotFound:
    return NotFound(f"there is no key {to_ruuid(key)}", "look at the list of keys")


def hashed(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()


def _key(row: Row) -> ApiKey:
    return ApiKey(
        id=KeyId(row["id"]),
        org=OrgId(row["org"]),
        name=row["name"],
        role=row["role"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
