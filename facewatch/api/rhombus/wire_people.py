"""The messages about persons and matchmakers, as Rhombus' public document describes them."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from facewatch.api.rhombus.wire import EnrolledFaceId, Message, Moment, Ruuid, Share
from facewatch.domain.ids import to_prefixed, to_ruuid
from facewatch.domain.people import EnrolledFace, Person


class Nothing(Message):
    """A request that says nothing, or an answer that says no more than that it is done."""


class PersonOut(Message):
    """Somebody who has a name. Rhombus never gives an *email* back, and neither do we."""

    model_config = ConfigDict(title="Person")

    created_on: datetime
    name: str | None
    org_uuid: Ruuid
    updated_on: datetime
    uuid: Ruuid

    @classmethod
    def of(cls, person: Person) -> "PersonOut":
        return cls(
            created_on=person.created_at,
            name=person.name,
            org_uuid=to_ruuid(person.org),
            updated_on=person.updated_at,
            uuid=to_ruuid(person.id),
        )


class CreatePersonIn(Message):
    name: str | None = None


class GetPersonIn(Message):
    person_uuid: Ruuid | None = None


class DeletePersonIn(Message):
    person_uuid: Ruuid | None = None


class PersonSelectiveUpdateIn(Message):
    """What changes of a person.

    Attributes:
        updated_set_method_map: ``setName`` and ``setEmail``: a field counts only where its setter
            is here and true; without a value it is cleared.
    """

    model_config = ConfigDict(title="PersonSelectiveUpdate")

    created_on: Moment = None
    email: str | None = None
    name: str | None = None
    org_uuid: Ruuid | None = None
    updated_on: Moment = None
    updated_set_method_map: dict[str, bool | None] | None = None
    uuid: Ruuid | None = None


class UpdatePersonIn(Message):
    person_selective_update: PersonSelectiveUpdateIn = PersonSelectiveUpdateIn()


class PersonAnswer(Message):
    person: PersonOut


class PeopleAnswer(Message):
    people: list[PersonOut]


class PersonLabelIn(Message):
    label: str | None = None
    person_uuid: Ruuid | None = None


class PersonLabelsAnswer(Message):
    labels_by_person: dict[str, list[str]]


class FaceMatchmakerOut(Message):
    """An enrolled face.

    Attributes:
        id: The same as the *face_id* of a match.
        uploaded: False where it was made from a sighting.
    """

    model_config = ConfigDict(title="Facerecognition_matchmaker_ExternalFaceMatchmaker")

    created_on: datetime
    id: EnrolledFaceId
    org_uuid: Ruuid
    person_uuid: Ruuid
    uploaded: bool

    @classmethod
    def of(cls, face: EnrolledFace) -> "FaceMatchmakerOut":
        return cls(
            created_on=face.created_at,
            id=to_prefixed("face", face.face),
            org_uuid=to_ruuid(face.org),
            person_uuid=to_ruuid(face.person),
            uploaded=face.uploaded,
        )


class CreateFaceMatchmakerFromSightingIn(Message):
    face_event_uuid: Ruuid | None = None
    person_uuid: Ruuid | None = None


class FaceMatchmakerIn(Message):
    """Which one to get or delete."""

    face_id: EnrolledFaceId | None = None


class FindFaceMatchmakersByPersonIn(Message):
    person_uuid: Ruuid | None = None


class FaceMatchmakerAnswer(Message):
    face_matchmaker: FaceMatchmakerOut


class FaceMatchmakersAnswer(Message):
    face_matchmakers: list[FaceMatchmakerOut]


class UpdateFaceMatchingConfigIn(Message):
    """*face_match_confidence_threshold* null: the built-in default."""

    face_match_confidence_threshold: Annotated[
        float | None, Field(ge=0, le=1, allow_inf_nan=False, json_schema_extra={"format": "float"})
    ] = None


class FaceMatchingConfigAnswer(Message):
    """What is in force."""

    face_match_confidence_threshold: Share
