"""The shape of a Rhombus answer, without a service around it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from facewatch.api.rhombus.wire import FaceEventOut, GetFaceEventOut
from facewatch.domain.events import AssignedBy, FaceEvent, NamedCandidate
from facewatch.domain.faces import Quality
from facewatch.domain.ids import CameraId, EventId, FaceId, LocationId, OrgId, PersonId
from facewatch.domain.people import Candidate

CONTRACT = Path(__file__).parents[2] / "shared/spec/rhombus-openapi.json"

ALICE = PersonId(UUID(int=7))
_ALICE = NamedCandidate(Candidate(ALICE, FaceId(UUID(int=8)), 0.71, 0.98000001), "Alice")
_BOB = NamedCandidate(Candidate(PersonId(UUID(int=9)), FaceId(UUID(int=10)), 0.3, 0.2), "Bob")
_NAMELESS = NamedCandidate(Candidate(PersonId(UUID(int=11)), FaceId(UUID(int=12)), 0.4, 0.3), None)

KNOWN = FaceEvent(
    id=EventId(UUID(int=1)),
    version=3,
    closed=True,
    org=OrgId(UUID(int=2)),
    location=LocationId(UUID(int=3)),
    camera=CameraId(UUID(int=4)),
    place=(LocationId(UUID(int=5)), LocationId(UUID(int=6))),
    first_seen=datetime(2022, 1, 1, 0, 0, 0, 7999, tzinfo=UTC),
    last_seen=datetime(2022, 1, 1, 0, 0, 9, tzinfo=UTC),
    best_at=datetime(2022, 1, 1, 0, 0, 5, tzinfo=UTC),
    has_template=True,
    quality=Quality(size=1, sharpness=1, pose=1, exposure=1, score=0.930000007),
    frame_key="AAAAAAAAAAAAAAAAAAAAAg/2022-01/events/AAAAAAAAAAAAAAAAAAAAAQ/v3-frame.jpg",
    thumbnail_key="AAAAAAAAAAAAAAAAAAAAAg/2022-01/events/AAAAAAAAAAAAAAAAAAAAAQ/v3-face.jpg",
    person=ALICE,
    person_name="Alice",
    assigned_by=AssignedBy.MATCHER,
    selected=_ALICE,
    candidates=(_ALICE, _NAMELESS, _BOB),
)
UNKNOWN = replace(
    KNOWN, person=None, person_name=None, assigned_by=None, selected=None, place=(), candidates=()
)


def answered(event: FaceEvent) -> dict[str, Any]:
    message = GetFaceEventOut(face_event=FaceEventOut.of(event))
    whole: dict[str, Any] = json.loads(message.model_dump_json(by_alias=True))
    return whole


def test_a_whole_answer() -> None:
    alice = {
        "confidence": 0.98,
        "faceId": "face_222222222222222222222A",
        "name": "Alice",
        "uuid": "AAAAAAAAAAAAAAAAAAAABw",
    }
    bob = {
        "confidence": 0.2,
        "faceId": "face_222222222222222222222C",
        "name": "Bob",
        "uuid": "AAAAAAAAAAAAAAAAAAAACQ",
    }
    assert answered(KNOWN) == {
        "faceEvent": {
            "detectionConfidence": 0.93,
            "deviceUuid": "AAAAAAAAAAAAAAAAAAAABA.v0",
            "embeddingConfidence": 0.985591,
            "eventTimestamp": 1640995200007,
            "faceName": "Alice",
            "hasEmbedding": True,
            "imageS3Key": KNOWN.frame_key,
            "locationUuid": "AAAAAAAAAAAAAAAAAAAAAw",
            "orgUuid": "AAAAAAAAAAAAAAAAAAAAAg",
            "personUuid": "AAAAAAAAAAAAAAAAAAAABw",
            "selectedPersonMatch": alice,
            "subLocationsHierarchyKey": "AAAAAAAAAAAAAAAAAAAABQ.AAAAAAAAAAAAAAAAAAAABg",
            "thumbnailS3Key": KNOWN.thumbnail_key,
            "topPersonMatches": [alice, bob],
            "uuid": "AAAAAAAAAAAAAAAAAAAAAQ",
        }
    }


def test_a_stranger_has_no_match_object_and_null_elsewhere() -> None:
    event = answered(UNKNOWN)["faceEvent"]

    assert "selectedPersonMatch" not in event
    assert event["topPersonMatches"] == []
    assert {name for name, value in event.items() if value is None} == {
        "faceName",
        "personUuid",
        "subLocationsHierarchyKey",
    }


def test_somebody_without_a_name_is_a_stranger_here() -> None:
    nameless = replace(
        UNKNOWN, person=_NAMELESS.candidate.person, selected=_NAMELESS, candidates=(_NAMELESS,)
    )

    assert answered(nameless) == answered(UNKNOWN)


def test_without_a_template_no_confidence_is_made_up() -> None:
    event = answered(replace(UNKNOWN, has_template=False))["faceEvent"]

    assert event["hasEmbedding"] is False
    assert event["embeddingConfidence"] is None


def test_erased_pixels_have_no_key() -> None:
    event = answered(replace(UNKNOWN, frame_key="", thumbnail_key=""))["faceEvent"]

    assert (event["imageS3Key"], event["thumbnailS3Key"]) == (None, None)


@pytest.mark.parametrize("event", [KNOWN, UNKNOWN, replace(UNKNOWN, has_template=False)])
def test_answers_follow_the_published_document(event: FaceEvent) -> None:
    if not CONTRACT.exists():
        pytest.skip("../shared/spec is not here")
    validators = pytest.importorskip("openapi_schema_validator")
    document = json.loads(CONTRACT.read_text())
    components = document["components"]
    name = "Facerecognition_faceevent_GetFaceEventWSResponse"
    schema = {"allOf": [{"$ref": f"#/components/schemas/{name}"}], "components": components}
    answer = answered(event)

    validators.OAS30Validator(schema).validate(answer)

    described = components["schemas"]["Facerecognition_faceevent_ExternalFaceEvent"]["properties"]
    assert set(answer["faceEvent"]) <= set(described)
