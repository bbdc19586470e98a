"""Object keys: they begin with org and month, so that an org's pixels can be told and erased."""

import re
from datetime import UTC, datetime
from uuid import UUID

from facewatch.domain.ids import AssetId, EventId, FaceId, OrgId, from_ruuid, to_ruuid

_KEY = re.compile(
    r"(?P<org>[\w-]{22})/[0-9]{4}-[0-9]{2}/(events|enrolment|brought)/(?P<subject>[\w-]{22})"
    r"(/[A-Za-z0-9][\w.-]{0,99}){1,3}",
    re.ASCII,
)


def event_prefix(org: OrgId, event: EventId, at: datetime) -> str:
    """Where the pictures of an event lie; *at* is its start, so that all versions share it.

    >>> event_prefix(OrgId(UUID(int=0)), EventId(UUID(int=1)), datetime(2026, 11, 1, tzinfo=UTC))
    'AAAAAAAAAAAAAAAAAAAAAA/2026-11/events/AAAAAAAAAAAAAAAAAAAAAQ'
    """
    return f"{to_ruuid(org)}/{at.astimezone(UTC):%Y-%m}/events/{to_ruuid(event)}"


def photo_prefix(org: OrgId, face: FaceId, at: datetime) -> str:
    """Where the pictures of an enrolled face lie; *at* is when it was enrolled.

    >>> photo_prefix(OrgId(UUID(int=0)), FaceId(UUID(int=1)), datetime(2026, 11, 1, tzinfo=UTC))
    'AAAAAAAAAAAAAAAAAAAAAA/2026-11/enrolment/AAAAAAAAAAAAAAAAAAAAAQ'
    """
    return f"{to_ruuid(org)}/{at.astimezone(UTC):%Y-%m}/enrolment/{to_ruuid(face)}"


def picture_prefix(org: OrgId, asset: AssetId, at: datetime) -> str:
    """Where a picture lies that was brought; *at* is when it was captured."""
    return f"{to_ruuid(org)}/{at.astimezone(UTC):%Y-%m}/brought/{to_ruuid(asset)}"


def clip_prefix(org: OrgId, asset: AssetId, at: datetime) -> str:
    """Where a clip lies that was brought; no key of it is one of a picture.

    >>> org_of(clip_prefix(OrgId(UUID(int=0)), AssetId(UUID(int=1)), datetime.now(UTC)) + "/a.mp4")
    """
    return f"{to_ruuid(org)}/{at.astimezone(UTC):%Y-%m}/clips/{to_ruuid(asset)}"


def org_of(key: str) -> OrgId | None:
    """Whose pixels *key* names; None when it is no key of ours.

    Parts begin with a letter or digit, so no key of ours climbs out of its org's folder.

    >>> org_of(event_prefix(OrgId(UUID(int=0)), EventId(UUID(int=1)), datetime.now(UTC)) + "/1.jpg")
    UUID('00000000-0000-0000-0000-000000000000')
    >>> org_of("AAAAAAAAAAAAAAAAAAAAAA/2026-11/../../AAAAAAAAAAAAAAAAAAAAAQ/1.jpg")
    """
    if not (match := _KEY.fullmatch(key)):
        return None
    try:
        return OrgId(from_ruuid(match["org"]))
    except ValueError:
        return None


def subject_of(key: str) -> UUID | None:
    """The event, enrolled face or asset that *key* shows; None when it is no key of ours.

    >>> subject_of(event_prefix(OrgId(UUID(int=0)), EventId(UUID(int=1)), datetime.now(UTC)) + "/1")
    UUID('00000000-0000-0000-0000-000000000001')
    """
    match = _KEY.fullmatch(key)
    try:
        return from_ruuid(match["subject"]) if match else None
    except ValueError:
        return None
