"""Faces and persons as a library of pictures shows them."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum, StrEnum, auto

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.geometry import Box
from facewatch.domain.ids import AssetId, CameraId, FaceId, OrgId, PersonId


@dataclass(frozen=True, slots=True)
class LibraryFace:
    """One face in one picture.

    Attributes:
        box: Whole pixels of the asset, inside of it.
        score: The detector's own, 0..1.
        timestamp_ms: Where in a clip; None in a picture.
        updated_at: UTC.
        thumbnail_key: Object key of the face cut out; '' where it was not kept by itself.
        asset_key: Of the whole picture; '' once its pixels were erased.
    """

    id: FaceId
    asset: AssetId
    box: Box
    score: float
    person: PersonId | None
    timestamp_ms: int | None
    updated_at: datetime
    thumbnail_key: str
    asset_key: str

    @property
    def has_pixels(self) -> bool:
        return bool(self.thumbnail_key or self.asset_key)


@dataclass(frozen=True, slots=True)
class FaceFilter:
    """Which faces are wanted: those that every field lets through; None lets all through."""

    ids: frozenset[FaceId] | None = None
    asset: AssetId | None = None
    person: PersonId | None = None


@dataclass(frozen=True, slots=True)
class Nearby:
    """Somebody whose faces are near; *distance* is 1 - cosine to the middle of them, 0..2."""

    person: PersonId
    name: str | None
    distance: float


@dataclass(frozen=True, slots=True)
class Fit:
    """How a face fits its person, and who else is near.

    Attributes:
        distance: As that of `Nearby`; None where it is nobody's, or cannot be compared.
        others: Nearest first, without its person.
    """

    distance: float | None
    others: tuple[Nearby, ...]


@dataclass(frozen=True, slots=True)
class Portrait:
    """Somebody, named or not.

    Attributes:
        assets: In how many pictures; counted among ten thousand faces.
        face: The one that stands for them.
    """

    id: PersonId
    name: str | None
    birth_date: date | None
    hidden: bool
    favourite: bool
    assets: int
    face: LibraryFace | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class PortraitFilter:
    """Who is wanted: those whom every field lets through; None lets all through.

    Attributes:
        name_part: In the name, whatever its case.
        asset: They are in this picture.
    """

    ids: frozenset[PersonId] | None = None
    named: bool | None = None
    hidden: bool | None = None
    name_part: str | None = None
    asset: AssetId | None = None


@dataclass(frozen=True, slots=True)
class Cohesion:
    """How tight somebody's faces lie together: 1 - cosine between two of them.

    Attributes:
        faces: How many there are, counted to ten thousand.
    """

    pairwise_mean: float
    pairwise_p90: float
    faces: int


class AssetKind(StrEnum):
    """What an asset is."""

    SNAPSHOT = "snapshot"
    """A camera's picture, as it was when somebody was there."""
    CLIP = "clip"
    """A video that was sent."""
    PHOTO = "photo"
    """A picture that was sent, to enrol somebody or to be looked at."""


class IntakeState(StrEnum):
    """How far a file that was brought has been looked at."""

    PENDING = "pending"
    """Its turn has not come yet."""
    STARTED = "started"
    """It is being looked at."""
    SUCCESS = "success"
    """It was looked at, as far as it can be read."""
    FAILURE = "failure"
    """It cannot be looked at; the file is kept all the same."""


@dataclass(frozen=True, slots=True)
class Brought:
    """A file that somebody brought: what they told of it, and how far it has been looked at.

    Attributes:
        device, device_asset: In the words of whoever brought it.
        created_at, modified_at: The file, on the device; UTC.
        sha1: Of its bytes.
        percent: Of it that was looked at.
        said: Why it failed, or what of it could not be read; '' where there is nothing to say.
    """

    device: str
    device_asset: str
    created_at: datetime
    modified_at: datetime
    sha1: bytes
    state: IntakeState = IntakeState.PENDING
    percent: float = 0.0
    said: str = ""


@dataclass(frozen=True, slots=True)
class NewAsset:
    """A picture or clip that is brought, with its pixels where the keys say.

    Attributes:
        duration_ms: Of a clip, where its container tells.
        still_key: Of a clip: its first picture, as JPEG.
    """

    id: AssetId
    org: OrgId
    kind: AssetKind
    camera: CameraId
    captured_at: datetime
    time_zone: str
    width: int
    height: int
    duration_ms: int | None
    size_bytes: int
    sha256: bytes
    mime: str
    file_name: str
    key: str
    still_key: str
    brought: Brought


@dataclass(frozen=True, slots=True)
class Asset:
    """A whole picture or clip, and who is in it.

    Attributes:
        camera: None for an enrolment photo.
        captured_at: UTC; *time_zone* (IANA) is that of the place.
        duration_ms: Of a clip, where its container tells.
        key: Of the object; '' once its pixels were erased.
        still_key: Of a clip's first picture; '' in all else.
        brought: Of what somebody brought to be looked at.
    """

    id: AssetId
    kind: AssetKind
    camera: CameraId | None
    captured_at: datetime
    time_zone: str
    width: int
    height: int
    size_bytes: int
    sha256: bytes
    mime: str
    duration_ms: int | None
    file_name: str
    key: str
    still_key: str
    brought: Brought | None
    created_at: datetime
    updated_at: datetime
    faces: tuple[LibraryFace, ...]
    people: tuple[Portrait, ...]


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which pictures are wanted: those that every field lets through; None lets all through.

    Attributes:
        people: All of them are in it.
        after, before: When it was captured, both exclusive; without an offset by the clock of the
            place.
        is_clip: A clip, or a picture.
    """

    people: frozenset[PersonId] | None = None
    after: datetime | None = None
    before: datetime | None = None
    is_clip: bool | None = None


class Sorting(Enum):
    """In which order persons are listed."""

    NEWEST = auto()
    OLDEST = auto()
    NAME = auto()
    """As people sort names; those without one come last, here and backwards."""
    NAME_BACKWARDS = auto()
    FEWEST_ASSETS = auto()
    MOST_ASSETS = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """What a picture is to look like, as a vector of *model* says it.

    Attributes:
        model: As `ports.library.PictureVectors.want` numbers it.
        vector: Of unit length.
        farthest: 1 - cosine, 0..2: pictures beyond are none.
    """

    model: int
    vector: NDArray[np.float32]
    farthest: float


@dataclass(frozen=True, slots=True)
class Unseen:
    """An asset that a model has not looked at.

    Attributes:
        kind: None where it is gone meanwhile.
        key: Of the object; '' where it is gone, or its pixels were erased.
    """

    asset: AssetId
    kind: AssetKind | None
    key: str
