"""/api/people over a socket: the same persons as in the two other contracts, and the unnamed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import NOON, ORG, a_face, a_record, a_template, turned
from gumnut_api import ask, done, face_id, face_of, far, person_id, refused, visit, with_faces
from house_api import House, known, open_house

from facewatch.domain.ids import PersonId, from_prefixed, new_id, to_prefixed, to_ruuid
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


async def cluster(house: House) -> str:
    """An unknown visitor who came back."""
    person = PersonId(new_id())
    await house.sql.execute("INSERT INTO person (id, org) VALUES ($1, $2)", person, ORG)
    return person_id(person)


async def names(house: House, **params: Any) -> list[str | None]:
    found = await done(house, "GET", "people", params=params)
    return [it["name"] for it in found["data"]]


# --- one person -------------------------------------------------------------------------------


async def test_somebody_is_made_read_changed_and_deleted(house: House) -> None:
    async with house.client.post(
        "/api/people", json={"name": " Ann ", "birth_date": "1990-02-28", "is_favorite": True}
    ) as answer:
        made = await answer.json()
        assert (answer.status, answer.headers["Location"]) == (201, f"/api/people/{made['id']}")
    path = f"people/{made['id']}"
    assert {name: it for name, it in made.items() if not name.endswith("_at")} == {
        "id": made["id"],
        "is_hidden": False,
        "is_favorite": True,
        "name": "Ann",
        "birth_date": "1990-02-28",
        "asset_count": 0,
        "thumbnail_face_id": None,
        "asset_urls": None,
        "cluster_metrics": None,
    }
    assert await done(house, "GET", path) == made

    changed = await done(house, "PATCH", path, json={"is_hidden": True, "birth_date": None})
    assert (changed["name"], changed["birth_date"]) == ("Ann", None)
    assert (changed["is_hidden"], changed["is_favorite"]) == (True, True)
    unnamed = await done(house, "PATCH", path, json={"name": None, "is_hidden": None})
    assert (unnamed["name"], unnamed["is_hidden"]) == (None, True)

    assert await done(house, "DELETE", path) == {}
    for method in ("GET", "PATCH", "DELETE"):
        assert (await refused(house, method, path, json={}))[0] == 404


async def test_the_same_person_in_every_contract(house: House) -> None:
    made = await done(house, "POST", "people", json={"name": "Ann"})
    ann = to_ruuid(known_as(made["id"]))

    answer = await house.rhombus("person/getPerson", personUuid=ann)
    assert answer["person"]["name"] == "Ann"
    assert (await house.done("GET", f"people/{ann}"))["name"] == "Ann"
    await house.done("PATCH", f"people/{ann}", json={"name": "Anna"})
    assert (await done(house, "GET", f"people/{made['id']}"))["name"] == "Anna"
    await house.rhombus("person/deletePerson", personUuid=ann)
    assert (await refused(house, "GET", f"people/{made['id']}"))[0] == 404


def known_as(person: str) -> PersonId:
    return PersonId(from_prefixed("person", person))


async def test_saying_it_again_makes_nobody(house: House) -> None:
    told = {"name": "Ann", "is_favorite": True}
    made = await done(house, "POST", "people", json=told)

    assert await done(house, "POST", "people", json=told) == made
    status, _ = await refused(house, "POST", "people", json={**told, "is_favorite": False})
    assert status == 409
    one = await done(house, "POST", "people", json={})
    two = await done(house, "POST", "people", json={})
    assert one["id"] != two["id"]


async def test_counts_and_thumbnails_follow_every_change(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")

    async def shown(person: str) -> tuple[int, str | None, bool]:
        it = await done(house, "GET", f"people/{person_id(known(person))}")
        return it["asset_count"], it["thumbnail_face_id"], it["asset_urls"] is not None

    assert await shown(ann) == (0, None, False)
    record = await visit(house, ann)
    assert await shown(ann) == (1, face_of(record), True)
    enrolled = await house.enrolled(ann)
    assert await shown(ann) == (2, face_id(enrolled), True)
    await done(
        house,
        "PATCH",
        f"people/{person_id(known(ann))}",
        json={"thumbnail_face_id": face_of(record)},
    )
    assert await shown(ann) == (2, face_of(record), True)
    await done(
        house, "PATCH", f"faces/{face_of(record)}", json={"person_id": person_id(known(bob))}
    )
    assert await shown(ann) == (1, face_id(enrolled), True)
    assert await shown(bob) == (1, face_of(record), True)
    await done(house, "DELETE", f"faces/{face_of(record)}")
    assert await shown(bob) == (0, None, False)


async def test_a_picture_with_two_faces_of_somebody_is_one_asset(house: House) -> None:
    ann = await house.person("Ann")
    record = a_record(house.camera.id, closed=True)
    record = with_faces(record, record.snapshot.faces[0], a_face(None))
    await house.events.add([record])
    for face in record.snapshot.faces:
        sent = {"person_id": person_id(known(ann))}
        await done(house, "PATCH", f"faces/{face_id(face.id)}", json=sent)

    shown = await done(house, "GET", f"people/{person_id(known(ann))}")

    assert shown["asset_count"] == 1


async def test_how_tight_the_faces_lie_together(house: House) -> None:
    ann = await house.person("Ann")
    faces = [a_template(1), turned(a_template(1), 0.9, 1), turned(a_template(1), 0.8, 2)]
    for template in faces:
        await visit(house, ann, template=template)
    path = f"people/{person_id(known(ann))}?include=cluster_metrics"

    metrics = (await done(house, "GET", path))["cluster_metrics"]

    apart = [far(faces[0], faces[1]), far(faces[0], faces[2]), far(faces[1], faces[2])]
    assert metrics["face_count"] == 3
    assert metrics["pairwise_mean"] == pytest.approx(sum(apart) / 3, abs=1e-5)
    assert sorted(apart)[1] < metrics["pairwise_p90"] <= max(apart)
    nobody = await house.person("Bob")
    path = f"people/{person_id(known(nobody))}?include=cluster_metrics"
    assert (await done(house, "GET", path))["cluster_metrics"] is None


async def test_deleting_somebody_leaves_the_pictures(house: House) -> None:
    ann = await house.person("Ann")
    record, enrolled = await visit(house, ann), await house.enrolled(ann)

    await done(house, "DELETE", f"people/{person_id(known(ann))}")

    face = await done(house, "GET", f"faces/{face_of(record)}")
    assert (face["person_id"], face["asset_urls"] is not None) == (None, True)
    event = await house.event(to_ruuid(record.id))
    assert not event.get("faceName")
    assert event["thumbnailS3Key"] == record.thumbnail_key
    assert (await refused(house, "GET", f"faces/{face_id(enrolled)}"))[0] == 404
    assert (await house.people.gallery(ORG, "sface"))[1] == []
    assert (await house.ask("GET", f"people/{ann}"))[0] == 404
    assert (await done(house, "POST", "people", json={"name": "Ann"}))["id"] != person_id(
        known(ann)
    )


# --- two who are one --------------------------------------------------------------------------


async def test_merged_ids_mean_the_one(house: House) -> None:
    ann, anna = await house.person("Ann"), await house.person("Anna")
    unnamed = await cluster(house)
    record = await visit(house, anna)
    path = f"people/{person_id(known(ann))}/merge"
    sources = {"source_person_ids": [person_id(known(anna)), unnamed]}

    merged = await done(house, "POST", path, json=sources)

    assert (merged["id"], merged["name"]) == (person_id(known(ann)), "Ann")
    assert (merged["asset_count"], merged["thumbnail_face_id"]) == (1, face_of(record))
    again = await done(house, "POST", path, json=sources)
    assert again["id"] == merged["id"]
    for old in sources["source_person_ids"]:
        assert (await done(house, "GET", f"people/{old}"))["id"] == merged["id"]
        faces = await done(house, "GET", "faces", params={"person_id": old})
        assert [it["id"] for it in faces["data"]] == [face_of(record)]
    found = await done(house, "GET", "people", params={"ids": sources["source_person_ids"]})
    assert [it["id"] for it in found["data"]] == [merged["id"]]
    assert (await house.event(to_ruuid(record.id)))["faceName"] == "Ann"
    given = {"person_id": person_id(known(anna))}
    assert (await done(house, "PATCH", f"faces/{face_of(record)}", json=given))[
        "person_id"
    ] == merged["id"]


async def test_what_cannot_be_merged(house: House) -> None:
    ann = person_id(known(await house.person("Ann")))
    path = f"people/{ann}/merge"

    async def status(*sources: str) -> int:
        found, _ = await refused(house, "POST", path, json={"source_person_ids": list(sources)})
        return found

    assert await status(ann) == 422
    assert await status() == 422
    assert await status(to_prefixed("person", new_id())) == 404
    assert await status("person_x") == 404
    assert (await refused(house, "POST", path, json={}))[0] == 422
    nobody = f"people/{to_prefixed('person', new_id())}/merge"
    assert (await refused(house, "POST", nobody, json={"source_person_ids": [ann]}))[0] == 404


# --- lists ------------------------------------------------------------------------------------


async def test_who_is_listed(house: House) -> None:
    for name in ("Ann", "Joanna", "Zoë", "100%"):
        await house.person(name)
    hidden = await done(house, "POST", "people", json={"name": "Hidden", "is_hidden": True})
    unnamed = await cluster(house)

    assert await names(house) == ["100%", "Zoë", "Joanna", "Ann"]
    assert await names(house, sort="created_at_asc") == ["Ann", "Joanna", "Zoë", "100%"]
    assert await names(house, include_hidden="true") == ["Hidden", "100%", "Zoë", "Joanna", "Ann"]
    assert await names(house, name_filter="unnamed") == [None]
    assert await names(house, name_filter="all") == [None, "100%", "Zoë", "Joanna", "Ann"]
    assert await names(house, name="ANN") == ["Joanna", "Ann"]
    assert await names(house, name="%") == ["100%"]
    assert await names(house, name="ZOË") == ["Zoë"]
    assert await names(house, name="😀" * 100) == []
    assert await names(house, name="x" * 5000) == []
    ids = f"{hidden['id']},{unnamed}"
    assert await names(house, ids=ids) == [None, "Hidden"]
    assert await names(house, ids=ids, include_hidden="false") == [None]
    assert await names(house, ids=ids, name_filter="named") == ["Hidden"]


async def test_who_is_in_a_picture(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    record = await visit(house, ann)
    await visit(house, bob)
    asset = to_prefixed("asset", record.snapshot.id)

    assert await names(house, asset_id=asset) == ["Ann"]


async def test_people_by_name_and_by_pictures(house: House) -> None:
    for name, visits_of in (("zoë", 1), ("Ann", 2), ("Éva", 0), ("Bob", 3)):
        person = await house.person(name)
        for _ in range(visits_of):
            await visit(house, person)
    await cluster(house)

    assert await names(house, sort="name_asc") == ["Ann", "Bob", "Éva", "zoë"]
    assert await names(house, sort="name_desc") == ["zoë", "Éva", "Bob", "Ann"]
    everybody = {"name_filter": "all"}
    assert await names(house, sort="name_asc", **everybody) == ["Ann", "Bob", "Éva", "zoë", None]
    assert await names(house, sort="name_desc", **everybody) == ["zoë", "Éva", "Bob", "Ann", None]
    assert await names(house, sort="asset_count_desc") == ["Bob", "Ann", "zoë", "Éva"]
    assert await names(house, sort="asset_count_asc") == ["Éva", "zoë", "Ann", "Bob"]
    params = {"sort": "name_asc", "name_filter": "unnamed"}
    status, detail = await refused(house, "GET", "people", params=params)
    assert (status, detail[0]["loc"]) == (422, ["query", "sort"])


async def test_a_sorted_walk_goes_on_behind_somebody_who_is_hidden_meanwhile(house: House) -> None:
    for name in ("Ann", "Bob", "Cy"):
        await house.person(name)
    params: dict[str, Any] = {"sort": "name_asc", "limit": 2}
    bob = (await done(house, "GET", "people", params=params))["data"][-1]["id"]
    params["starting_after_id"] = bob

    await done(house, "PATCH", f"people/{bob}", json={"is_hidden": True})
    assert await names(house, **params) == ["Cy"]
    await done(house, "DELETE", f"people/{bob}")
    assert (await refused(house, "GET", "people", params=params))[0] == 404


SORTS = [f"{by}_{way}" for by in ("created_at", "name", "asset_count") for way in ("asc", "desc")]


@pytest.mark.parametrize("sort", SORTS)
async def test_a_walk_meets_everybody_once_while_new_ones_come(house: House, sort: str) -> None:
    there = [person_id(known(await house.person(f"P{number}"))) for number in range(7)]
    found: list[str] = []
    params: dict[str, Any] = {"limit": 2, "sort": sort}
    while True:
        page = await done(house, "GET", "people", params=params)
        found += [it["id"] for it in page["data"]]
        if not page["has_more"] or len(found) > 50:
            break
        params["starting_after_id"] = found[-1]
        if len(found) < 10:
            await house.person(f"new {len(found)}")
        if len(found) == 4 and sort.startswith("created"):
            await done(house, "DELETE", f"people/{found[-1]}")

    assert len(found) == len(set(found))
    assert set(there) <= set(found)


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "where"),
    [
        ({"name": " "}, ["body", "name"]),
        ({"name": "a\0b"}, ["body", "name"]),
        ({"name": "x" * 201}, ["body", "name"]),
        ({"name": 7}, ["body", "name"]),
        ({"name": "\ud800"}, ["body", "name"]),
        ({"birth_date": "yesterday"}, ["body", "birth_date"]),
        ({"birth_date": "2023-02-30"}, ["body", "birth_date"]),
        ({"birth_date": 0}, ["body", "birth_date"]),
        ({"birth_date": "0"}, ["body", "birth_date"]),
        ({"is_favorite": 0}, ["body", "is_favorite"]),
        ({"is_hidden": "perhaps"}, ["body", "is_hidden"]),
    ],
)
async def test_what_nobody_can_be(house: House, sent: dict[str, Any], where: list[str]) -> None:
    ann = person_id(known(await house.person("Ann")))

    for method, path in (("POST", "people"), ("PATCH", f"people/{ann}")):
        status, detail = await refused(house, method, path, json=sent)
        assert (status, detail[0]["loc"]) == (422, where)


async def test_what_is_not_there_is_404(house: House) -> None:
    ann = person_id(known(await house.person("Ann")))
    face, asset = to_prefixed("face", new_id()), to_prefixed("asset", new_id())

    for path in (f"people/{to_prefixed('person', new_id())}", "people/person_x", f"people/{face}"):
        for method in ("GET", "PATCH", "DELETE"):
            assert (await refused(house, method, path, json={}))[0] == 404
    for sent in ({"thumbnail_face_id": face}, {"thumbnail_face_id": "face_x"}):
        assert (await refused(house, "PATCH", f"people/{ann}", json=sent))[0] == 404
        assert (await refused(house, "POST", "people", json=sent))[0] == 404
    for params in (
        {"asset_id": asset},
        {"album_id": to_prefixed("album", new_id())},
        {"library_id": to_prefixed("lib", new_id())},
        {"starting_after_id": "x"},
    ):
        assert (await refused(house, "GET", "people", params=params))[0] == 404
    other = {"name": "Eve", "library_id": to_prefixed("lib", new_id())}
    assert (await refused(house, "POST", "people", json=other))[0] == 404
    assert await names(house) == ["Ann"]


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "201"},
        {"include": "cluster_assignment"},
        {"name_filter": "some"},
        {"sort": "best"},
        {"include_hidden": "perhaps"},
        {"name": "a\0b"},
    ],
)
async def test_what_cannot_be_listed(house: House, params: dict[str, str]) -> None:
    status, detail = await refused(house, "GET", "people", params=params)

    assert (status, detail[0]["loc"][:2]) == (422, ["query", next(iter(params))])


async def test_a_name_that_is_taken_is_409_and_not_worth_another_try(house: House) -> None:
    await house.person("Ann")
    bob = person_id(known(await house.person("Bob")))

    async with house.client.patch(f"/api/people/{bob}", json={"name": "Ann"}) as answer:
        assert (answer.status, answer.headers["x-should-retry"]) == (409, "false")


async def test_a_viewer_changes_nobody(house: House) -> None:
    ann = person_id(known(await house.person("Ann")))
    _, secret = await PostgresKeys(house.database).create(ORG, "eyes", "viewer")
    headers = {"x-auth-apikey": secret}

    assert (await ask(house, "GET", f"people/{ann}", headers=headers))[0] == 200
    for method, path in (
        ("POST", "people"),
        ("PATCH", f"people/{ann}"),
        ("DELETE", f"people/{ann}"),
        ("POST", f"people/{ann}/merge"),
    ):
        sent = {"source_person_ids": [ann]}
        assert (await refused(house, method, path, json=sent, headers=headers))[0] == 403


async def test_older_visits_of_a_deleted_person_are_decided_again(house: House) -> None:
    """Nobody said whose they are: what a machine may think about them is open."""
    ann = await house.person("Ann")
    record = await visit(house, ann, at=NOON - timedelta(days=2))
    await done(house, "DELETE", f"people/{person_id(known(ann))}")

    row = await house.sql.fetchrow(
        "SELECT person, assigned_by, erased_at FROM face_event WHERE id = $1", record.id
    )

    assert tuple(row.values()) == (None, None, None)
