"""A day with the client that openapi-python-client makes of Rhombus' document; it runs in a venv.

Arguments: the service's URL, an operator's key, a photograph (PNG).
Prints the operations that were driven.
"""

import importlib
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from rhombus import AuthenticatedClient, models

URL, KEY, PHOTO = sys.argv[1:]
SERVICES = {"faceevent": "event", "matchmaker": "matchmaker", "person": "person"}
client = AuthenticatedClient(
    base_url=URL, token=KEY, prefix="", auth_header_name="x-auth-apikey", timeout=httpx.Timeout(30)
)
driven: list[str] = []


def snake(name: str) -> str:
    return "".join(f"_{it.lower()}" if it.isupper() else it for it in name).lstrip("_")


def ask(service: str, operation: str, **fields: Any) -> Any:
    """The parsed answer of an operation that succeeded."""
    module = importlib.import_module(
        f"rhombus.api.face_recognition_{SERVICES[service]}_webservice.{snake(operation)}"
    )
    kind = f"Facerecognition{service.capitalize()}{operation[0].upper()}{operation[1:]}WSRequest"
    answer = module.sync_detailed(client=client, body=getattr(models, kind)(**fields))
    assert answer.status_code == 200, (operation, answer.content)
    assert "error" not in answer.parsed.additional_properties, (operation, answer.content)
    driven.append(operation)
    return answer.parsed


def refused(service: str, operation: str, **fields: Any) -> str:
    try:
        ask(service, operation, **fields)
    except AssertionError as error:
        return str(error)
    raise AssertionError(f"{operation} was not refused")


def page(key: Any = None, **wanted: Any) -> Any:
    return ask(
        "faceevent",
        "findFaceEventsByOrg",
        page_request=models.DynamoPageRequest(max_page_size=1, last_evaluated_key=key),
        search_filter=models.FacerecognitionFaceeventExternalFaceEventSearchFilter(**wanted),
    )


def all_of(**wanted: Any) -> list[Any]:
    found, key = [], None
    while True:
        part = page(key, **wanted)
        found += part.face_events
        key = part.last_evaluated_key or None
        if key is None:
            return found


def get(event: str) -> Any:
    return ask("faceevent", "getFaceEvent", event_uuid=event).face_event


def uploaded() -> None:
    """The one operation that is no JSON; what became of it is asked in JSON."""
    sent = httpx.post(
        f"{URL}/api/faceRecognition/matchmaker/uploadFaceMatchmakers",
        params={"createPersonIfNotFound": "true"},
        headers={"x-auth-apikey": KEY, "x-auth-scheme": "api-token"},
        files={"file": ("Somebody.png", Path(PHOTO).read_bytes(), "image/png")},
        timeout=60,
    )
    transaction = sent.json()["transactionId"]
    found: list[Any] = []
    until = time.monotonic() + 30
    while not found and time.monotonic() < until:
        found = ask(
            "matchmaker", "findFaceUploadMetadataByTransaction", transaction_id=transaction
        ).face_upload_metadata
    assert found[0].transaction_id == transaction


events = all_of()
assert len(events) == 2, events
known = next(it for it in events if it.face_name)
stranger = next(it for it in events if not it.face_name)
assert known.face_name == known.selected_person_match.name == "Barack Obama"
assert 0.7 < known.selected_person_match.confidence <= 1
assert get(known.uuid) == known
assert [it.uuid for it in all_of(has_name=True)] == [known.uuid]
assert [it.uuid for it in all_of(device_uuids=[known.device_uuid], has_name=False)] == [
    stranger.uuid
]

eileen = ask("person", "createPerson", name="Eileen").person
named = ask("faceevent", "updateFaceEvent", event_uuid=stranger.uuid, person_uuid=eileen.uuid)
assert named.face_event.face_name == "Eileen"
face = ask(
    "matchmaker",
    "createFaceMatchmakerFromSighting",
    face_event_uuid=stranger.uuid,
    person_uuid=eileen.uuid,
).face_matchmaker
assert face.uploaded is False
assert ask("matchmaker", "getFaceMatchmaker", face_id=face.id).face_matchmaker == face
of_hers = ask("matchmaker", "findFaceMatchmakersByPerson", person_uuid=eileen.uuid)
assert of_hers.face_matchmakers == [face]
assert face in ask("matchmaker", "findFaceMatchmakersByOrg").face_matchmakers

ask("person", "addPersonLabel", person_uuid=eileen.uuid, label="VIP")
labels = ask("person", "findPersonLabelsByOrg").labels_by_person
assert labels.additional_properties == {eileen.uuid: ["VIP"]}
assert [it.uuid for it in all_of(labels=["VIP"])] == [stranger.uuid]
ask("person", "removePersonLabel", person_uuid=eileen.uuid, label="VIP")
assert all_of(labels=["VIP"]) == []

setters = models.PersonSelectiveUpdateUpdatedSetMethodMapType0()
setters.additional_properties = {"setName": True}
update = models.PersonSelectiveUpdate(
    uuid=eileen.uuid, name="Eileen Collins", updated_set_method_map=setters
)
ask("person", "updatePerson", person_selective_update=update)
person = ask("person", "getPerson", person_uuid=eileen.uuid).person
assert (person.name, person.created_on) == ("Eileen Collins", eileen.created_on)
assert person in ask("person", "findPeopleByOrg").people
assert get(stranger.uuid).face_name == "Eileen Collins"
assert [it.uuid for it in all_of(face_name_contains="Collins")] == [stranger.uuid]

before = ask("matchmaker", "getFaceMatchingConfig").face_match_confidence_threshold
changed = ask("matchmaker", "updateFaceMatchingConfig", face_match_confidence_threshold=0.8)
assert (before, changed.face_match_confidence_threshold) == (0.7, 0.8)
ask("matchmaker", "updateFaceMatchingConfig", face_match_confidence_threshold=None)

uploaded()

ask("matchmaker", "deleteFaceMatchmaker", face_id=face.id)
assert "there is no matchmaker" in refused("matchmaker", "getFaceMatchmaker", face_id=face.id)
ask("person", "deletePerson", person_uuid=eileen.uuid)
assert "there is no person" in refused("person", "getPerson", person_uuid=eileen.uuid)
assert not get(stranger.uuid).face_name
ask("faceevent", "deleteFaceEvent", event_uuid=stranger.uuid)
assert "there is no face event" in refused("faceevent", "getFaceEvent", event_uuid=stranger.uuid)
assert [it.uuid for it in all_of()] == [known.uuid]

print(*sorted(set(driven)))
