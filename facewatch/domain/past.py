"""What was seen and enrolled, as it is needed to decide or to embed it again."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from facewatch.domain.events import AssignedBy
from facewatch.domain.faces import Template
from facewatch.domain.ids import CameraId, EventId, FaceId, PersonId
from facewatch.domain.people import Called


@dataclass(frozen=True, slots=True, eq=False)
class PastVisit:
    """A visit that was decided.

    Attributes:
        at: When it began, UTC.
        person: Whose it is today; None is nobody's.
        compared: It was compared with the gallery, then.
        quality: Of the best look that was compared, or of the best shot of older records.
        grey: It was seen without colour.
        camera_threshold: The camera's own, as it is today.
        crop_keys: Object keys of the best aligned crops; none while the visit goes on.
        template: Of the model that was asked for; None where there is none.
    """

    event: EventId
    face: FaceId
    camera: CameraId
    at: datetime
    person: Called | None
    assigned_by: AssignedBy | None
    closed: bool
    compared: bool
    quality: float
    grey: bool
    camera_threshold: float | None
    crop_keys: tuple[str, ...]
    template: Template | None


@dataclass(frozen=True, slots=True, eq=False)
class PastMatchmaker:
    """A matchmaker, with the crop that it was made from; *template* as of `PastVisit`."""

    face: FaceId
    person: PersonId
    crop_key: str | None
    template: Template | None


class Change(StrEnum):
    """What another rule or model would make of a visit's name."""

    SAME = "same"
    """Nothing: the same name, or none again."""
    GAINED = "gained"
    """It would have a name."""
    LOST = "lost"
    """It would have none any more."""
    CHANGED = "changed"
    """It would have another one."""
    SETTLED = "settled"
    """Nothing: an operator said whose it is, and the answer would be the same."""
    CONTRADICTED = "contradicted"
    """Nothing: an operator said whose it is, and the answer would be another."""
    UNCOMPARABLE = "uncomparable"
    """There is nothing (any more) to compare."""


UNLIKE_BEFORE = (Change.GAINED, Change.LOST, Change.CHANGED, Change.CONTRADICTED)
"""The answer would be another one."""


@dataclass(frozen=True, slots=True)
class Reconsidered:
    """A visit decided again.

    Attributes:
        before, after: Whom it is named after; '' is nobody.
        confidence, similarity: Of the best candidate, now; None without one.
        reason: Why nobody would be named, in words.
    """

    event: EventId
    camera: CameraId
    at: datetime
    change: Change
    before: str
    after: str
    confidence: float | None = None
    similarity: float | None = None
    reason: str = ""
