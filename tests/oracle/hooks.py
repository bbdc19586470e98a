"""What schemathesis is told beyond the document: ids of what is really there; it runs in a venv.

FACEWATCH_STOCK names a file of ids, FACEWATCH_COUNTS where to write how calls ended.
"""

import atexit
import json
import os
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis

STOCK = json.loads(Path(os.environ["FACEWATCH_STOCK"]).read_text())
URL, ADMIN = STOCK["url"], {"x-auth-apikey": STOCK["admin"], "x-auth-scheme": "api-token"}
REAL = 0.85
"""How many of the calls that fit the document speak of what is really there."""

NOBODY, ZONE = "rtsp://127.0.0.1:9/nobody", "Europe/Berlin"

PHOTO = Path(STOCK["photo"]).read_bytes()

draw = random.Random(7)
counts: Counter[tuple[str, str, str]] = Counter()
made = 0


def new_name() -> str:
    global made
    made += 1
    return f"somebody {os.getpid()} {made}"


def ask(path: str, message: object) -> dict[str, Any]:
    answer = requests.post(f"{URL}/api/faceRecognition/{path}", json=message, headers=ADMIN)
    said: dict[str, Any] = answer.json()
    assert "error" not in said, (path, said)
    return said


def new_person() -> str:
    uuid: str = ask("person/createPerson", {"name": new_name()})["person"]["uuid"]
    return uuid


def new_event() -> str:
    """One that nobody has spoken of."""
    return str(STOCK["events"].pop())


def new_face() -> str:
    message = {"faceEventUuid": new_event(), "personUuid": new_person()}
    made = ask("matchmaker/createFaceMatchmakerFromSighting", message)
    face: str = made["faceMatchmaker"]["id"]
    return face


def new_no_face() -> str:
    """An event of which an operator said that it shows no face."""
    event = new_event()
    answer = requests.post(f"{URL}/api/v1/events/{event}/not-a-face", headers=ADMIN)
    assert answer.status_code == 204, answer.text
    return event


