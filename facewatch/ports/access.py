"""Who may ask, for which org, and what they did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from facewatch.domain.audit import AuditEntry, AuditFilter, AuditId
from facewatch.domain.ids import (
    KeyId,
    OrgId,
)


@dataclass(frozen=True, slots=True)
class Org:
    """Whose things these are.

    Attributes:
        match_threshold: The least confidence for a name, 0..1; None is the built-in default.
    """

    id: OrgId
    name: str
    match_threshold: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class InForce:
    """Which gallery of an org the table holds, and the org's own threshold, 0..1, if any."""

    org: OrgId
    revision: int
    match_threshold: float | None


class Orgs(Protocol):
    """Orgs, and what each has settled for itself."""

    async def page(self, limit: int, after: OrgId | None = None) -> list[Org]:
        """The oldest first, from just behind *after*."""
        ...

    async def get(self, org: OrgId) -> Org:
        """
        Raises:
            NotFound: there is no such org.
        """
        ...

    async def create(self, name: str) -> "tuple[Org, ApiKey, str]":
        """An org with a location to hang cameras in, and an admin's key with its secret."""
        ...

    async def rename(self, org: OrgId, name: str) -> None:
        """Several may have one name.

        Raises:
            NotFound: there is no such org.
        """
        ...

    async def governs(self, org: OrgId) -> bool:
        """Whether it is the installation's first, whose admins make the others."""
        ...

    async def in_force(self, only: OrgId | None = None) -> list[InForce]:
        """What the table says of every org, or of *only*, for workers to compare."""
        ...

    async def match_threshold(self, org: OrgId) -> float | None:
        """The least confidence for a name, 0..1; None is the built-in default.

        Raises:
            NotFound: there is no such org.
        """
        ...

    async def set_match_threshold(self, org: OrgId, threshold: float | None) -> None:
        """Running workers are told.

        Raises:
            NotFound: there is no such org.
        """
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is kept: its secret is not among it."""

    id: KeyId
    org: OrgId
    name: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Keys(Protocol):
    """API keys, kept as hashes."""

    async def create(
        self, org: OrgId, name: str, role: str, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and the secret that is shown this once; None never expires.

        Raises:
            InvalidRequest: there is no such role.
        """
        ...

    def remembered(self, secret: str) -> ApiKey | None:
        """As `authenticate`, where the answer is known without asking; None says nothing."""
        ...

    async def authenticate(self, secret: str) -> ApiKey | None:
        """The key that *secret* opens, unless it is unknown, expired or revoked."""
        ...

    async def all(self, org: OrgId) -> list[ApiKey]: ...

    async def page(self, org: OrgId, limit: int, after: KeyId | None = None) -> list[ApiKey]:
        """The oldest first, from just behind *after*; revoked ones too."""
        ...

    async def get(self, org: OrgId, key: KeyId) -> ApiKey:
        """
        Raises:
            NotFound: *org* has no such key.
        """
        ...

    async def revoke(self, org: OrgId, key: UUID) -> None:
        """
        Raises:
            NotFound: *org* has no such key.
        """
        ...

    async def signer(self, key: KeyId) -> tuple[ApiKey, bytes] | None:
        """A key by its id, with the secret of its org, unless it is unknown, expired or revoked."""
        ...

    async def page_secret(self, org: OrgId) -> bytes:
        """What signs the page keys of *org*: the same in every process."""
        ...


class AuditLog(Protocol):
    """Who changed what, and who looked at whom. Entries are never changed."""

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        """All of them or none; adding them again changes nothing.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
        """
        ...

    async def page(
        self, org: OrgId, wanted: AuditFilter, limit: int, before: AuditId | None = None
    ) -> list[AuditEntry]:
        """Newest first, from just after *before*; fewer than *limit* only at the end."""
        ...

    async def prune(self, before: datetime) -> int:
        """Entries from before *before* go; how many went."""
        ...
