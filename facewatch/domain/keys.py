"""Object keys: they begin with org and month, so that an org's pixels can be told and erased."""

from datetime import UTC, datetime

from facewatch.domain.ids import EventId, FaceId, OrgId, from_ruuid, to_ruuid


def event_prefix(org: OrgId, event: EventId, at: datetime) -> str:
    """Where the pictures of an event lie; *at* is its start, so that all versions share it.

    >>> from uuid import UUID
    >>> event_prefix(OrgId(UUID(int=0)), EventId(UUID(int=1)), datetime(2026, 11, 1, tzinfo=UTC))
    'AAAAAAAAAAAAAAAAAAAAAA/2026-11/events/AAAAAAAAAAAAAAAAAAAAAQ'
    """
    return f"{to_ruuid(org)}/{at.astimezone(UTC):%Y-%m}/events/{to_ruuid(event)}"


def photo_prefix(org: OrgId, face: FaceId, at: datetime) -> str:
    """Where the pictures of an enrolled face lie; *at* is when it was enrolled.

    >>> from uuid import UUID
    >>> photo_prefix(OrgId(UUID(int=0)), FaceId(UUID(int=1)), datetime(2026, 11, 1, tzinfo=UTC))
    'AAAAAAAAAAAAAAAAAAAAAA/2026-11/enrolment/AAAAAAAAAAAAAAAAAAAAAQ'
    """
    return f"{to_ruuid(org)}/{at.astimezone(UTC):%Y-%m}/enrolment/{to_ruuid(face)}"


def org_of(key: str) -> OrgId | None:
    """Whose pixels *key* names; None when it is no key of ours.

    A key that could leave its org's folder ("..", empty parts, a backslash, a control
    character) is none of ours.

    >>> org_of("AAAAAAAAAAAAAAAAAAAAAA/2026-11/events/x/frame.jpg")
    UUID('00000000-0000-0000-0000-000000000000')
    >>> org_of("AAAAAAAAAAAAAAAAAAAAAA/../AAAAAAAAAAAAAAAAAAAAAQ/frame.jpg")
    """
    org, *rest = key.split("/")
    if not rest or not key.isprintable() or "\\" in key:
        return None
    if any(part in ("", ".", "..") for part in rest):
        return None
    try:
        return OrgId(from_ruuid(org))
    except ValueError:
        return None
