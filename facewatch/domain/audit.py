"""Who changed what, and who looked at whom."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType
from uuid import UUID

from facewatch.domain.ids import KeyId, OrgId

AuditId = NewType("AuditId", UUID)


class Action(StrEnum):
    """What a request does, in the words of Rhombus' AuditActionEnum where it has one."""

    FACE_EVENT_UPDATED = "FACE_EVENT_UPDATED"
    FACE_EVENT_DELETED = "FACE_EVENT_DELETED"
    FACE_PERSON_CREATED = "FACE_PERSON_CREATED"
    FACE_PERSON_UPDATED = "FACE_PERSON_UPDATED"
    FACE_PERSON_DELETED = "FACE_PERSON_DELETED"
    FACE_MATCHMAKER_CREATED = "FACE_MATCHMAKER_CREATED"
    FACE_MATCHMAKER_DELETED = "FACE_MATCHMAKER_DELETED"
    FACE_MATCHMAKER_UPLOADED = "FACE_MATCHMAKER_UPLOADED"
    FACE_MATCHING_CONFIG_UPDATED = "FACE_MATCHING_CONFIG_UPDATED"
    # Rhombus has none for what follows.
    FACE_EVENT_VIEWED = "FACE_EVENT_VIEWED"
    FACE_EVENTS_SEARCHED = "FACE_EVENTS_SEARCHED"
    FACE_EVENTS_SEARCHED_BY_FACE = "FACE_EVENTS_SEARCHED_BY_FACE"
    """By likeness: to an event, a matchmaker or a template."""
    FACE_EVENTS_EXPORTED = "FACE_EVENTS_EXPORTED"
    ASSET_CREATED = "ASSET_CREATED"
    """Somebody brought a picture or clip to be looked at."""
    ASSET_DELETED = "ASSET_DELETED"
    FACE_VIEWED = "FACE_VIEWED"
    """One face in one picture, in the Gumnut contract."""
    FACES_VIEWED = "FACES_VIEWED"
    FACE_UPDATED = "FACE_UPDATED"
    FACE_DELETED = "FACE_DELETED"
    FACE_IMAGE_VIEWED = "FACE_IMAGE_VIEWED"
    FACE_IMAGE_PROCESSED = "FACE_IMAGE_PROCESSED"
    """A picture that a caller brought was looked at, and not kept."""
    FACE_MATCHMAKER_VIEWED = "FACE_MATCHMAKER_VIEWED"
    FACE_MATCHMAKERS_VIEWED = "FACE_MATCHMAKERS_VIEWED"
    FACE_UPLOAD_VIEWED = "FACE_UPLOAD_VIEWED"
    FACE_PERSON_VIEWED = "FACE_PERSON_VIEWED"
    FACE_PEOPLE_VIEWED = "FACE_PEOPLE_VIEWED"
    FACE_PERSON_LABEL_ADDED = "FACE_PERSON_LABEL_ADDED"
    FACE_PERSON_LABEL_REMOVED = "FACE_PERSON_LABEL_REMOVED"
    FACE_PERSON_MERGED = "FACE_PERSON_MERGED"
    FACE_PERSON_SPLIT = "FACE_PERSON_SPLIT"
    FACE_SUGGESTIONS_VIEWED = "FACE_SUGGESTIONS_VIEWED"
    FACE_SUGGESTION_SETTLED = "FACE_SUGGESTION_SETTLED"
    CAMERA_CREATED = "CAMERA_CREATED"
    CAMERA_UPDATED = "CAMERA_UPDATED"
    CAMERA_DELETED = "CAMERA_DELETED"
    CAMERA_PROBED = "CAMERA_PROBED"
    LOCATION_CREATED = "LOCATION_CREATED"
    LOCATION_UPDATED = "LOCATION_UPDATED"
    LOCATION_DELETED = "LOCATION_DELETED"
    ORG_CREATED = "ORG_CREATED"
    ORG_UPDATED = "ORG_UPDATED"
    API_KEY_CREATED = "API_KEY_CREATED"
    API_KEY_REVOKED = "API_KEY_REVOKED"
    AUDIT_VIEWED = "AUDIT_VIEWED"
    ACCESS_REFUSED = "ACCESS_REFUSED"
    """A key was not let in where what it asked for has no action of its own."""


class Outcome(StrEnum):
    """How a request ended."""

    DONE = "done"
    REFUSED = "refused"
    """The key may not do this."""
    INVALID = "invalid"
    """It was not what the contract says."""
    ABSENT = "absent"
    """There is nothing with this id, for this key."""
    UNDONE = "undone"
    """What was asked cannot be: a name is taken, a photo shows nobody."""
    FAILED = "failed"
    """Our fault: a store is down, or a bug."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One request of a known key.

    Ids only: no name of a person, template, picture or secret is ever among it.

    Attributes:
        id: UUIDv7, dated *at*.
        key_name: What the key was called then.
        subjects: Ids that it was about: named in the question, made, or shown as the answer.
        remote: The address at the other end of the connection; '' if unknown.
        agent: The start of its User-Agent.
        request: Its X-Request-Id.
    """

    id: AuditId
    org: OrgId
    at: datetime
    key: KeyId
    key_name: str
    action: Action
    subjects: tuple[UUID, ...]
    outcome: Outcome
    remote: str
    agent: str
    request: str


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries; None filters nothing, and all that is given must fit.

    Attributes:
        since: From this moment on.
        until: Before this moment.
    """

    since: datetime | None = None
    until: datetime | None = None
    key: KeyId | None = None
    action: Action | None = None
    subject: UUID | None = None
