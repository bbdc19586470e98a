"""Photos that were sent to become matchmakers."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from facewatch.domain.ids import FaceId, OrgId, PersonId

FORGOTTEN = "the person was deleted meanwhile; create them again first"
TWICE = "this person has this very photo already; send another one"


class UploadState(StrEnum):
    """What became of a photo that was sent."""

    WAITING = "waiting"
    """Its turn has not come yet."""
    ENROLLED = "enrolled"
    """It is a matchmaker."""
    REFUSED = "refused"
    """It is not fit to be compared, or nobody is called so; its pixels are gone."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One photo that was sent.

    Attributes:
        face: The id that the matchmaker will have: a photo cannot be enrolled twice.
        person_name: Who is to be enrolled with it.
        person: Who that is, once it is known.
        create_person: Whether somebody is made where nobody is called so.
        key: Of the object; '' once its pixels were erased.
        why: Why it was refused, in words.
        warning: What somebody should look at; '' where there is nothing.
        tries: How often it has been taken in hand; more than once after a crash.
    """

    face: FaceId
    org: OrgId
    transaction: str
    file_name: str
    person_name: str
    person: PersonId | None
    create_person: bool
    key: str
    mime: str
    size_bytes: int
    pixels: int
    created_at: datetime
    state: UploadState = UploadState.WAITING
    why: str = ""
    warning: str = ""
    tries: int = 0
