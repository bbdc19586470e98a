"""Every seam of the house on one page: what floor 2 promises to the floors above it."""

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol, TypedDict
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.audit import AuditEntry, AuditFilter, AuditId
from facewatch.domain.calibration import Calibration
from facewatch.domain.cameras import Camera, CameraStatus, Location
from facewatch.domain.events import (
    EventFilter,
    EventRecord,
    Explained,
    FaceEvent,
    Likeness,
    SimilarEvent,
    TimeSource,
)
from facewatch.domain.faces import Detection, Landmarks, Pixels, Quality, Seen, Template
from facewatch.domain.geometry import Box
from facewatch.domain.ids import (
    AssetId,
    CameraId,
    EventId,
    FaceId,
    KeyId,
    LocationId,
    OrgId,
    PersonId,
)
from facewatch.domain.library import (
    Asset,
    AssetFilter,
    Cohesion,
    FaceFilter,
    Fit,
    LibraryFace,
    Portrait,
    PortraitFilter,
)
from facewatch.domain.past import PastMatchmaker, PastVisit
from facewatch.domain.people import (
    Called,
    EnrolledFace,
    FaceNote,
    Hit,
    Matchmaker,
    NearMiss,
    Part,
    Person,
    Profile,
    Refusal,
    Resemblance,
    Sighting,
    Sure,
    Teacher,
    View,
)
from facewatch.domain.uploads import Upload

# --- pictures and streams ---------------------------------------------------------------------


class Picture(Protocol):
    """One decoded picture; nothing is converted before it is asked for.

    Called from the engine's thread only.
    """

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    def fit(self, width: int, height: int) -> Pixels:
        """The whole picture scaled to exactly *width* x *height*, in one pass."""
        ...

    def cut(self, box: Box) -> tuple[Pixels, tuple[int, int]]:
        """The part inside *box*, clipped to the picture, at full size, and its left and top.

        Whole pixels; it may be up to two pixels larger than asked (chroma is subsampled).
        """
        ...

    def full(self) -> Pixels:
        """The whole picture at full size."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame that will be looked at.

    Attributes:
        sequence: Counts the frames of this source; gaps are frames that nobody looked at.
        at: When it was captured, UTC.
        t_s: Presentation time in the stream's own seconds.
    """

    camera: CameraId
    sequence: int
    at: datetime
    t_s: float
    time_source: TimeSource
    picture: Picture


class Source(Protocol):
    """A camera or a file."""

    def frames(self, stop: threading.Event) -> Iterator[Frame]:
        """The frames to look at, until the stream ends or *stop* is set.

        Blocks; runs in the reader thread of its camera. Use once.

        Raises:
            CameraRefused: wrong password, or no such path.
            CameraUnreachable: nobody answers, or the camera hung up.
            CameraStalled: connected, and silent for longer than the read timeout.
            UnreadableStream: no video in it, or nothing that can be decoded.
        """
        ...

    @property
    def received(self) -> int:
        """Frames decoded or skipped so far; rises while the camera lives. Any thread."""
        ...


# --- vision -----------------------------------------------------------------------------------


