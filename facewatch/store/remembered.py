"""API keys that were shown lately, known without asking Postgres."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from facewatch.domain.ids import OrgId
from facewatch.ports.access import ApiKey
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys, hashed

KEYS = "api_key"
"""NOTIFY channel that a trigger rings with a key's id when it was made, changed or removed."""


class RememberedKeys(PostgresKeys):
    """`ports.access.Keys` in Postgres; a key that it gave is kept while `follow` hears of changes.

    Any change forgets them all: there are few. With nobody following, or the listening
    connection gone, every key is asked for. At *most* as many; the oldest makes room. Unknown
    keys are never kept.
    """

    def __init__(
        self,
        database: Database,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        most: int = 10_000,
    ) -> None:
        super().__init__(database)
        self._clock = clock
        self._most = most
        self._kept: dict[bytes, ApiKey] = {}
        self._listening = False
        self._changes = 0

    def remembered(self, secret: str) -> ApiKey | None:
        """As `authenticate`, where the answer is known without asking; None says nothing."""
        key = self._kept.get(hashed(secret))
        if key is None or (key.expires_at and key.expires_at <= self._clock()):
            return None
        return key

    async def authenticate(self, secret: str) -> ApiKey | None:
        """The key that *secret* opens, unless it is unknown, expired or revoked."""
        if known := self.remembered(secret):
            return known
        changes = self._changes
        key = await super().authenticate(secret)
        # a change that was heard meanwhile may be about this key, as it was before
        if key and self._listening and changes == self._changes:
            self._kept[hashed(secret)] = key
            if len(self._kept) > self._most:
                del self._kept[next(iter(self._kept))]
        return key

    async def revoke(self, org: OrgId, key: UUID) -> None:
        """
        Raises:
            NotFound: *org* has no such key.
        """
        await super().revoke(org, key)
        self._forget()

    async def follow(self) -> None:
        """Hear of changes, until cancelled; a server that is down is waited for."""
        async for _ in self._database.listen(KEYS, lost=self._lost):
            self._forget()
            self._listening = True

    def _lost(self) -> None:
        self._listening = False
        self._forget()

    def _forget(self) -> None:
        self._changes += 1
        self._kept.clear()
