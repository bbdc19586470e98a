"""Every call of Gumnut's SDK that facewatch answers; runs in a venv of that SDK.

Takes one line of JSON: `url`, `key`, `strict`, and ids of what is there. Prints what it found, for
the test that started it, and fails where an answer is not what the SDK's own types say.
"""

import base64
import json
import sys
import urllib.request
from datetime import UTC, date, datetime
from typing import Any

import gumnut
from gumnut import Gumnut

there: dict[str, Any] = json.loads(sys.stdin.readline())
client = Gumnut(
    base_url=there["url"],
    api_key=there["key"],
    max_retries=0,
    _strict_response_validation=there["strict"],
)
NEWEST = not there["strict"]


def said(error: type[gumnut.APIStatusError], call: Any, *words: Any, **more: Any) -> Any:
    """The body of the refusal that *call* must meet."""
    try:
        call(*words, **more)
    except error as refusal:
        return refusal.body
    raise AssertionError(f"{call} was not refused with {error.__name__}")


def typed(thing: Any) -> Any:
    """*thing*, once more through the SDK's type, with nothing let pass."""
    type(thing).model_validate(thing.model_dump(mode="json", by_alias=True), strict=False)
    return thing


def faces() -> dict[str, Any]:
    face = typed(client.faces.retrieve(there["face"], include="cluster_assignment"))
    assert face.id == there["face"]
    assert face.person_id == there["ann"]
    assert {*face.bounding_box} == {"x", "y", "w", "h"}
    assert face.cluster_assignment.distance_to_person is not None
    near = face.cluster_assignment.candidates
    assert [it.person_id for it in near] == [there["bob"], there["unnamed"]]
    assert [it.name for it in near] == ["Bob", None]
    assert near[0].distance < near[1].distance
    with urllib.request.urlopen(face.asset_urls["thumbnail"].url) as answer:
        assert answer.read() == b"her face"
    assert client.faces.retrieve(there["face"]).cluster_assignment is None
    assert typed(client.faces.retrieve(there["face"], library_id=there["library"]))

    assert [it.id for it in client.faces.list(asset_id=face.asset_id)] == [there["face"]]
    assert there["face"] in [it.id for it in client.faces.list(person_id=there["ann"])]
    assert [it.id for it in client.faces.list(ids=[there["face"], there["other"]], limit=1)] == (
        sorted([there["face"], there["other"]], reverse=True)
    )

    given = typed(client.faces.update(there["other"], person_id=there["ann"]))
    assert given.person_id == there["ann"]
    assert client.faces.update(there["other"]).person_id == there["ann"]
    assert client.faces.update(there["other"], person_id=None).person_id is None
    client.faces.delete(there["other"])
    said(gumnut.NotFoundError, client.faces.retrieve, there["other"])
    return {"distance": face.cluster_assignment.distance_to_person}


def people() -> dict[str, Any]:
    made = typed(client.people.create(name=" Cy ", birth_date=date(1990, 2, 28), is_favorite=True))
    assert (made.name, made.birth_date, made.is_favorite) == ("Cy", date(1990, 2, 28), True)
    assert client.people.create(name="Cy", is_favorite=True).id == made.id
    changed = typed(client.people.update(made.id, name="Cyd", is_hidden=True))
    assert (changed.name, changed.is_hidden, changed.is_favorite) == ("Cyd", True, True)
    assert typed(client.people.retrieve(made.id, include="cluster_metrics")).name == "Cyd"
    ann = typed(client.people.retrieve(there["ann"], include="cluster_metrics"))
    assert ann.cluster_metrics.face_count >= 1
    assert ann.asset_urls["thumbnail"].mimetype == "image/jpeg"

    assert made.id not in [it.id for it in client.people.list(limit=1)]
    assert [it.id for it in client.people.list(ids=[made.id])] == [made.id]
    assert [it.id for it in client.people.list(name="an")] == [there["ann"]]
    unnamed = [it.id for it in client.people.list(name_filter="unnamed")]
    assert unnamed == [there["unnamed"]]
    assert there["ann"] in [it.id for it in client.people.list(asset_id=there["asset"])]
    if NEWEST:
        by_name = [it.name for it in client.people.list(sort="name_desc", limit=1)]
        assert by_name == sorted(by_name, reverse=True)
        everybody = client.people.list(include_hidden=True, sort="created_at_asc", limit=2)
        assert [it.id for it in everybody][-1] == made.id

    merged = typed(client.people.merge(there["bob"], source_person_ids=[made.id]))
    assert (merged.id, merged.name) == (there["bob"], "Bob")
    assert client.people.retrieve(made.id).id == there["bob"]
    gone = client.people.create()
    client.people.delete(gone.id)
    said(gumnut.NotFoundError, client.people.retrieve, gone.id)
    return {"merged": made.id}