class Engine(Protocol):
    """Finds and embeds faces. Blocks; one thread at a time."""

    @property
    def model(self) -> str:
        """Name of the embedder's card: templates of different models never meet."""
        ...

    @property
    def model_digest(self) -> str:
        """sha256 of the embedder's file, hex."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def calibration(self) -> Calibration: ...

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Every face of each picture, boxes and landmarks in that picture's own pixels."""
        ...

    def watch(self, pictures: Sequence[Picture]) -> list[Seen]:
        """As `detect`, with the scene of each picture."""
        ...

    def promise(self, detection: Detection) -> float:
        """The best overall quality that a closer look at this face could find."""
        ...

    def align(self, picture: Picture, landmarks: Landmarks) -> Pixels:
        """The 112 x 112 crop that the embedder wants, cut from the full-size picture."""
        ...

    def quality(self, detection: Detection, crop: Pixels) -> Quality:
        """How much this look is worth comparing."""
        ...

    def embed(self, crops: Sequence[Pixels]) -> NDArray[np.float32]:
        """(n, d), rows of unit length, in the order of *crops*."""
        ...

    def embed_telling(
        self, crops: Sequence[Pixels]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `embed`, and (n,) how much each template tells about who it is, 0..1."""
        ...


class Embedder(Protocol):
    """Embeds aligned faces. Blocks; one thread at a time."""

    @property
    def model(self) -> str:
        """Name of its card."""
        ...

    def embed_telling(
        self, crops: Sequence[Pixels]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `Engine.embed_telling`."""
        ...


class Encoder(Protocol):
    """Pictures to bytes. Blocks; any thread."""

    def jpeg(self, pixels: Pixels, quality: int) -> bytes: ...

    def png(self, pixels: Pixels) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PhotoHeader:
    """What the first bytes of a photo say; width and height as it lies there, not yet turned."""

    mime: str
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


# --- gallery ----------------------------------------------------------------------------------


class Gallery(Protocol):
    """The enrolled templates of every org, in memory. Any thread."""

    def search(self, org: OrgId, probe: NDArray[np.float32], limit: int) -> list[Hit]:
        """The matchmakers most like *probe* (d,), best first."""
        ...

    def resembling(self, org: OrgId, probe: NDArray[np.float32], limit: int) -> list[Resemblance]:
        """The people most like *probe* (d,) by all of their matchmakers, best first."""
        ...

    def people(self, org: OrgId) -> int:
        """How many people of *org* are enrolled."""
        ...

    def revision(self, org: OrgId) -> int:
        """Which state of the table is in force here."""
        ...

    def refused(
        self, org: OrgId, probe: NDArray[np.float32], camera: CameraId | None
    ) -> Mapping[PersonId | None, float]:
        """How much *probe* is like faces that are not somebody's, the most alike of each.

        None stands for what is no face as *camera* sees it.
        """
        ...

    def replace(
        self,
        org: OrgId,
        revision: int,
        matchmakers: Sequence[Matchmaker],
        refusals: Sequence[Refusal] = (),
    ) -> None:
        """Put the whole gallery of *org* in force at once."""
        ...


# --- keeping ----------------------------------------------------------------------------------


class Blobs(Protocol):
    """The object store."""

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """Durable when it returns; the same key again replaces.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...

    async def put_all(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
        """`put` for many at once: key, body and content type of each; they share its cost.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...

    async def get(self, key: str) -> bytes:
        """
        Raises:
            NotFound: no object has this key.
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Gone when it returns; a key that is not there is no error."""
        ...

    async def ready(self) -> str:
        """Where pixels are kept, in words for an operator, once it has answered.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SpooledEvent:
    """An event with its pixels on the local disk, on its way to the stores.

    Attributes:
        place: Rises with each record; how the spool is told what was delivered.
        pictures: Object key -> bytes.
    """

    place: int
    record: EventRecord
    pictures: Mapping[str, bytes]


class Spool(Protocol):
    """Where events are safe before Postgres and the object store have them."""

    async def add(self, record: EventRecord, pictures: Mapping[str, bytes]) -> None:
        """Durable (fsync) when it returns; many calls share one fsync.

        Raises:
            SpoolFull: the bound is reached by events that may not be dropped.
        """
        ...

    async def oldest(self, limit: int) -> list[SpooledEvent]:
        """The oldest undelivered events, in the order of `add`; waits while there are none."""
        ...

    async def delivered(self, places: Sequence[int]) -> None:
        """Forget these: the stores have them."""
        ...

    async def set_aside(self, place: int) -> None:
        """The stores will never take this one: keep it for a person to look at, and go on."""
        ...

    async def drained(self) -> None:
        """Wait until no event waits any more."""
        ...

    @property
    def backlog(self) -> int:
        """How many events wait."""
        ...


class FaceEvents(Protocol):
    """The event log."""

    async def add(self, records: Sequence[EventRecord]) -> None:
        """Record; of one id the highest version stands, and repeating it changes nothing.

        Raises:
            RecordRefused: one of *records* can never be taken; none was.
            DatabaseUnavailable: Postgres does not answer.
        """
        ...

    async def get(self, org: OrgId, event: EventId) -> FaceEvent:
        """One event.

        Raises:
            NotFound: *org* has none with this id.
        """
        ...

    async def find(
        self, org: OrgId, wanted: EventFilter, limit: int, before: EventId | None = None
    ) -> list[FaceEvent]:
        """Newest visit first, from just after *before*; fewer than *limit* only at the end."""
        ...

    async def assign(
        self, org: OrgId, event: EventId, person: PersonId | None, name: str = ""
    ) -> None:
        """An operator says whose visit it is; no machine overwrites that.

        *name* decides where *person* is none of the event's candidates; whoever it names is
        made if nobody is called so. Without both, the visit is nobody's.

        Raises:
            NotFound: *org* has no such event, or no named person of this id.
            InvalidRequest: *name* cannot be a name.
        """
        ...

    async def deny(self, org: OrgId, event: EventId, person: PersonId | None) -> None:
        """An operator says that the visit is not *person*'s, or whose it is; again changes nothing.

        It is nobody's then if it was theirs. Running workers follow: who is at least as like to
        this face as to the person's own is not named for them.

        Raises:
            NotFound: *org* has no such event, or nobody with this id.
            UnusableValue: no *person*, and the visit is nobody's.
        """
        ...

    async def no_face(self, org: OrgId, event: EventId) -> None:
        """An operator says that it shows no face: it is removed, and its templates are remembered.

        Running workers name nobody at its camera who is at least as like to it. Again changes
        nothing.

        Raises:
            NotFound: *org* has no such event.
        """
        ...

    async def face_after_all(self, org: OrgId, event: EventId) -> None:
        """Takes `no_face` back as far as it goes: the templates are forgotten.

        Raises:
            NotFound: nobody said so of this event of *org*.
        """
        ...

    async def remove(self, org: OrgId, event: EventId) -> None:
        """Gone, with its pixels and templates; a late version does not bring it back.

        Raises:
            NotFound: *org* has none with this id.
        """
        ...


class Decisions(Protocol):
    """What the answer who a visit is rested on."""

    async def explain(self, org: OrgId, event: EventId) -> Explained:
        """
        Raises:
            NotFound: *org* has no such event.
        """
        ...


class SimilarEvents(Protocol):
    """Visits by how they look: every template of every visit there is."""

    async def template_of(self, org: OrgId, event: EventId, model: str) -> Template | None:
        """Of the best shot; None where there is none of *model* (any more).

        Raises:
            NotFound: *org* has no such event.
        """
        ...

    async def template_enrolled(self, org: OrgId, face: FaceId, model: str) -> Template | None:
        """Of a matchmaker; None where there is none of *model*.

        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        ...

    async def find(
        self,
        org: OrgId,
        like: Likeness,
        wanted: EventFilter,
        limit: int,
        before: EventId | None = None,
    ) -> list[SimilarEvent]:
        """Every visit that is alike and *wanted*, newest first, from just after *before*.

        Fewer than *limit* only at the end.
        """
        ...


class Past(Protocol):
    """Visits and matchmakers with their crops, to be decided or embedded again."""

    async def visits(
        self,
        org: OrgId,
        model: str,
        limit: int,
        *,
        since: datetime | None = None,
        camera: CameraId | None = None,
        before: EventId | None = None,
    ) -> list[PastVisit]:
        """Newest first, from just after *before*, with the template of *model* if there is one."""
        ...

    async def matchmakers(
        self, org: OrgId, model: str, limit: int, after: FaceId | None = None
    ) -> list[PastMatchmaker]:
        """By id, from just behind *after*, with the template of *model* if there is one."""
        ...

    async def put(
        self, org: OrgId, model: str, templates: Sequence[tuple[FaceId, Template]]
    ) -> None:
        """What *model* makes of these faces; nothing is kept of whoever was erased meanwhile."""
        ...

    async def put_gallery_in_force(self, org: OrgId) -> None:
        """Its matchmakers have other templates: running workers load them."""
        ...

    async def tell_of_model(self, model: str) -> None:
        """Running services load *model*."""
        ...


class Cameras(Protocol):
    """The cameras that are configured."""

    async def all(self, org: OrgId | None = None) -> list[Camera]: ...

    async def by_name(self, org: OrgId, name: str) -> Camera:
        """
        Raises:
            NotFound: *org* has no camera of this name.
        """
        ...

    async def get(self, org: OrgId, camera: CameraId) -> Camera:
        """
        Raises:
            NotFound: *org* has no such camera.
        """
        ...

    async def page(
        self,
        org: OrgId,
        limit: int,
        after: CameraId | None = None,
        locations: Sequence[LocationId] = (),
    ) -> list[Camera]:
        """The oldest first, from just behind *after*; only those in *locations* if it holds any."""
        ...

    async def add(self, camera: Camera) -> None:
        """
        Raises:
            AlreadyExists: the org has a camera of this name.
            InvalidRequest: its name is blank, or its sub-location lies in another location.
            NotFound: the org has no such location.
        """
        ...

    async def change(self, camera: Camera) -> None:
        """Another name, URL, password, transport, place or threshold for one that stays the same.

        Raises:
            AlreadyExists: another camera of the org has this name.
            InvalidRequest: its name is blank, or its sub-location lies in another location.
            NotFound: the org has no such camera, or no such location.
        """
        ...

    async def remove(self, org: OrgId, camera: CameraId) -> None:
        """Stops being watched; its events stay.

        Raises:
            NotFound: *org* has no such camera.
        """
        ...


class LocationChanges(TypedDict, total=False):
    """What changes of a location: a key that is not there is left alone."""

    name: str
    time_zone: str
    parent: LocationId | None


class Locations(Protocol):
    """Where cameras hang: locations, and trees of sub-locations in them."""

    async def page(self, org: OrgId, limit: int, after: LocationId | None = None) -> list[Location]:
        """Locations and sub-locations, the oldest first, from just behind *after*."""
        ...

    async def get(self, org: OrgId, location: LocationId) -> Location:
        """
        Raises:
            NotFound: *org* has no such location or sub-location.
        """
        ...

    async def first(self, org: OrgId) -> LocationId:
        """The oldest: where a camera hangs of which nobody says where."""
        ...

    async def add(self, location: Location) -> None:
        """
        Raises:
            AlreadyExists: there is one of this name beside it.
            InvalidRequest: no such time zone, or the sub-locations would be too deep.
            NotFound: *org* has no such parent.
        """
        ...

    async def change(self, org: OrgId, location: LocationId, changes: LocationChanges) -> Location:
        """As it is then. Past events keep the place that they were seen in.

        Raises:
            AlreadyExists: there is one of this name beside it.
            InvalidRequest: it cannot be moved there, or there is no such time zone.
            NotFound: *org* has no such location, or no such parent.
        """
        ...

    async def remove(self, org: OrgId, location: LocationId) -> None:
        """It can be chosen no more; events that were seen there keep its id.

        Raises:
            InUse: cameras hang there, it has sub-locations, or the org has no other.
            NotFound: *org* has no such location.
        """
        ...


class CameraStatuses(Protocol):
    """How the cameras are, for whoever asks from another process."""

    async def report(self, statuses: Sequence[CameraStatus]) -> None:
        """The newest report of a camera stands."""
        ...

    async def all(self, org: OrgId) -> list[CameraStatus]:
        """Those that were reported within the last seconds: the others nobody watches."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Enrolment:
    """A face ready to become a matchmaker.

    Attributes:
        face: The id that the matchmaker will have.
        photo: The photo's own bytes, as they came.
        thumbnail: The face, JPEG.
        crop: Aligned, 112 x 112, PNG.
        digest: sha256 of *photo*: the same photo again is noticed.
        origin: What it is a copy of; None for a photo that somebody brought.
    """

    face: FaceId
    photo: bytes
    content_type: str
    file_name: str
    width: int
    height: int
    digest: bytes
    detection: Detection
    quality: Quality
    thumbnail: bytes
    crop: bytes
    template: NDArray[np.float32]
    model: str
    origin: Sighting | None = None


@dataclass(frozen=True, slots=True)
class PhotoKeys:
    """Object keys of an enrolment photo's pictures; *crop* is None where there is none."""

    photo: str
    thumbnail: str
    crop: str | None

    @property
    def all(self) -> list[str]:
        return [key for key in (self.photo, self.thumbnail, self.crop) if key]


class PersonChanges(TypedDict, total=False):
    """What changes of a person: a key that is not there is left alone, None clears."""

    name: str | None
    email: str | None


class People(Protocol):
    """Persons and their matchmakers."""

    async def all(self, org: OrgId) -> list[Person]:
        """Named persons, by name."""
        ...

    async def named(self, org: OrgId, name: str) -> Person:
        """
        Raises:
            NotFound: *org* has nobody of this name.
        """
        ...

    async def get(self, org: OrgId, person: PersonId) -> Person:
        """A person who has a name.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        ...

    async def create(self, org: OrgId, name: str) -> Person:
        """
        Raises:
            AlreadyExists: *org* has somebody of this name.
        """
        ...

    async def change(self, org: OrgId, person: PersonId, changes: PersonChanges) -> Person:
        """Somebody who has a name, as they are then; without changes they only count as updated.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
            AlreadyExists: somebody else has the new name.
        """
        ...

    async def add_label(self, org: OrgId, person: PersonId, label: str) -> None:
        """Adding it again changes nothing.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        ...

    async def remove_label(self, org: OrgId, person: PersonId, label: str) -> None:
        """A label that the person has not is no error.

        Raises:
            NotFound: *org* has nobody with this id who has a name.
        """
        ...

    async def labels(self, org: OrgId) -> dict[PersonId, list[str]]:
        """Of named persons who have any, in alphabetical order."""
        ...

    async def has_photo(self, org: OrgId, person: PersonId, digest: bytes) -> bool:
        """Whether this very photo is one of the person's matchmakers already."""
        ...

    async def photo_owners(self, org: OrgId, digests: Sequence[bytes]) -> dict[bytes, list[Called]]:
        """By sha256, whose matchmakers these very photos are."""
        ...

    async def templates(
        self, org: OrgId, people: Sequence[PersonId], model: str
    ) -> dict[PersonId, list[NDArray[np.float32]]]:
        """What *model* made of their matchmakers; nobody is there who has none."""
        ...

    async def holding(self, org: OrgId, faces: Sequence[FaceId]) -> dict[FaceId, PersonId]:
        """Whose matchmakers these are today; one that was deleted is not there."""
        ...

    async def of_names(self, org: OrgId, names: Sequence[str]) -> dict[str, PersonId]:
        """Who is called so; a name that nobody has is not there."""
        ...

    async def standing(self, org: OrgId, people: Sequence[PersonId]) -> dict[PersonId, Called]:
        """Who *people* are now, merged or not; whoever is gone is not there."""
        ...

    async def enrol(
        self, org: OrgId, person: PersonId, enrolment: Enrolment, keys: PhotoKeys
    ) -> Matchmaker:
        """Add a matchmaker: asset, face, template, and a new gallery revision, at once.

        Raises:
            NotFound: *org* has no such person.
            AlreadyExists: the person has a matchmaker of this very sighting.
            UnusablePhoto: the sighting was erased meanwhile.
        """
        ...

    async def sighting(self, org: OrgId, event: EventId, model: str) -> Sighting:
        """The best shot of a visit, with its template of *model*.

        Raises:
            NotFound: *org* has no such event.
        """
        ...

    async def matchmaker(self, org: OrgId, face: FaceId) -> EnrolledFace:
        """
        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        ...

    async def matchmakers(self, org: OrgId, person: PersonId | None = None) -> list[EnrolledFace]:
        """Those of one person, or of everybody who has a name; newest first."""
        ...

    async def remove_matchmaker(self, org: OrgId, face: FaceId) -> list[str]:
        """Erase one matchmaker; its person and past events stay as they are.

        Returns:
            Object keys whose pixels must go.

        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        ...

    async def forget(self, org: OrgId, person: PersonId) -> list[str]:
        """Erase the person, matchmakers and templates of their past; events become unnamed.

        Returns:
            Object keys whose pixels must go.
        """
        ...

    async def gallery(self, org: OrgId, model: str) -> tuple[int, list[Matchmaker]]:
        """The revision in force and every matchmaker with a template of *model*."""
        ...

    async def notes(self, org: OrgId) -> dict[FaceId, FaceNote]:
        """What is known of each matchmaker."""
        ...

    async def refusals(self, org: OrgId, model: str) -> list[Refusal]:
        """What operators said is not somebody's, or no face: the newest, ten thousand of each."""
        ...

    async def confirmed(
        self, org: OrgId, model: str, limit: int
    ) -> list[tuple[PersonId, NDArray[np.float32]]]:
        """The newest visits that an operator gave to somebody, with a template of *model*."""
        ...


class ProfileChanges(PersonChanges, total=False):
    """What changes of somebody, named or not; *labels* are all that there are then."""

    labels: Sequence[str]


class Clusters(Protocol):
    """Unknown visitors who came back, kept as persons without a name."""

    async def step(self) -> bool:
        """Compare the oldest visit that closed unknown and waits with those before it.

        Once for each visit, in whichever process; an operator's word stays. A visit that surely
        is somebody's who was seen before, and whom nobody named, is theirs from then on.

        Returns:
            Whether there was one that no other process is at.

        Raises:
            DatabaseUnavailable: Postgres does not answer; nothing was done.
        """
        ...


class Register(Protocol):
    """Persons with and without a name, and who of them is the same human.

    An id that was merged means the person that it was merged into.
    """

    async def named(
        self, org: OrgId, limit: int, before: PersonId | None = None, prefix: str | None = None
    ) -> list[Profile]:
        """Newest first; those whose name begins with *prefix*, whatever its case."""
        ...

    async def unnamed(
        self, org: OrgId, limit: int, before: PersonId | None = None
    ) -> list[Profile]:
        """Unknowns who came back, and whoever lost their name; newest first."""
        ...

    async def get(self, org: OrgId, person: PersonId) -> Profile:
        """
        Raises:
            NotFound: *org* has nobody with this id.
        """
        ...

    async def create(
        self, org: OrgId, name: str, email: str | None = None, labels: Sequence[str] = ()
    ) -> PersonId:
        """
        Raises:
            AlreadyExists: *org* has somebody of this name.
        """
        ...

    async def change(self, org: OrgId, person: PersonId, changes: ProfileChanges) -> None:
        """
        Raises:
            NotFound: *org* has nobody with this id.
            AlreadyExists: somebody else has the new name.
        """
        ...

    async def merge(
        self, org: OrgId, into: PersonId, others: Sequence[PersonId], name: str | None = None
    ) -> PersonId:
        """All of *others* becomes *into*'s, who is called *name* then, or as before.

        Matchmakers, visits and labels go over; the ids of *others* mean *into* from then on.
        Whoever is *into* already changes nothing. Running workers follow.

        Returns:
            Whom *into* means.

        Raises:
            NotFound: *org* has nobody with one of these ids, or they were erased.
            UnusableValue: *into* is one of *others*.
            AlreadyExists: somebody else is called *name*.
        """
        ...

    async def split(
        self, org: OrgId, person: PersonId, part: Part, to: PersonId | None, name: str | None = None
    ) -> PersonId:
        """*part* becomes *to*'s, or somebody new's, called *name* if given.

        An operator said so: no machine takes the visits back. Running workers follow. What is
        *to*'s already stays so.

        Returns:
            Whose it is then.

        Raises:
            NotFound: *org* has nobody with one of these ids, or something of *part* is not theirs.
            UnusableValue: *to* is the person themselves.
            AlreadyExists: somebody else is called *name*.
        """
        ...

    async def near_misses(
        self, org: OrgId, least: float, since: datetime, limit: int, before: EventId | None = None
    ) -> list[NearMiss]:
        """Newest first, from confidence *least* on (0.4 at least), without the dismissed."""
        ...

    async def teachers(
        self, org: OrgId, model: str, sure: Sure, since: datetime, limit: int
    ) -> list[Teacher]:
        """Visits of the named that may become matchmakers: the best twenty of each person.

        Of the newest five thousand since then; the confirmed first, then the best. What was
        copied or dismissed already is not there.
        """
        ...

    async def views(self, org: OrgId, faces: Collection[FaceId]) -> dict[FaceId, View]:
        """How these matchmakers look."""
        ...

    async def dismiss_teacher(self, org: OrgId, event: EventId, person: PersonId) -> None:
        """The visit makes no matchmaker of theirs. Saying it again changes nothing.

        Raises:
            NotFound: *org* has no such event, or nobody with this id.
        """
        ...

    async def names(
        self, org: OrgId, people: Collection[PersonId]
    ) -> dict[PersonId, str | None]: ...

    async def different(self, org: OrgId) -> set[frozenset[PersonId]]:
        """Pairs that an operator said are two."""
        ...

    async def dismiss_pair(self, org: OrgId, one: PersonId, other: PersonId) -> None:
        """They are two. Saying it again changes nothing.

        Raises:
            NotFound: *org* has nobody with one of these ids.
            UnusableValue: both are the same person.
        """
        ...

    async def dismiss_name(self, org: OrgId, event: EventId, person: PersonId) -> None:
        """The visit is not theirs. Saying it again changes nothing.

        Raises:
            NotFound: *org* has no such event, or nobody with this id.
        """
        ...


class Faces(Protocol):
    """Every face in every picture, enrolled ones among them."""

    async def get(self, org: OrgId, face: FaceId) -> LibraryFace:
        """
        Raises:
            NotFound: *org* has no such face.
        """
        ...

    async def page(
        self, org: OrgId, wanted: FaceFilter, limit: int, before: FaceId | None = None
    ) -> list[LibraryFace]:
        """Newest first, from just after *before*, be it gone or not.

        Fewer than *limit* only at the end.

        Raises:
            NotFound: *org* has not the person or the asset that is *wanted*.
        """
        ...

    async def fits(self, org: OrgId, faces: Sequence[FaceId], model: str) -> dict[FaceId, Fit]:
        """How each fits its person, and who else is near, by templates of *model*."""
        ...

    async def give(self, org: OrgId, face: FaceId, person: PersonId | None) -> None:
        """An operator says whose face it is, None for nobody's; no machine overwrites that.

        The visit that it belongs to goes along, with all of its faces; nobody's is then also: not
        that of whose it was. An enrolled one is compared for its new person, or rests.

        Raises:
            NotFound: *org* has no such face, or nobody with this id.
        """
        ...

    async def remove(self, org: OrgId, face: FaceId) -> list[str]:
        """Gone with its templates; picture, visit and person stay. An enrolled one takes its photo.

        Returns:
            Object keys whose pixels must go; they are garbage already.

        Raises:
            NotFound: *org* has no such face.
        """
        ...


class Assets(Protocol):
    """Whole pictures, and who is in them."""

    async def get(self, org: OrgId, asset: AssetId) -> Asset:
        """
        Raises:
            NotFound: *org* has no such asset.
        """
        ...

    async def find(self, org: OrgId, wanted: AssetFilter, limit: int, offset: int) -> list[Asset]:
        """The newest capture first, from behind the first *offset*.

        Raises:
            NotFound: *org* has nobody with one of the ids that are *wanted*.
        """
        ...


class Centroids(Protocol):
    """The middle of everybody's templates."""

    async def refresh_all(self) -> None:
        """Bring up to date what changed before."""
        ...


class PortraitChanges(TypedDict, total=False):
    """What is told of a person: a key that is not there is left alone, None clears."""

    name: str | None
    birth_date: date | None
    hidden: bool
    favourite: bool
    face: FaceId | None


class Portraits(Protocol):
    """Persons with and without a name, as a library of pictures shows them.

    An id that was merged means the person that it was merged into.
    """

    async def get(self, org: OrgId, person: PersonId) -> Portrait:
        """
        Raises:
            NotFound: *org* has nobody with this id.
        """
        ...

    async def page(
        self, org: OrgId, wanted: PortraitFilter, limit: int, after: PersonId | None, newest: bool
    ) -> list[Portrait]:
        """Newest or oldest first, from just behind *after*, be they gone or not.

        Raises:
            NotFound: *org* has not the asset that is *wanted*.
        """
        ...

    async def cohesions(
        self, org: OrgId, people: Sequence[PersonId], model: str
    ) -> dict[PersonId, Cohesion]:
        """Of those who have a template of *model*."""
        ...

    async def create(self, org: OrgId, changes: PortraitChanges) -> PersonId:
        """
        Raises:
            AlreadyExists: *org* has somebody of this name.
            NotFound: *org* has not the face that is to stand for them.
        """
        ...

    async def change(self, org: OrgId, person: PersonId, changes: PortraitChanges) -> None:
        """
        Raises:
            NotFound: *org* has nobody with this id, or not the face.
            AlreadyExists: somebody else has the new name.
        """
        ...

    async def dissolve(self, org: OrgId, person: PersonId) -> list[str]:
        """There is no such person: visits and faces are nobody's, with their pictures.

        What was enrolled for the person goes.

        Returns:
            Object keys whose pixels must go; they are garbage already.

        Raises:
            NotFound: *org* has nobody with this id.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Accepted:
    """A photo that was sent and is fit; its pixels lie under *keys*.

    Attributes:
        warning: What somebody should look at; '' where there is nothing.
    """

    upload: Upload
    person: PersonId
    enrolment: Enrolment
    keys: PhotoKeys
    warning: str

    @property
    def matchmaker(self) -> Matchmaker:
        """What it becomes."""
        return Matchmaker(self.upload.face, self.person, self.upload.org, self.enrolment.template)


@dataclass(frozen=True, slots=True)
class Refused:
    """A photo that was sent and is not fit, with the reason in words."""

    upload: Upload
    why: str
    person: PersonId | None


class Uploads(Protocol):
    """Photos that were sent to become matchmakers, and what became of them."""

    async def add(self, uploads: Sequence[Upload]) -> None:
        """They wait from now on; the workers are told."""
        ...

    async def waiting(self, org: OrgId) -> tuple[int, int]:
        """How many photos of *org* wait, and how many bytes these are."""
        ...

    async def count(self, org: OrgId, transaction: str) -> int:
        """How many photos *transaction* holds."""
        ...

    async def of_transaction(self, org: OrgId, transaction: str) -> list[Upload]:
        """In the order in which they came, each with its person of today who has a name."""
        ...

    async def take(self, worker: str, limit: int, lease: timedelta) -> list[Upload]:
        """The oldest that wait, for *worker* alone until *lease* is over.

        What was in hand when its worker died is taken alone, and one at a time.
        """
        ...

    async def let_go(self, worker: str, faces: Sequence[FaceId] | None = None) -> None:
        """What *worker* has taken waits again: *faces* as if untouched, or all that it has."""
        ...

    async def settle(
        self, accepted: Sequence[Accepted], refused: Sequence[Refused]
    ) -> tuple[list[Matchmaker], list[str]]:
        """What became of photos: at once for all of them, and once for each.

        What was settled or erased meanwhile stays so, and whoever was forgotten meanwhile is not
        enrolled.

        Returns:
            The matchmakers that were added, and object keys whose pixels must go; they are
            garbage already.
        """
        ...

    async def expire(self, age: timedelta) -> None:
        """Forget what was settled longer ago than *age*; matchmakers stay."""
        ...


@dataclass(frozen=True, slots=True)
class Org:
    """Whose things these are.

    Attributes:
        match_threshold: The least confidence for a name, 0..1; None is the built-in default.
    """

    id: OrgId
    name: str
    match_threshold: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class InForce:
    """Which gallery of an org the table holds, and the org's own threshold, 0..1, if any."""

    org: OrgId
    revision: int
    match_threshold: float | None


class Orgs(Protocol):
    """Orgs, and what each has settled for itself."""

    async def page(self, limit: int, after: OrgId | None = None) -> list[Org]:
        """The oldest first, from just behind *after*."""
        ...

    async def get(self, org: OrgId) -> Org:
        """
        Raises:
            NotFound: there is no such org.
        """
        ...

    async def create(self, name: str) -> "tuple[Org, ApiKey, str]":
        """An org with a location to hang cameras in, and an admin's key with its secret."""
        ...

    async def rename(self, org: OrgId, name: str) -> None:
        """Several may have one name.

        Raises:
            NotFound: there is no such org.
        """
        ...

    async def governs(self, org: OrgId) -> bool:
        """Whether it is the installation's first, whose admins make the others."""
        ...

    async def in_force(self, only: OrgId | None = None) -> list[InForce]:
        """What the table says of every org, or of *only*, for workers to compare."""
        ...

    async def match_threshold(self, org: OrgId) -> float | None:
        """The least confidence for a name, 0..1; None is the built-in default.

        Raises:
            NotFound: there is no such org.
        """
        ...

    async def set_match_threshold(self, org: OrgId, threshold: float | None) -> None:
        """Running workers are told.

        Raises:
            NotFound: there is no such org.
        """
        ...


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is kept: its secret is not among it."""

    id: KeyId
    org: OrgId
    name: str
    role: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Keys(Protocol):
    """API keys, kept as hashes."""

    async def create(
        self, org: OrgId, name: str, role: str, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """A new key, and the secret that is shown this once; None never expires.

        Raises:
            InvalidRequest: there is no such role.
        """
        ...

    def remembered(self, secret: str) -> ApiKey | None:
        """As `authenticate`, where the answer is known without asking; None says nothing."""
        ...

    async def authenticate(self, secret: str) -> ApiKey | None:
        """The key that *secret* opens, unless it is unknown, expired or revoked."""
        ...

    async def all(self, org: OrgId) -> list[ApiKey]: ...

    async def page(self, org: OrgId, limit: int, after: KeyId | None = None) -> list[ApiKey]:
        """The oldest first, from just behind *after*; revoked ones too."""
        ...

    async def get(self, org: OrgId, key: KeyId) -> ApiKey:
        """
        Raises:
            NotFound: *org* has no such key.
        """
        ...

    async def revoke(self, org: OrgId, key: UUID) -> None:
        """
        Raises:
            NotFound: *org* has no such key.
        """
        ...

    async def signer(self, key: KeyId) -> tuple[ApiKey, bytes] | None:
        """A key by its id, with the secret of its org, unless it is unknown, expired or revoked."""
        ...

    async def page_secret(self, org: OrgId) -> bytes:
        """What signs the page keys of *org*: the same in every process."""
        ...


class AuditLog(Protocol):
    """Who changed what, and who looked at whom. Entries are never changed."""

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        """All of them or none; adding them again changes nothing.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
        """
        ...

    async def page(
        self, org: OrgId, wanted: AuditFilter, limit: int, before: AuditId | None = None
    ) -> list[AuditEntry]:
        """Newest first, from just after *before*; fewer than *limit* only at the end."""
        ...

    async def prune(self, before: datetime) -> int:
        """Entries from before *before* go; how many went."""
        ...
