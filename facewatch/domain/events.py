"""A visit and what is kept of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from facewatch.domain.faces import Landmarks, Quality, Template
from facewatch.domain.geometry import Box
from facewatch.domain.ids import AssetId, CameraId, EventId, FaceId, LocationId, OrgId, PersonId
from facewatch.domain.people import Candidate, Decision


class AssignedBy(StrEnum):
    """Who said whose face this is; a machine never overwrites an operator."""

    MATCHER = "matcher"
    """The gallery match."""
    CLUSTER = "cluster"
    """The clustering of unknown visitors."""
    OPERATOR = "operator"
    """A person at a screen or with a key."""
    ENROLMENT = "enrolment"
    """The face is an enrolled one."""


class TimeSource(StrEnum):
    """Where an event's times come from."""

    RTCP = "rtcp"
    """The camera's own clock, from its sender reports."""
    ARRIVAL = "arrival"
    """Our clock, when the frame arrived."""
    GIVEN = "given"
    """The user said when the file starts."""
    CONTAINER = "container"
    """The file's creation time."""
    FILE = "file"
    """The file's modification time."""


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotFace:
    """One face in a snapshot, in its pixels.

    Attributes:
        event: The visit that this face belongs to; None while no visit claims it.
    """

    id: FaceId
    box: Box
    landmarks: Landmarks
    quality: Quality
    event: EventId | None


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The whole frame of the best shot, with every face in it.

    Attributes:
        brought: *id* is a picture or clip that somebody brought: its row is there already, and if
            it is not, the visit goes with it.
        timestamp_ms: Where in a clip that was brought.
    """

    id: AssetId
    captured_at: datetime
    width: int
    height: int
    size_bytes: int
    sha256: bytes
    faces: tuple[SnapshotFace, ...]
    brought: bool = False
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EventRecord:
    """One version of a face event, ready to be kept.

    Attributes:
        version: Counts from 1; of one event the highest stands.
        closed: No later version will come from the pipeline.
        first_seen, last_seen, best_at: UTC.
        looks: Frames in which the face was seen.
        tracks: Associations that the visit was joined from.
        face: The best shot's row in *snapshot*.
        template: Fused from the best looks; None when no look was fit to compare.
        model: Name of the card that made *template*.
        decision: None while no look was fit to compare.
        frame_key, thumbnail_key: Object keys of whole frame and face.
        look_keys: Object keys of the best aligned crops, 112 x 112, lossless.
    """

    id: EventId
    version: int
    closed: bool
    org: OrgId
    location: LocationId
    camera: CameraId
    first_seen: datetime
    last_seen: datetime
    best_at: datetime
    time_source: TimeSource
    looks: int
    tracks: int
    face: FaceId
    snapshot: Snapshot
    template: Template | None
    model: str
    decision: Decision | None
    frame_key: str
    thumbnail_key: str
    look_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamedCandidate:
    """A candidate with the name that the person has when it is read."""

    candidate: Candidate
    name: str | None


@dataclass(frozen=True, slots=True)
class FaceEvent:
    """One visit as it is read: names are those of today.

    Attributes:
        place: Sub-locations from the location outwards to the camera's own.
        selected: The match that was chosen, by the machine or by an operator.
        quality: Of the best shot.
    """

    id: EventId
    version: int
    closed: bool
    org: OrgId
    location: LocationId
    camera: CameraId
    place: tuple[LocationId, ...]
    first_seen: datetime
    last_seen: datetime
    best_at: datetime
    has_template: bool
    quality: Quality
    frame_key: str
    thumbnail_key: str
    person: PersonId | None
    person_name: str | None
    assigned_by: AssignedBy | None
    selected: NamedCandidate | None
    candidates: tuple[NamedCandidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """A candidate of a decision, and what is left of them today.

    Attributes:
        name: Today's; None where they have none.
        stands_for: Who they are today: whom they were merged into, or they themselves.
        erased_at: When they were forgotten.
        removed_at: When the matchmaker was removed.
        picture_key: Of the matchmaker's face; None once it is gone.
    """

    candidate: Candidate
    name: str | None
    stands_for: PersonId
    erased_at: datetime | None
    removed_at: datetime | None
    picture_key: str | None


@dataclass(frozen=True, slots=True)
class Explained:
    """A visit, and everything that the answer who it is rested on.

    Attributes:
        decision: As it was made; None while no look was fit to compare.
        compared: The decision's candidates, best first.
        denied: Whom the decision struck out, because an operator had said so of a like face.
        assigned_at: When *event*'s person was settled, by whoever it was.
        erased_at: When the visit's person was forgotten, pixels and template with them.
        picture_key: Of the best look; None where there is none any more.
    """

    event: FaceEvent
    decision: Decision | None
    compared: tuple[Compared, ...]
    denied: tuple[Compared, ...]
    assigned_at: datetime | None
    erased_at: datetime | None
    picture_key: str | None


@dataclass(frozen=True, slots=True)
class SimilarEvent:
    """A visit whose face is like another.

    Attributes:
        similarity: Cosine of the two templates, -1 to 1.
    """

    event: FaceEvent
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """Which faces count as alike.

    Attributes:
        template: The face that is looked for, of unit length.
        model: Name of the embedder that made it: templates of others are not compared with it.
        least: Cosine, -1 to 1.
        least_quality: Of a visit's best shot, 0..1; None takes any.
        but: The visit that the face was taken from, which is not among the answers.
    """

    template: Template
    model: str
    least: float
    least_quality: float | None = None
    but: EventId | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which visits are wanted: those that every field lets through; None lets all through.

    Attributes:
        since, until: When the visit began, to the millisecond; both inclusive.
        locations: Locations, or sub-locations in them.
        people, names, labels: Any of these; only named persons are found by them.
        name_part: In the name, letter by letter; *names* are not looked at beside it.
        has_name: Whether the visit shows somebody who has a name.
    """

    since: datetime | None = None
    until: datetime | None = None
    cameras: frozenset[CameraId] | None = None
    locations: frozenset[LocationId] | None = None
    people: frozenset[PersonId] | None = None
    names: frozenset[str] | None = None
    name_part: str | None = None
    labels: frozenset[str] | None = None
    has_template: bool | None = None
    has_name: bool | None = None
