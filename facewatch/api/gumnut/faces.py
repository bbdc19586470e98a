"""/api/faces: every face in every picture, whose it is, and whose it might be."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.gumnut.links import Links, links_for
from facewatch.api.gumnut.resource import Call, resource
from facewatch.api.gumnut.wire import (
    MOST_IDS,
    AssetRef,
    AssetUrls,
    Done,
    FaceRef,
    InLibrary,
    PageIn,
    PersonRef,
    Shape,
    cut_off,
)
from facewatch.domain.audit import Action
from facewatch.domain.geometry import Box
from facewatch.domain.ids import FaceId
from facewatch.domain.library import FaceFilter, Fit, LibraryFace, Nearby
from facewatch.people.forget import drop

Include = list[Literal["cluster_assignment"]]


class FaceIn(InLibrary):
    """Which face."""

    face_id: FaceRef


class FaceShownIn(FaceIn):
    """Which face, and what of it beside the rest: *cluster_assignment*."""

    include: Include = Field(default_factory=list)


class FacesIn(PageIn):
    """Which faces: those that all of this lets through."""

    ids: Annotated[list[FaceRef], Field(max_length=MOST_IDS)] | None = None
    asset_id: AssetRef | None = None
    person_id: PersonRef | None = None
    include: Include = Field(default_factory=list)
    starting_after_id: FaceRef | None = None


class FaceChangesIn(FaceIn):
    """Whose it is: null says that it is nobody's, and not that of whose it was."""

    person_id: PersonRef | None = None


class BoundingBox(Shape):
    """Whole pixels of the asset, from its left and top."""

    x: int
    y: int
    w: int
    h: int

    @classmethod
    def of(cls, box: Box) -> "BoundingBox":
        left, top, right, bottom = box.rounded()
        return cls(x=left, y=top, w=right - left, h=bottom - top)


class CandidateResponse(Shape):
    """Somebody whose faces are near: *distance* is 1 - cosine to the middle of them."""

    person_id: PersonRef
    distance: float
    name: str | None

    @classmethod
    def of(cls, near: Nearby) -> "CandidateResponse":
        return cls(person_id=near.person, distance=near.distance, name=near.name)


class ClusterAssignmentResponse(Shape):
    """How well a face fits its person, and who else is near: ten at most, nearest first."""

    distance_to_person: float | None
    candidates: list[CandidateResponse]

    @classmethod
    def of(cls, fit: Fit) -> "ClusterAssignmentResponse":
        return cls(
            distance_to_person=fit.distance,
            candidates=[CandidateResponse.of(near) for near in fit.others],
        )


class FaceResponse(Shape):
    """One face in one asset: a camera's snapshot, or an enrolment photo.

    Attributes:
        created_at: When it was seen, or enrolled.
        timestamp_ms: Where in a clip; null in a picture.
        asset_urls: Its thumbnail; null where its pixels were erased.
        cluster_assignment: Null unless *include* asks for it.
        confidence: The detector's own, 0..1.
    """

    id: FaceRef
    asset_id: AssetRef
    bounding_box: BoundingBox
    created_at: AwareDatetime
    updated_at: AwareDatetime
    person_id: PersonRef | None
    timestamp_ms: int | None
    asset_urls: AssetUrls | None
    cluster_assignment: ClusterAssignmentResponse | None
    source: Literal["automatic"] = "automatic"
    confidence: float

    @classmethod
    def of(cls, face: LibraryFace, links: Links, fit: Fit | None = None) -> "FaceResponse":
        return cls(
            id=face.id,
            asset_id=face.asset,
            bounding_box=BoundingBox.of(face.box),
            created_at=seen_at(face.id),
            updated_at=face.updated_at,
            person_id=face.person,
            timestamp_ms=face.timestamp_ms,
            asset_urls=links.of(face),
            cluster_assignment=ClusterAssignmentResponse.of(fit) if fit else None,
            confidence=face.score,
        )


class FaceList(Shape):
    """A part of a list; *has_more* says whether it goes on behind the last of it."""

    data: list[FaceResponse]
    has_more: bool


def seen_at(face: UUID) -> datetime:
    """When a face was seen, as its id tells: lists are in this order."""
    return datetime.fromtimestamp((face.int >> 80) / 1000, UTC)


async def get_face(deps: Deps, call: Call, asked: FaceShownIn) -> FaceResponse:
    """One face: where it is, and whose."""
    face = await deps.faces.get(call.key.org, asked.face_id)
    (shown,) = await _shown(deps, call, [face], asked.include)
    return shown


async def list_faces(deps: Deps, call: Call, asked: FacesIn) -> FaceList:
    """Faces, newest first."""
    wanted = FaceFilter(
        ids=None if asked.ids is None else frozenset(asked.ids),
        asset=asked.asset_id,
        person=asked.person_id,
    )
    found = await deps.faces.page(call.key.org, wanted, asked.limit + 1, asked.starting_after_id)
    faces, more = cut_off(found, asked.limit)
    return FaceList(data=await _shown(deps, call, faces, asked.include), has_more=more)


async def update_face(deps: Deps, call: Call, asked: FaceChangesIn) -> FaceResponse:
    """Say whose a face is; the visit that it was seen in goes along.

    No machine takes it back.
    """
    if "person_id" in asked.model_fields_set:
        await deps.faces.give(call.key.org, asked.face_id, asked.person_id)
    face = await deps.faces.get(call.key.org, asked.face_id)
    (shown,) = await _shown(deps, call, [face], [])
    return shown


async def delete_face(deps: Deps, call: Call, asked: FaceIn) -> Done:
    """Delete a face: its asset and its person stay; an enrolled one takes its photo with it."""
    keys = await deps.faces.remove(call.key.org, asked.face_id)
    await drop(deps.blobs, deps.remains, call.key.org, keys)
    return Done()


async def _shown(
    deps: Deps, call: Call, faces: Sequence[LibraryFace], include: Include
) -> list[FaceResponse]:
    links = await links_for(deps, call)
    fits: dict[FaceId, Fit] = {}
    if include and faces:
        fits = await deps.faces.fits(call.key.org, [it.id for it in faces], deps.model)
    return [FaceResponse.of(face, links, fits.get(face.id)) for face in faces]


_ONE = "/api/faces/{face_id}"

ROUTES = [
    resource("GET", "/api/faces", list_faces, action=Action.FACES_VIEWED),
    resource("GET", _ONE, get_face, action=Action.FACE_VIEWED),
    resource("PATCH", _ONE, update_face, Role.OPERATOR, action=Action.FACE_UPDATED),
    resource("DELETE", _ONE, delete_face, Role.OPERATOR, action=Action.FACE_DELETED),
]
