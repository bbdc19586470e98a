"""The audit log in Postgres."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from facewatch.domain.audit import Action, AuditEntry, AuditFilter, AuditId, Outcome
from facewatch.domain.ids import KeyId, OrgId, first_id
from facewatch.store.database import Database, Row

_FIRST, _LAST = UUID(int=0), UUID(int=(1 << 128) - 1)
_PRUNED_AT_ONCE = 10_000


class PostgresAuditLog:
    """`ports.access.AuditLog` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        """All of them or none; adding them again changes nothing."""
        await self._database.fetch(
            "audit_add",
            orgs=[it.org for it in entries],
            ids=[it.id for it in entries],
            ats=[it.at for it in entries],
            keys=[it.key for it in entries],
            key_names=[it.key_name for it in entries],
            actions=[it.action for it in entries],
            subjects=["{" + ",".join(map(str, it.subjects)) + "}" for it in entries],
            outcomes=[it.outcome for it in entries],
            remotes=[it.remote for it in entries],
            agents=[it.agent for it in entries],
            requests=[it.request for it in entries],
        )

    async def page(
        self, org: OrgId, wanted: AuditFilter, limit: int, before: AuditId | None = None
    ) -> list[AuditEntry]:
        """Newest first, from just after *before*; fewer than *limit* only at the end."""
        until = first_id(wanted.until) if wanted.until else _LAST
        window = {
            "org": org,
            "since": first_id(wanted.since) if wanted.since else _FIRST,
            "before": min(before, until) if before else until,
            "limit": limit,
        }
        key, action, subject = wanted.key, wanted.action, wanted.subject
        if subject:
            rows = await self._database.fetch(
                "audit_page_of_subject", **window, subject=subject, key=key, action=action
            )
        elif key:
            rows = await self._database.fetch("audit_page_of_key", **window, key=key, action=action)
        elif action:
            rows = await self._database.fetch("audit_page_of_action", **window, action=action)
        else:
            rows = await self._database.fetch("audit_page", **window)
        return [_entry(row) for row in rows]

    async def prune(self, before: datetime) -> int:
        """Entries from before *before* go; how many went."""
        gone = 0
        while True:
            rows = await self._database.fetch(
                "audit_prune", before=first_id(before), most=_PRUNED_AT_ONCE
            )
            gone += len(rows)
            if len(rows) < _PRUNED_AT_ONCE:
                return gone


def _entry(row: Row) -> AuditEntry:
    return AuditEntry(
        id=AuditId(row["id"]),
        org=OrgId(row["org"]),
        at=row["at"],
        key=KeyId(row["key"]),
        key_name=row["key_name"],
        action=Action(row["action"]),
        subjects=tuple(row["subjects"]),
        outcome=Outcome(row["outcome"]),
        remote=row["remote"],
        agent=row["agent"],
        request=row["request"],
    )