def pictures() -> dict[str, Any]:
    asset = typed(client.assets.retrieve(there["asset"]))
    assert [it.id for it in asset.faces] == [there["face"]]
    assert [it.id for it in asset.people] == [there["ann"]]
    assert asset.asset_urls["original"].mimetype == "image/jpeg"
    hers = typed(client.search.search(person_ids=[there["ann"]], page=1, limit=200))
    found = [it.asset.id for it in hers.data]
    assert there["asset"] in found
    assert {it.distance for it in hers.data} == {None}
    nobody = client.search.search(person_ids=[there["ann"], there["bob"]])
    assert nobody.data == []
    if not NEWEST:
        window = {"captured_after": "2026-11-21T00:00:00", "captured_before": datetime.now(UTC)}
        assert client.search.search(person_ids=[there["ann"]], **window).data
        said(gumnut.BadRequestError, client.search.search)
    said(gumnut.UnprocessableEntityError, client.search.search, query="a red coat")
    return {"found": found}


def brought() -> dict[str, Any]:
    """A picture is brought; both SDKs send it as the same form."""
    when = datetime(2026, 11, 21, 12, tzinfo=UTC)
    told = {
        "asset_data": ("a.png", base64.b64decode(there["picture"]), "image/png"),
        "device_asset_id": "IMG_1",
        "device_id": "a phone",
        "file_created_at": when,
        "file_modified_at": "2026-11-21T12:00:00",
    }
    asset = typed(client.assets.create(**told))
    assert (asset.mime_type, asset.width, asset.height) == ("image/png", 64, 48)
    assert asset.local_datetime == when
    assert asset.ingest["status"] == "pending"
    assert client.assets.create(**told, library_id=there["library"]).id == asset.id
    assert [it.id for it in client.assets.list(ids=[asset.id])] == [asset.id]
    with urllib.request.urlopen(asset.asset_urls["original"].url) as answer:
        assert answer.read() == told["asset_data"][1]
    words = {**told, "asset_data": ("a.txt", b"Dear sirs")}
    said(gumnut.UnprocessableEntityError, client.assets.create, **words)
    viewer = Gumnut(base_url=there["url"], api_key=there["viewer"], max_retries=0)
    said(gumnut.PermissionDeniedError, viewer.assets.create, **told)

    hers = {"person_ids": [there["ann"]]} if NEWEST else {"person_id": there["ann"]}
    assert there["asset"] in [it.id for it in client.assets.list(**hers, limit=1)]
    window = {"local_datetime_after": when.replace(day=20), "local_datetime_before": when}
    assert asset.id not in [it.id for it in client.assets.list(**window)]
    if NEWEST:
        whole = client.assets.list(include=["faces", "file_data"], media_type="image", order="asc")
        assert typed(next(iter(whole))).file_data.checksum
    client.assets.delete(asset.id)
    said(gumnut.NotFoundError, client.assets.retrieve, asset.id)
    return {"walked_assets": [it.id for it in client.assets.list(limit=3)]}


def refusals() -> None:
    wrong = Gumnut(base_url=there["url"], api_key="apikey_wrong", max_retries=0)
    assert wrong.ping.get() == "pong"
    assert "detail" in said(gumnut.AuthenticationError, wrong.faces.list)
    viewer = Gumnut(base_url=there["url"], api_key=there["viewer"], max_retries=0)
    said(gumnut.PermissionDeniedError, viewer.people.create, name="Dee")
    for call, bad in ((client.faces.retrieve, "face_x"), (client.people.retrieve, "a/b")):
        assert "detail" in said(gumnut.NotFoundError, call, bad)
    assert "detail" in said(gumnut.NotFoundError, client.faces.list, library_id="lib_x")
    for limit in (0, 201):
        (detail,) = said(gumnut.UnprocessableEntityError, client.faces.list, limit=limit)["detail"]
        assert detail["loc"] == ["query", "limit"]
    said(gumnut.UnprocessableEntityError, client.people.list, include="everything")
    said(gumnut.UnprocessableEntityError, client.people.create, name=" ")
    said(gumnut.ConflictError, client.people.update, there["bob"], name="Ann")


def walk() -> list[str]:
    """Every face there is, while others write."""
    return [it.id for it in client.faces.list(limit=3)]


walked = walk()
print(json.dumps({**faces(), **people(), **pictures(), **brought(), "walked": walked}))
refusals()
