"""The messages of the Rhombus face API, as its public document describes them.

They mirror that document and decide nothing. Where an object is empty its key is left out: the
document allows null for every scalar and list, and for no object.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic.alias_generators import to_camel

from facewatch.domain.events import FaceEvent, NamedCandidate
from facewatch.domain.ids import to_prefixed, to_ruuid

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LATEST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND


def _absent(value: object) -> bool:
    return value is None


OMITTED = Field(exclude_if=_absent)
"""Marks an object that is left out where there is none."""


class Message(BaseModel):
    """camelCase outside, snake_case inside; a number is no string, and unknown keys are ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, strict=True, frozen=True
    )


def _spelled(kind: str, form: str, *examples: object) -> WithJsonSchema:
    return WithJsonSchema({"type": kind, "format": form, "examples": list(examples)})


Ruuid = Annotated[str, _spelled("string", "RUUID", "AAAAAAAAAAAAAAAAAAAAAA")]
DeviceFacetUuid = Annotated[str, _spelled("string", "DeviceFacetUuid", "AAAAAAAAAAAAAAAAAAAAAA.v0")]
SubLocationsHierarchyKey = Annotated[
    str,
    _spelled(
        *("string", "SubLocationsHierarchyKey"),
        "AAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAQ",
    ),
]
EnrolledFaceId = Annotated[
    str, WithJsonSchema({"type": "string", "examples": ["face_222222222222222222222A"]})
]
Share = Annotated[float, _spelled("number", "float", 0.98)]
"""0..1."""
Milliseconds = Annotated[int, _spelled("integer", "int64", 1640995200000)]
"""Since 1970."""


def milliseconds(at: datetime) -> int:
    """Since 1970, rounded down.

    >>> milliseconds(datetime(2022, 1, 1, 0, 0, 0, 1999, tzinfo=UTC))
    1640995200001
    """
    return (at - _EPOCH) // _MILLISECOND


def share(value: float) -> float:
    """A confidence without the noise that single precision adds."""
    return round(value, 6)


def whole(value: object) -> object:
    """*value*, as an int where it is a whole number: to JSON Schema 7.0 is an integer.

    >>> whole(7.0), whole(7.5), whole("7.0")
    (7, 7.5, '7.0')
    """
    return int(value) if isinstance(value, float) and value.is_integer() else value


def moment(value: object) -> datetime | None:
    """A date as clients spell it: ISO 8601, UTC where it tells no offset, or epoch milliseconds.

    >>> moment("2026-07-27T15:20:00-07:00") == moment(1785190800000) == moment("1785190800000")
    True
    """
    match whole(value):
        case None:
            return None
        case bool():
            raise ValueError("must be a date")
        case int(number):
            return _EPOCH + timedelta(milliseconds=min(max(number, 0), _LATEST_MS))
        case str(text) if re.fullmatch("[0-9]{9,15}", text):
            return moment(int(text))
        case str(text):
            return _iso(text)
        case _:
            raise ValueError("must be a date")


def _iso(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.upper())
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date as ISO 8601 writes it, or epoch milliseconds") from None


Moment = Annotated[
    datetime | None,
    PlainValidator(moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time", "examples": ["2026-07-27T15:20:00Z"]},
                {"type": "integer", "description": "Milliseconds since 1970."},
                {"type": "null"},
            ]
        }
    ),
]


class GetFaceEventIn(Message):
    event_uuid: Ruuid | None = None


class PersonMatchOut(Message):
    """A person that a face resembles.

    Attributes:
        face_id: The matchmaker (enrolled face) that resembles it most.
        confidence: Calibrated, 0..1.
    """

    model_config = ConfigDict(title="Facerecognition_faceevent_ExternalPersonMatch")

    confidence: Share
    face_id: EnrolledFaceId
    name: str
    uuid: Ruuid

    @classmethod
    def of(cls, match: NamedCandidate | None) -> "PersonMatchOut | None":
        """None where there is no match, or where the person has no name: those are not shown."""
        if match is None or match.name is None:
            return None
        return cls(
            confidence=share(match.candidate.confidence),
            face_id=to_prefixed("face", match.candidate.face),
            name=match.name,
            uuid=to_ruuid(match.candidate.person),
        )


