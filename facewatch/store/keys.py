"""API keys in Postgres, as hashes."""

import hashlib
import secrets
from uuid import UUID

from facewatch.domain.ids import KeyId, OrgId, new_id
from facewatch.errors import InvalidRequest, NotFound
from facewatch.ports import ApiKey
from facewatch.store.database import Database, Row

ROLES = ("viewer", "operator", "admin")


class PostgresKeys:
    """`ports.Keys` in Postgres.

    A secret is 32 random bytes, so that a plain hash of it can be neither guessed nor reversed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, org: OrgId, name: str, role: str) -> tuple[ApiKey, str]:
        """A new key, and the secret that is shown this once.

        Raises:
            InvalidRequest: there is no such role.
        """
        if role not in ROLES:
            raise InvalidRequest(f"there is no role {role!r}", f"choose one of {', '.join(ROLES)}")
        secret = f"fw_{secrets.token_urlsafe(32)}"
        row = await self._database.row(
            "api_key_create", id=new_id(), org=org, name=name, role=role, hash=_hashed(secret)
        )
        assert row is not None
        return _key(row), secret

    async def authenticate(self, secret: str) -> ApiKey | None:
        """The key that *secret* opens, unless it is unknown, expired or revoked."""
        row = await self._database.row("api_key_by_hash", hash=_hashed(secret))
        return _key(row) if row else None

    async def all(self, org: OrgId) -> list[ApiKey]:
        return [_key(row) for row in await self._database.fetch("api_keys", org=org)]

    async def revoke(self, org: OrgId, key: UUID) -> None:
        """
        Raises:
            NotFound: *org* has no such key.
        """
        if await self._database.row("api_key_revoke", org=org, id=key) is None:
            raise NotFound(f"there is no key {key}", "facewatch key list shows them")

    async def page_secret(self, org: OrgId) -> bytes:
        """What signs the page keys of *org*: the same in every process."""
        row = await self._database.row("page_secret", org=org)
        assert row is not None
        secret: bytes = row["page_secret"]
        return secret


def _hashed(secret: str) -> bytes:
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
