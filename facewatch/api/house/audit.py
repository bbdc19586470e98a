"""/api/v1/audit: who changed what, and who looked at whom."""

from typing import Self

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import Id, Page, PageIn, Thing, Time
from facewatch.domain.audit import Action, AuditEntry, AuditFilter, AuditId, Outcome
from facewatch.domain.ids import KeyId
from facewatch.ports.access import ApiKey


class AuditIn(PageIn):
    """Which entries: all that is given must fit; *since* is in the window, *until* is not."""

    since: Time | None = None
    until: Time | None = None
    key: Id | None = None
    action: Action | None = None
    subject: Id | None = None


class AuditEntryOut(Thing):
    """A request; *subjects* are the ids that it named, made, or showed as its answer."""

    at: Time
    key: Id
    key_name: str
    action: Action
    subjects: list[Id]
    outcome: Outcome
    remote: str
    agent: str
    request: str

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(
            id=entry.id,
            at=entry.at,
            key=entry.key,
            key_name=entry.key_name,
            action=entry.action,
            subjects=list(entry.subjects),
            outcome=entry.outcome,
            remote=entry.remote,
            agent=entry.agent,
            request=entry.request,
        )


async def find_audit_entries(deps: Deps, caller: ApiKey, asked: AuditIn) -> Page[AuditEntryOut]:
    """Newest first; every request that was answered before is among them."""
    wanted = AuditFilter(
        since=asked.since,
        until=asked.until,
        key=KeyId(asked.key) if asked.key else None,
        action=asked.action,
        subject=asked.subject,
    )
    before = AuditId(asked.cursor) if asked.cursor else None
    found = await deps.audit.page(caller.org, wanted, asked.limit + 1, before)
    return Page[AuditEntryOut].of([AuditEntryOut.of(it) for it in found], asked.limit)


ROUTES = [
    resource("GET", "/api/v1/audit", find_audit_entries, Role.ADMIN, action=Action.AUDIT_VIEWED),
]
