"""Who can be recognised, and how sure we are."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Landmarks, Quality, Template
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, EventId, FaceId, OrgId, PersonId


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody; *name* is None for an unknown who came back."""

    id: PersonId
    org: OrgId
    name: str | None
    created_at: datetime
    updated_at: datetime
    matchmakers: int = 0


@dataclass(frozen=True, slots=True)
class LastSeen:
    """The newest visit of somebody; *at* is when it ended, UTC."""

    event: EventId
    camera: CameraId
    at: datetime


@dataclass(frozen=True, slots=True)
class Profile:
    """All that is known of somebody, named or not.

    Attributes:
        matchmakers: How many faces are enrolled.
        events: How many visits, counted to ten thousand.
    """

    id: PersonId
    org: OrgId
    name: str | None
    email: str | None
    labels: tuple[str, ...]
    matchmakers: int
    events: int
    last_seen: LastSeen | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Part:
    """What of a person is somebody else's.

    Attributes:
        matched: So are the visits that the machine gave to the person because of *faces*.
    """

    events: tuple[EventId, ...]
    faces: tuple[FaceId, ...]
    matched: bool = False


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much two enrolled persons look alike, by the two faces that do most.

    Attributes:
        similarity: Cosine, -1..1.
        confidence: Calibrated, 0..1: that of naming the one for the other.
    """

    people: tuple[PersonId, PersonId]
    names: tuple[str | None, str | None]
    faces: tuple[FaceId, FaceId]
    similarity: float
    confidence: float


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A visit of nobody that resembles somebody who has a name.

    Attributes:
        at: When the visit began, UTC.
        face: The matchmaker that it resembles most.
        reason: Why it was not named, in words.
    """

    event: EventId
    camera: CameraId
    at: datetime
    thumbnail_key: str
    person: PersonId
    name: str
    face: FaceId
    similarity: float
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Confirmed:
    """A visit that an operator gave to somebody; *grey*: it was seen without colour."""

    person: PersonId
    template: Template
    grey: bool


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """How a face looks, whoever it is.

    Attributes:
        grey: It was seen without colour, as by infrared light; of photos nobody knows.
        crop_key: Its aligned face; '' where none is kept.
    """

    landmarks: Landmarks
    quality: Quality
    grey: bool
    crop_key: str


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A visit that may become a matchmaker of *person*, whose it surely is.

    Attributes:
        at: When the visit began, UTC.
        confirmed: An operator said whose it is; else the machine did, far beyond doubt.
        width_px: Of the face.
    """

    event: EventId
    camera: CameraId
    at: datetime
    thumbnail_key: str
    person: PersonId
    name: str
    confirmed: bool
    width_px: float
    view: View
    template: Template


@dataclass(frozen=True, slots=True)
class Sure:
    """What makes a visit sure and fit enough to teach by.

    Attributes:
        quality, telling: Of the best shot, 0..1.
        beyond: Least cosine above the threshold in force then, where no operator confirmed it.
        margin: Least cosine to the runner-up, likewise.
    """

    quality: float = 0.5
    telling: float = 0.5
    beyond: float = 0.1
    margin: float = 0.15


@dataclass(frozen=True, slots=True)
class Called:
    """Who somebody is, and what they are called; '' where they have no name."""

    id: PersonId
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Matchmaker:
    """One enrolled face of a person, as the gallery needs it."""

    face: FaceId
    person: PersonId
    org: OrgId
    template: Template


@dataclass(frozen=True, slots=True, eq=False)
class GalleryChange:
    """What came into a gallery, or is somebody else's now, and what went.

    Ids are their bytes, S16: of a million no object is made. numpy takes NULs off the end of such
    bytes; `id_of` puts them back.

    Attributes:
        faces, persons: (n,) of what came.
        templates: (n, d).
        went: (m,) faces that are enrolled no more, or have no template.
    """

    faces: NDArray[np.bytes_]
    persons: NDArray[np.bytes_]
    templates: NDArray[np.float32]
    went: NDArray[np.bytes_]


def id_of(key: bytes) -> UUID:
    """
    >>> id_of(b"\\1" * 15).hex[-4:]
    '0100'
    """
    return UUID(bytes=key.ljust(16, b"\0"))


@dataclass(frozen=True, slots=True, eq=False)
class Refusal:
    """A face that an operator said is not somebody's.

    Attributes:
        person: Whose it is not; None: it is no face at all, as *camera* sees it.
    """

    person: PersonId | None
    camera: CameraId | None
    template: Template


@dataclass(frozen=True, slots=True)
class FaceNote:
    """What is known of an enrolled face.

    Attributes:
        corrected: How many visits the machine gave to its person by it, and an operator took away.
    """

    quality: Quality
    corrected: int


@dataclass(frozen=True, slots=True)
class EnrolledFace:
    """A matchmaker as it is listed; *uploaded* is False for a copy of a sighting."""

    face: FaceId
    person: PersonId
    org: OrgId
    created_at: datetime
    uploaded: bool


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """The best shot of a visit, as a matchmaker is copied from it.

    Attributes:
        at: When it was captured, UTC.
        box, landmarks: Pixels of the whole frame.
        thumbnail_key: '' once its pixels were erased.
        crop_key: The best aligned crop; None while the visit goes on.
        template: None when no look was fit to compare, or another model made it.
    """

    event: EventId
    face: FaceId
    at: datetime
    box: Box
    landmarks: Landmarks
    quality: Quality
    thumbnail_key: str
    crop_key: str | None
    template: Template | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One matchmaker that a probe resembles; *similarity* is the cosine, -1..1."""

    face: FaceId
    person: PersonId
    similarity: float