class FaceEventOut(Message):
    """One visit.

    Attributes:
        detection_confidence: The detector's score of the best shot.
        device_uuid: The camera; a camera has one facet, ``.v0``.
        embedding_confidence: How much the best shot was worth comparing: its quality as a whole;
            null while no look was.
        event_timestamp: When the visit began, epoch milliseconds: it never moves, while the best
            shot may, so lists sorted by it are stable.
        face_name: Today's name of the person; the same as in *selected_person_match*.
        has_embedding: Whether a template of the visit is kept.
        image_s3_key: The whole frame of the best shot, for ``GET /media/faces?s3ObjectKey=``;
            null once its pixels were erased.
        person_uuid: The person, where they have a name.
        selected_person_match: The match that the machine or an operator chose; left out for
            somebody unknown.
        sub_locations_hierarchy_key: Sub-locations from the outermost to the camera's own, joined
            by dots; null where the camera hangs in none.
        thumbnail_s3_key: The face of the best shot; null once erased.
        top_person_matches: Named people that the face resembles, best first.
    """

    model_config = ConfigDict(title="Facerecognition_faceevent_ExternalFaceEvent")

    detection_confidence: Share
    device_uuid: DeviceFacetUuid
    embedding_confidence: Share | None
    event_timestamp: Milliseconds
    face_name: str | None
    has_embedding: bool
    image_s3_key: str | None
    location_uuid: Ruuid
    org_uuid: Ruuid
    person_uuid: Ruuid | None
    selected_person_match: Annotated[PersonMatchOut | None, OMITTED]
    sub_locations_hierarchy_key: SubLocationsHierarchyKey | None
    thumbnail_s3_key: str | None
    top_person_matches: list[PersonMatchOut]
    uuid: Ruuid

    @classmethod
    def of(cls, event: FaceEvent) -> "FaceEventOut":
        matches = map(PersonMatchOut.of, event.candidates)
        return cls(
            detection_confidence=share(event.quality.score),
            device_uuid=to_ruuid(event.camera) + ".v0",
            embedding_confidence=share(event.quality.overall) if event.has_template else None,
            event_timestamp=milliseconds(event.first_seen),
            face_name=event.person_name,
            has_embedding=event.has_template,
            image_s3_key=event.frame_key or None,
            location_uuid=to_ruuid(event.location),
            org_uuid=to_ruuid(event.org),
            person_uuid=to_ruuid(event.person) if event.person and event.person_name else None,
            selected_person_match=PersonMatchOut.of(event.selected),
            sub_locations_hierarchy_key=".".join(map(to_ruuid, event.place)) or None,
            thumbnail_s3_key=event.thumbnail_key or None,
            top_person_matches=[match for match in matches if match],
            uuid=to_ruuid(event.id),
        )


class GetFaceEventOut(Message):
    face_event: FaceEventOut


class PageRequest(Message):
    model_config = ConfigDict(title="DynamoPageRequest")

    last_evaluated_key: str | None = None
    max_page_size: (
        Annotated[
            int,
            Field(ge=1, le=1000, json_schema_extra={"format": "int32"}),
            BeforeValidator(whole),
        ]
        | None
    ) = None


class TimestampFilter(Message):
    range_end: Moment = None
    range_start: Moment = None


class SearchFilter(Message):
    """Every field narrows; an empty list, or null, does not."""

    device_uuids: list[DeviceFacetUuid | None] | None = None
    face_name_contains: str | None = None
    face_names: list[str | None] | None = None
    has_name: bool | None = None
    labels: list[str | None] | None = None
    location_uuids: list[Ruuid | None] | None = None
    person_uuids: list[Ruuid | None] | None = None
    timestamp_filter: TimestampFilter | None = None


class FaceEventSearchFilter(SearchFilter):
    """As every list of events takes it."""

    model_config = ConfigDict(title="Facerecognition_faceevent_ExternalFaceEventSearchFilter")

    has_embedding: bool | None = None


class FindFaceEventsByOrgIn(Message):
    page_request: PageRequest | None = None
    search_filter: FaceEventSearchFilter | None = None


class FindFaceEventsByOrgOut(Message):
    """A page; its key is left out at the end."""

    face_events: list[FaceEventOut]
    last_evaluated_key: Annotated[str | None, OMITTED] = None


class ExportFaceEventsByOrgIn(Message):
    search_filter: FaceEventSearchFilter | None = None


class UpdateFaceEventIn(Message):
    event_uuid: Ruuid | None = None
    person_name: str | None = None
    person_uuid: Ruuid | None = None


class UpdateFaceEventOut(Message):
    face_event: FaceEventOut


class DeleteFaceEventIn(Message):
    event_uuid: Ruuid | None = None


class DeleteFaceEventOut(Message):
    """Nothing is left to say."""