def new_thing(kind: str, **more: object) -> str:
    """One of /api/v1, of its own."""
    message = {"name": new_name(), **more}
    answer = requests.post(f"{URL}/api/v1/{kind}", json=message, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    found: str = made["id"] if "id" in made else made["key"]["id"]
    return found


def new_upload() -> str:
    """A transaction with one photo."""
    answer = requests.post(
        f"{URL}/api/faceRecognition/matchmaker/uploadFaceMatchmakers",
        params={"createPersonIfNotFound": "true"},
        headers=ADMIN,
        files=[("file", (f"{new_name()}.png", PHOTO, "image/png"))],
    )
    transaction: str = answer.json()["transactionId"]
    return transaction


def same(kind: str) -> Any:
    return lambda: draw.choice(STOCK[kind])


LASTING = {"events": STOCK["events"][:20], "people": [new_person() for _ in range(5)]}
del STOCK["events"][:20]
STOCK |= {"lasting": LASTING["events"], "people": LASTING["people"]}
STOCK["faces"] = [new_face() for _ in range(5)]

FIELDS = {
    "eventUuid": same("lasting"),
    "faceEventUuid": new_event,
    "personUuid": same("people"),
    "faceId": same("faces"),
    "uuid": same("people"),
    "name": new_name,
    "personName": new_name,
    "label": lambda: draw.choice(["VIP", "Staff"]),
    "deviceUuids": lambda: [STOCK["camera"]],
    "locationUuids": lambda: [STOCK["location"]],
    "personUuids": lambda: [draw.choice(STOCK["people"])],
    "maxPageSize": lambda: draw.randint(1, 50),
    "faceMatchConfidenceThreshold": lambda: draw.random(),
}


def renaming() -> dict[str, Any]:
    setters = {"setName": True}
    return {"uuid": new_person(), "name": new_name(), "updatedSetMethodMap": setters}


NEEDED = {
    "getFaceEvent": {"eventUuid": new_event},
    "updateFaceEvent": {"eventUuid": new_event, "personUuid": new_person},
    "deleteFaceEvent": {"eventUuid": new_event},
    "createFaceMatchmakerFromSighting": {"faceEventUuid": new_event, "personUuid": new_person},
    "findSimilarFaceEvents": {"faceEventUuid": same("lasting")},
    "findSimilarFaceEventsByFaceMatchmaker": {"faceId": same("faces")},
    "findSimilarFaceEventsByEmbedding": {"embedding": lambda: STOCK["embedding"]},
    "getFaceMatchmaker": {"faceId": new_face},
    "deleteFaceMatchmaker": {"faceId": new_face},
    "findFaceMatchmakersByPerson": {"personUuid": new_person},
    "createPerson": {"name": new_name},
    "getPerson": {"personUuid": new_person},
    "updatePerson": {"personSelectiveUpdate": renaming},
    "deletePerson": {"personUuid": new_person},
    "addPersonLabel": {"personUuid": new_person, "label": FIELDS["label"]},
    "removePersonLabel": {"personUuid": new_person, "label": FIELDS["label"]},
    "getPicture": {"s3ObjectKey": same("pictures")},
    "findFaceUploadMetadataByTransaction": {"transactionId": new_upload},
    "v1_show_person": {"person": new_person},
    "v1_change_person": {"person": new_person, "name": new_name},
    "v1_merge_people": {"person": new_person, "others": lambda: [new_person()], "name": new_name},
    "v1_split_person": {
        "person": lambda: STOCK["owner"],
        "events": lambda: [new_event()],
        "faces": lambda: [],
        "name": new_name,
        "to": lambda: None,
    },
    "v1_forget_person": {"person": new_person},
    "v1_dismiss_merge": {"people": lambda: [new_person(), new_person()]},
    "v1_dismiss_name": {"event": same("lasting"), "person": same("people")},
    "v1_explain_event": {"event": new_event},
    "v1_not_this_person": {"event": new_event, "person": lambda: STOCK["owner"]},
    "v1_not_a_face": {"event": new_event},
    "v1_a_face_after_all": {"event": new_no_face},
    "v1_list_cameras": {"location": lambda: [STOCK["location"]]},
    "v1_get_camera": {"camera": lambda: STOCK["camera"]},
    "v1_add_camera": {"name": new_name, "url": lambda: NOBODY},
    "v1_change_camera": {
        "camera": lambda: STOCK["camera"],
        "name": new_name,
        "url": lambda: NOBODY,
    },
    "v1_remove_camera": {"camera": lambda: new_thing("cameras", url=NOBODY)},
    "v1_watch_again": {
        "camera": lambda: STOCK["camera"],
        "region": lambda: STOCK["regions"].pop(),
    },
    "v1_probe_camera": {"camera": lambda: STOCK["camera"]},
    "v1_probe_address": {"url": lambda: NOBODY},
    "v1_get_location": {"location": lambda: STOCK["location"]},
    "v1_add_location": {"name": new_name, "parent": lambda: None, "time_zone": lambda: ZONE},
    "v1_change_location": {
        "location": lambda: new_thing("locations"),
        "name": new_name,
        "time_zone": lambda: ZONE,
    },
    "v1_remove_location": {"location": lambda: new_thing("locations")},
    "v1_add_key": {"name": new_name, "expires_at": lambda: None},
    "v1_get_key": {"key": lambda: new_thing("keys")},
    "v1_revoke_key": {"key": lambda: new_thing("keys")},
    "v1_add_org": {"name": new_name},
    "v1_get_org": {"org": lambda: STOCK["org"]},
    "v1_rename_org": {"org": lambda: STOCK["org"], "name": new_name},
}


def new_shown_person() -> str:
    answer = requests.post(f"{URL}/api/people", json={"name": new_name()}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    shown: str = answer.json()["id"]
    return shown


BROUGHT = {
    "device_asset_id": "IMG_1",
    "device_id": "a phone",
    "file_created_at": "2026-11-21T12:00:00Z",
    "file_modified_at": "2026-11-21T12:00:00",
}


def form_of(picture: bytes) -> list[tuple[str, tuple[str | None, Any]]]:
    """What brings *picture*, as requests takes it."""
    fields = [(name, (None, value)) for name, value in BROUGHT.items()]
    return [*fields, ("asset_data", ("a.png", picture))]


def new_asset() -> str:
    answer = requests.post(
        f"{URL}/api/assets", files=form_of(PHOTO + new_name().encode()), headers=ADMIN
    )
    assert answer.status_code == 201, answer.text
    asset: str = answer.json()["id"]
    return asset


def shown_face() -> str:
    return str(STOCK["shown_faces"][0])


NEEDED |= {
    "gumnut_get_face": {"face_id": shown_face},
    "gumnut_list_faces": {"ids": lambda: [shown_face()]},
    "gumnut_update_face": {"face_id": shown_face, "person_id": new_shown_person},
    "gumnut_delete_face": {"face_id": lambda: str(STOCK["shown_faces"].pop())},
    "gumnut_get_asset": {"asset_id": lambda: STOCK["asset"]},
    "gumnut_list_assets": {"ids": lambda: [STOCK["asset"]]},
    "gumnut_delete_asset": {"asset_id": new_asset},
    "gumnut_search_assets": {"person_ids": lambda: [new_shown_person()]},
    "gumnut_get_person": {"person_id": new_shown_person},
    "gumnut_create_person": {"name": new_name, "thumbnail_face_id": shown_face},
    "gumnut_update_person": {"person_id": new_shown_person, "name": new_name},
    "gumnut_delete_person": {"person_id": new_shown_person},
    "gumnut_merge_people": {
        "person_id": new_shown_person,
        "source_person_ids": lambda: [new_shown_person()],
    },
}
UNWANTED = {"v1_change_camera": {"location", "sub_location"}, "v1_change_location": {"parent"}}
UNWANTED["v1_add_camera"] = UNWANTED["v1_change_camera"]


_AN_ID = re.compile("ids?$")
"""Filters by ids that are nobody's find nothing, and a made-up library is 404."""


def real(value: Any) -> Any:
    """*value* with what is really there in place of ids and names."""
    if not isinstance(value, dict):
        return value
    return {name: FIELDS[name]() if name in FIELDS else real(it) for name, it in value.items()}


def without_page(value: Any) -> Any:
    """*value* from its first page on: a page's key is signed, none can be made up."""
    if not isinstance(value, dict):
        return value
    return {name: without_page(it) for name, it in value.items() if name != "lastEvaluatedKey"}


def fits(case: Any) -> bool:
    return case.meta is None or case.meta.generation.mode.value == "positive"


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Where what is asked goes: into the path, the query, or else the body."""
    if (case.path_parameters or {}).get("key") in STOCK["our_keys"]:
        case.path_parameters["key"] = new_thing("keys")  # it would lock itself out
    if not fits(case):
        return
    if case.body != (first := without_page(case.body)):
        case.body = first
    files = "multipart/form-data" in str(case.operation.definition.raw.get("requestBody"))
    if draw.random() > REAL and not files:  # it names parts with bytes that no header may hold
        return
    needed = NEEDED.get(case.operation.definition.raw["operationId"], {})
    found = {name: give() for name, give in needed.items()}
    for name in list(case.path_parameters or {}):
        if name in found:
            case.path_parameters[name] = found.pop(name)
    if case.operation.definition.raw["operationId"].startswith("gumnut_") and case.query:
        case.query = {name: it for name, it in case.query.items() if not _AN_ID.search(name)}
    if case.operation.method.upper() in ("GET", "DELETE"):
        case.query = {**(case.query or {}), **found}
    elif "asset_data" in str(case.body):
        kwargs["files"] = form_of(PHOTO)
    elif files:
        if case.query and "transaction" in case.query:
            case.query = {"transaction": new_name(), "createPersonIfNotFound": "true"}
        kwargs["files"] = [("file", (f"{new_name()}.png", PHOTO, "image/png"))]
    elif isinstance(case.body, dict):
        unwanted = UNWANTED.get(case.operation.definition.raw["operationId"], set())
        kept = {name: it for name, it in real(case.body).items() if name not in unwanted}
        case.body = {**kept, **found}


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    sent = {name.lower() for name in response.request.headers}
    if "x-auth-apikey" not in sent or response.request.method != case.operation.method.upper():
        return
    failed = response.status_code == 200 and b'"error":' in response.content[:30]
    label = f"{case.operation.method.upper()} {case.operation.path}"
    how = "in band" if failed else str(response.status_code)
    counts[label, "positive" if fits(case) else "negative", how] += 1


@atexit.register
def write() -> None:
    rows = [[*key, number] for key, number in sorted(counts.items())]
    Path(os.environ["FACEWATCH_COUNTS"]).write_text(json.dumps(rows))