@dataclass(frozen=True, slots=True)
class Resemblance:
    """How much a probe is like one person, by all of their matchmakers.

    Attributes:
        similarity: Of one matchmaker its cosine; of several the mean of the best one's and that
            of the template fused from all of them, -1..1.
        face: The matchmaker that is most like it.
        best: Cosine of *face* alone.
        matchmakers: How many there are.
    """

    person: PersonId
    face: FaceId
    similarity: float
    best: float
    matchmakers: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One person that a probe resembles.

    Attributes:
        face: The matchmaker that is most like it.
        similarity: By all of their matchmakers, -1..1: see `Resemblance`.
        confidence: Calibrated, 0..1.
        best: Cosine of *face* alone; None in records of before it was kept.
        matchmakers: How many there were; None in records of before it was kept.
    """

    person: PersonId
    face: FaceId
    similarity: float
    confidence: float
    best: float | None = None
    matchmakers: int | None = None


class SettledBy(StrEnum):
    """Whose threshold was in force."""

    SETTINGS = "settings"
    """`recognition.threshold`."""
    GREY = "grey"
    """`recognition.grey_threshold`: without colour, and no calibration for that was measured."""
    ORG = "org"
    """The org's own."""
    CAMERA = "camera"
    """The camera's own, which goes before all others."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Who a visit's template was decided to be, and everything that the answer rested on.

    Attributes:
        person: None means unknown.
        candidates: Best first.
        confidence: Of the best candidate; None without one.
        margin: Cosine between the best person and the runner-up; None without a runner-up.
        threshold: Confidence in force, 0..1.
        threshold_similarity: The same as a cosine, at this gallery.
        model: Digest of the embedder (sha256, hex).
        calibration: Version of the mapping from cosine to confidence.
        gallery_revision: Which state of the gallery was searched.
        gallery_people: How many people it held.
        reason: Why nobody was named, in words; empty when somebody was.
        settled_by: Where *threshold* comes from; None in records of before it was kept, as below.
        grey: The visitor was seen without colour, as by infrared light.
        quality: Of the best look that was compared.
        denied: Whom it resembles, and at least as much a face that an operator said is not theirs.
    """

    person: PersonId | None
    candidates: tuple[Candidate, ...]
    confidence: float | None
    margin: float | None
    threshold: float
    threshold_similarity: float
    model: str
    calibration: str
    gallery_revision: int
    gallery_people: int
    reason: str = ""
    settled_by: SettledBy | None = None
    grey: bool | None = None
    quality: Quality | None = None
    denied: tuple[Candidate, ...] = ()
