"""/api/faces over a socket: read, walk, assign, detach, delete; thumbnails; who may not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import numpy as np
import pytest
from factories import NOON, ORG, a_camera, a_face, a_record, a_template, some_deps, turned
from gumnut_api import (
    ask,
    done,
    face_id,
    face_of,
    far,
    middle,
    person_id,
    refused,
    visit,
    visits,
    with_faces,
)
from house_api import House, known, open_house

from facewatch.api.server import application, serving
from facewatch.domain.geometry import Box
from facewatch.domain.ids import FaceId, KeyId, OrgId, PersonId, new_id, to_prefixed, to_ruuid
from facewatch.store.blobs import LocalBlobs
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys
from facewatch.store.secrets import Vault
from facewatch.vision.pictures import JpegPngEncoder, header


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def foreign(house: House, tmp_path: Path) -> tuple[OrgId, str, str]:
    """Another org, one of its faces, and one of its persons."""
    org = OrgId(new_id())
    await house.sql.execute("INSERT INTO org (id, name) VALUES ($1, 'theirs')", org)
    location = new_id()
    await house.sql.execute(
        "INSERT INTO location (id, org, name) VALUES ($1, $2, 'there')", location, org
    )
    camera = replace(a_camera(), org=org, location=location)
    await PostgresCameras(house.database, Vault(tmp_path)).add(camera)
    record = replace(a_record(camera.id, closed=True), org=org, location=location)
    await house.events.add([record])
    person = await house.people.create(org, "Theirs")
    return org, face_of(record), person_id(person.id)


async def walked(house: House, path: str, **params: Any) -> list[dict[str, Any]]:
    """Everything of a list, page by page."""
    found: list[dict[str, Any]] = []
    more = True
    while more:
        page = await done(house, "GET", path, params=params)
        found += page["data"]
        more = page["has_more"]
        if more:
            params["starting_after_id"] = found[-1]["id"]
    return found


# --- one face ---------------------------------------------------------------------------------


async def test_a_whole_answer(house: House) -> None:
    ann = await house.person("Ann")
    record = await visit(house, ann)

    answer = await done(house, "GET", f"faces/{face_of(record)}")

    url = answer["asset_urls"]["thumbnail"].pop("url")
    assert urlsplit(url).path == f"/media/signed/faces/{face_of(record)}"
    updated = answer.pop("updated_at")
    assert updated.endswith("Z")
    seen = answer.pop("created_at")
    assert seen.endswith("Z")
    assert answer == {
        "id": face_of(record),
        "asset_id": to_prefixed("asset", record.snapshot.id),
        "bounding_box": {"x": 100, "y": 80, "w": 64, "h": 80},
        "person_id": person_id(known(ann)),
        "timestamp_ms": None,
        "asset_urls": {"thumbnail": {"mimetype": "image/jpeg", "width": None}},
        "cluster_assignment": None,
        "source": "automatic",
        "confidence": pytest.approx(0.95),
    }


async def test_a_box_never_leaves_its_picture(house: House) -> None:
    record = a_record(house.camera.id, closed=True)
    beyond = replace(record.snapshot.faces[0], box=Box(-12.4, 700.2, 40.0, 760.0))
    await house.events.add([with_faces(record, beyond)])

    answer = await done(house, "GET", f"faces/{face_of(record)}")

    assert answer["bounding_box"] == {"x": 0, "y": 700, "w": 40, "h": 20}


async def test_an_enrolled_face_is_in_its_photo(house: House) -> None:
    ann = await house.person("Ann")
    face = await house.enrolled(ann)

    answer = await done(house, "GET", f"faces/{face_id(face)}")

    assert answer["person_id"] == person_id(known(ann))
    assert answer["bounding_box"] == {"x": 20, "y": 20, "w": 100, "h": 120}
    listed = await done(house, "GET", "faces", params={"asset_id": answer["asset_id"]})
    assert [it["id"] for it in listed["data"]] == [face_id(face)]


@pytest.mark.parametrize("include", ["cluster_assignment", ["cluster_assignment"]])
async def test_how_a_face_fits_its_person_and_who_else_is_near(house: House, include: Any) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    probe = a_template(1)
    hers = [turned(probe, 0.8, 1), turned(probe, 0.7, 2)]
    his = turned(probe, 0.4, 3)
    record = await visit(house, ann, template=probe)
    for template in hers:
        await visit(house, ann, template=template)
    await house.enrolled(bob, template=his)
    cluster = PersonId(new_id())
    await house.sql.execute("INSERT INTO person (id, org) VALUES ($1, $2)", cluster, ORG)
    unnamed = turned(probe, 0.5, 4)
    await visit(house, to_ruuid(cluster), template=unnamed)

    answer = await done(house, "GET", f"faces/{face_of(record)}", params={"include": include})

    fit = answer["cluster_assignment"]
    assert fit["distance_to_person"] == pytest.approx(far(probe, middle(probe, *hers)), abs=1e-5)
    assert fit["candidates"] == [
        {
            "person_id": person_id(cluster),
            "distance": pytest.approx(far(probe, unnamed), abs=1e-5),
            "name": None,
        },
        {
            "person_id": person_id(known(bob)),
            "distance": pytest.approx(far(probe, his), abs=1e-5),
            "name": "Bob",
        },
    ]


async def test_candidates_follow_every_change_at_once(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    probe = a_template(1)
    record = await visit(house, template=probe)
    hers = await visit(house, ann, template=turned(probe, 0.6, 1))
    path = f"faces/{face_of(record)}?include=cluster_assignment"

    async def near() -> tuple[float | None, list[tuple[str | None, float]]]:
        fit = (await done(house, "GET", path))["cluster_assignment"]
        return fit["distance_to_person"], [
            (it["name"], round(it["distance"], 3)) for it in fit["candidates"]
        ]

    assert await near() == (None, [("Ann", 0.4)])
    await done(house, "PATCH", f"faces/{face_of(hers)}", json={"person_id": person_id(known(bob))})
    assert await near() == (None, [("Bob", 0.4)])
    await done(house, "PATCH", f"people/{person_id(known(bob))}", json={"is_hidden": True})
    assert await near() == (None, [])
    await done(house, "PATCH", f"people/{person_id(known(bob))}", json={"is_hidden": False})
    await done(house, "DELETE", f"faces/{face_of(hers)}")
    assert await near() == (None, [])
    await house.enrolled(ann, template=turned(probe, 0.9, 2))
    await done(
        house, "PATCH", f"faces/{face_of(record)}", json={"person_id": person_id(known(ann))}
    )
    distance, others = await near()
    assert others == []
    assert distance == pytest.approx(1 - 0.95**0.5, abs=1e-4)  # half of an angle of cosine 0.9
    await house.done("DELETE", f"people/{ann}")
    assert not await house.sql.fetchval("SELECT count(*) FROM centroid")


# --- lists ------------------------------------------------------------------------------------


async def test_a_walk_meets_every_face_once_while_new_ones_come(house: House) -> None:
    there = {
        to_prefixed("face", face.id)
        for record in await visits(house, 25)
        for face in record.snapshot.faces
    }
    going = True

    async def recording() -> None:
        number = 1000
        while going:
            await visits(house, 2, number)
            number += 2

    recorder = asyncio.create_task(recording())
    found = [it["id"] for it in await walked(house, "faces", limit=3)]
    going = False
    await recorder

    assert len(found) == len(set(found))
    assert there <= set(found)


async def test_faces_come_newest_first(house: House) -> None:
    await visits(house, 5)

    found = await walked(house, "faces", limit=2)

    times = [it["created_at"] for it in found]
    assert times == sorted(times, reverse=True)
    assert len(found) == 10


async def test_a_walk_goes_on_from_a_face_that_is_gone(house: House) -> None:
    records = await visits(house, 4)
    first = await done(house, "GET", "faces", params={"limit": 3})
    await done(house, "DELETE", f"faces/{first['data'][-1]['id']}")

    rest = await walked(house, "faces", limit=3, starting_after_id=first["data"][-1]["id"])

    whole = {face_id(face.id) for record in records for face in record.snapshot.faces}
    assert len(rest) == 5
    assert {it["id"] for it in rest} | {it["id"] for it in first["data"]} == whole


async def test_the_filters_of_a_list(house: House) -> None:
    ann = await house.person("Ann")
    one, two = await visit(house, ann), await visit(house, ann)
    (nobody,) = await visits(house, 1)
    asset = to_prefixed("asset", one.snapshot.id)
    hers = {face_of(one), face_of(two)}

    async def found(**params: Any) -> set[str]:
        return {it["id"] for it in await walked(house, "faces", **params)}

    assert await found(person_id=person_id(known(ann))) == hers
    assert await found(person_id=person_id(known(ann)), limit=1) == hers
    assert await found(asset_id=asset) == {face_of(one)}
    assert await found(asset_id=asset, person_id=person_id(known(ann))) == {face_of(one)}
    ids = [face_of(one), face_of(nobody), face_id(FaceId(new_id()))]
    assert await found(ids=ids) == {face_of(one), face_of(nobody)}
    assert await found(ids=",".join(ids), person_id=person_id(known(ann))) == {face_of(one)}
    assert await found(ids=[face_id(FaceId(new_id()))]) == set()


async def test_a_list_reads_no_more_than_its_page(house: House) -> None:
    await visits(house, 3)
    await house.sql.execute("ANALYZE face")
    known_as = house.database._statements
    first, last = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
    given = {"org": ORG, "first": first, "before": last, "limit": 5}
    for name, more, index in (
        ("face_page", {}, "face_org"),
        ("face_page_of_person", {"person": new_id()}, "face_person"),
    ):
        statement = known_as[name]
        async with house.sql.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            plan = await connection.fetch(
                f"EXPLAIN {statement.sql}", *statement.arguments({**given, **more})
            )
        text = "\n".join(row[0] for row in plan)
        assert f"using {index}" in text, text
        assert "Sort" not in text, text


# --- changes ----------------------------------------------------------------------------------


async def test_assigning_a_face_gives_its_visit_in_every_contract(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    record = await visit(house, ann)

    answer = await done(
        house, "PATCH", f"faces/{face_of(record)}", json={"person_id": person_id(known(bob))}
    )

    assert answer["person_id"] == person_id(known(bob))
    assert (await house.event(to_ruuid(record.id)))["faceName"] == "Bob"
    assert await house.found(bob) == [to_ruuid(record.id)]
    await house.events.add([replace(record, version=2)])  # the machine still thinks it is Ann
    assert (await done(house, "GET", f"faces/{face_of(record)}"))["person_id"] == person_id(
        known(bob)
    )


async def test_what_rhombus_clients_say_is_shown_at_once(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    record = await visit(house, ann)

    await house.rhombus(
        "faceEvent/updateFaceEvent", eventUuid=to_ruuid(record.id), personUuid=bob, faceName="Bob"
    )

    answer = await done(house, "GET", f"faces/{face_of(record)}")
    assert answer["person_id"] == person_id(known(bob))


async def test_detaching_says_that_it_is_not_theirs(house: House) -> None:
    ann = await house.person("Ann")
    record = await visit(house, ann)
    path = f"faces/{face_of(record)}"

    assert (await done(house, "PATCH", path, json={}))["person_id"] is not None
    assert (await done(house, "PATCH", path, json={"person_id": None}))["person_id"] is None
    assert (await done(house, "PATCH", path, json={"person_id": None}))["person_id"] is None

    said = await house.sql.fetch("SELECT kind, one, other FROM dismissed")
    assert [tuple(row.values()) for row in said] == [("name", record.id, known(ann))]
    assert await house.found(ann) == []
    await house.events.add([replace(record, version=2)])
    assert (await done(house, "GET", path))["person_id"] is None


async def test_a_bystander_is_given_and_taken_by_themselves(house: House) -> None:
    ann = await house.person("Ann")
    (record,) = await visits(house, 1)
    bystander = face_id(record.snapshot.faces[1].id)

    given = await done(
        house, "PATCH", f"faces/{bystander}", json={"person_id": person_id(known(ann))}
    )

    assert given["person_id"] == person_id(known(ann))
    assert (await done(house, "GET", f"faces/{face_of(record)}"))["person_id"] is None
    shown = await done(house, "GET", f"people/{person_id(known(ann))}")
    assert (shown["asset_count"], shown["thumbnail_face_id"]) == (1, bystander)
    await done(house, "PATCH", f"faces/{bystander}", json={"person_id": None})
    assert (await done(house, "GET", f"people/{person_id(known(ann))}"))["asset_count"] == 0


async def test_an_enrolled_face_changes_hands_and_rests(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    face = await house.enrolled(ann)
    path = f"faces/{face_id(face)}"
    before, _ = await house.people.gallery(ORG, "sface")

    await done(house, "PATCH", path, json={"person_id": person_id(known(bob))})
    revision, gallery = await house.people.gallery(ORG, "sface")
    assert [(it.face, it.person) for it in gallery] == [(face, known(bob))]
    assert revision > before

    await done(house, "PATCH", path, json={"person_id": None})
    assert (await house.people.gallery(ORG, "sface"))[1] == []
    assert (await done(house, "GET", path))["asset_urls"] is not None

    await done(house, "PATCH", path, json={"person_id": person_id(known(ann))})
    assert [it.face for it in await house.people.matchmakers(ORG, known(ann))] == [face]


async def test_what_rests_goes_with_whom_it_was_enrolled_for(house: House) -> None:
    ann = await house.person("Ann")
    face = await house.enrolled(ann)
    await done(house, "PATCH", f"faces/{face_id(face)}", json={"person_id": None})

    await house.done("DELETE", f"people/{ann}")

    assert (await refused(house, "GET", f"faces/{face_id(face)}"))[0] == 404
    kept = await house.sql.fetchval("SELECT count(*) FROM template")
    assert kept == 0


async def test_a_deleted_face_stays_away(house: House) -> None:
    ann = await house.person("Ann")
    record = a_record(house.camera.id)
    record = with_faces(record, record.snapshot.faces[0], a_face(None))
    await house.events.add([record])
    await done(
        house, "PATCH", f"faces/{face_of(record)}", json={"person_id": person_id(known(ann))}
    )

    assert await done(house, "DELETE", f"faces/{face_of(record)}") == {}

    assert (await refused(house, "GET", f"faces/{face_of(record)}"))[0] == 404
    assert (await refused(house, "DELETE", f"faces/{face_of(record)}"))[0] == 404
    await house.events.add([replace(record, version=2)])
    assert (await refused(house, "GET", f"faces/{face_of(record)}"))[0] == 404
    asset = to_prefixed("asset", record.snapshot.id)
    left = await done(house, "GET", "faces", params={"asset_id": asset})
    assert [it["id"] for it in left["data"]] == [face_id(record.snapshot.faces[1].id)]
    assert (await house.event(to_ruuid(record.id)))["personUuid"] == ann
    assert (await done(house, "GET", f"people/{person_id(known(ann))}"))["asset_count"] == 0


async def test_deleting_an_enrolled_face_deletes_the_matchmaker(house: House) -> None:
    ann = await house.person("Ann")
    face = await house.enrolled(ann)

    await done(house, "DELETE", f"faces/{face_id(face)}")

    assert await house.people.matchmakers(ORG) == []
    assert await house.sql.fetchval("SELECT count(*) FROM asset") == 0
    assert (await done(house, "GET", f"people/{person_id(known(ann))}"))["name"] == "Ann"


# --- thumbnails -------------------------------------------------------------------------------


async def fetched(url: str, **headers: str) -> tuple[int, bytes]:
    async with aiohttp.ClientSession() as anybody, anybody.get(url, headers=headers) as answer:
        return answer.status, await answer.read()


async def thumbnail(house: House, face: str) -> str:
    url: str = (await done(house, "GET", f"faces/{face}"))["asset_urls"]["thumbnail"]["url"]
    return url


async def test_a_link_needs_no_key_and_ends_with_the_pixels(house: House, tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    ann = await house.person("Ann")
    record = await visit(house, ann)
    await blobs.put(record.thumbnail_key, b"her face", "image/jpeg")
    url = await thumbnail(house, face_of(record))

    assert await fetched(url) == (200, b"her face")
    await house.events.remove(ORG, record.id)
    assert (await fetched(url))[0] == 404


async def test_a_face_without_a_picture_of_its_own_is_cut_out(house: House, tmp_path: Path) -> None:
    (record,) = await visits(house, 1)
    pixels = np.zeros((720, 1280, 3), np.uint8)
    await LocalBlobs(tmp_path / "blobs").put(
        record.frame_key, JpegPngEncoder().jpeg(pixels, 85), "image/jpeg"
    )

    status, body = await fetched(await thumbnail(house, face_id(record.snapshot.faces[1].id)))

    found = header(body)
    assert (status, found.mime) == (200, "image/jpeg")
    assert found.width == pytest.approx(64 * 1.7, abs=2)
    assert found.height == pytest.approx(80 * 1.7, abs=2)


async def test_a_link_that_was_changed_shows_nothing(house: House, tmp_path: Path) -> None:
    record, other = await visit(house), await visit(house)
    for it in (record, other):
        await LocalBlobs(tmp_path / "blobs").put(it.thumbnail_key, b"face", "image/jpeg")
    url = await thumbnail(house, face_of(record))
    signed = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    bad = [
        url.replace(face_of(record), face_of(other)),
        url.replace(face_of(record), "face_no"),
        url.replace(signed["until"], str(int(signed["until"]) + 900)),
        url.replace(signed["until"], "soon"),
        url.replace(signed["key"], to_ruuid(new_id())),
        url.replace(signed["key"], "x"),
        url.replace(signed["signature"], "A" * 32),
        url.replace(signed["signature"], "%C3%BC"),
        url.partition("?")[0],
    ]

    assert (await fetched(url))[0] == 200
    assert [(await fetched(it))[0] for it in bad] == [401] * len(bad)


async def test_a_link_ends_with_its_key(house: House, tmp_path: Path) -> None:
    record = await visit(house)
    await LocalBlobs(tmp_path / "blobs").put(record.thumbnail_key, b"face", "image/jpeg")
    keys = PostgresKeys(house.database)
    key, secret = await keys.create(ORG, "lent", "viewer")
    async with house.client.get(
        f"/api/faces/{face_of(record)}", headers={"x-auth-apikey": secret}
    ) as answer:
        url = (await answer.json())["asset_urls"]["thumbnail"]["url"]
    assert (await fetched(url))[0] == 200

    await keys.revoke(ORG, KeyId(key.id))

    assert (await fetched(url))[0] == 401


async def test_a_link_ends_within_two_hours(database: Database, tmp_path: Path) -> None:
    now = [NOON]
    deps = some_deps(database, tmp_path, clock=lambda: now[0])
    camera = a_camera()
    await PostgresCameras(database, Vault(tmp_path)).add(camera)
    record = a_record(camera.id, closed=True)
    await deps.events.add([record])  # type: ignore[attr-defined]
    await deps.blobs.put(record.thumbnail_key, b"face", "image/jpeg")
    _, secret = await deps.keys.create(ORG, "tests", "viewer")
    async with serving(application(deps), "127.0.0.1", 0) as url, aiohttp.ClientSession() as client:
        async with client.get(
            f"{url}/api/faces/{face_of(record)}", headers={"Authorization": f"Bearer {secret}"}
        ) as answer:
            link = (await answer.json())["asset_urls"]["thumbnail"]["url"]
        now[0] = NOON + timedelta(minutes=59)
        assert await fetched(link) == (200, b"face")
        now[0] = NOON + timedelta(minutes=76)
        assert (await fetched(link))[0] == 401


# --- who may, and bad input -------------------------------------------------------------------


async def test_both_headers_open_the_same_door(house: House) -> None:
    secret = house.client.headers["x-auth-apikey"]
    async with aiohttp.ClientSession() as anybody:

        async def status(**headers: str) -> tuple[int, Any]:
            url = house.client._base_url / "api" / "faces"  # type: ignore[operator]
            async with anybody.get(url, headers=headers) as answer:
                return answer.status, await answer.json()

        assert (await status(Authorization=f"Bearer {secret}"))[0] == 200
        assert (await status(**{"x-auth-apikey": secret}))[0] == 200
        assert (await status())[0] == 401
        assert (await status(Authorization="Bearer apikey_wrong"))[0] == 401
        assert (await status(Authorization=f"Basic {secret}"))[0] == 401
        said = await status(Authorization="Bearer fw_ü")
        assert said[0] in (401, 403)
        assert "fw_" not in str(said[1])


async def test_a_viewer_only_looks(house: House) -> None:
    record = await visit(house)
    key, secret = await PostgresKeys(house.database).create(ORG, "eyes", "viewer")
    headers = {"x-auth-apikey": secret}
    path = f"faces/{face_of(record)}"

    assert (await ask(house, "GET", path, headers=headers))[0] == 200
    for method in ("PATCH", "DELETE"):
        status, detail = await refused(house, method, path, json={}, headers=headers)
        assert (status, detail) == (403, "a key of role viewer may not do this")
    noted = await house.sql.fetch(
        "SELECT action, outcome FROM audit_entry WHERE key = $1 ORDER BY id", key.id
    )
    async with asyncio.timeout(5):
        while len(noted) < 3:
            noted = await house.sql.fetch(
                "SELECT action, outcome FROM audit_entry WHERE key = $1 ORDER BY id", key.id
            )
    assert [tuple(row.values()) for row in noted] == [
        ("FACE_VIEWED", "done"),
        ("FACE_UPDATED", "refused"),
        ("FACE_DELETED", "refused"),
    ]


async def test_ids_of_nothing_are_404_wherever_they_stand(
    house: House, foreign: tuple[OrgId, str, str]
) -> None:
    org, their_face, their_person = foreign
    record = await visit(house)
    library = {"library_id": to_prefixed("lib", org)}
    mine = f"faces/{face_of(record)}"
    bad = [their_face, to_prefixed("face", new_id()), their_person, "face_", "face_x", "%00", "ü"]
    bad += [f"face_{'z' * 22}", f"face_{'2' * 21}0", "a%2Fb", "x" * 5000]

    for face in bad:
        for method in ("GET", "PATCH", "DELETE"):
            assert (await refused(house, method, f"faces/{face}", json={}))[0] == 404, face
    for person in (their_person, to_prefixed("person", new_id()), "person_x", "", 7, their_face):
        sent = {"person_id": person}
        assert (await refused(house, "PATCH", mine, json=sent))[0] == 404, person
        assert (await refused(house, "GET", "faces", params=sent))[0] == 404, person
    for asset in (to_prefixed("asset", new_id()), "asset_x", their_face):
        assert (await refused(house, "GET", "faces", params={"asset_id": asset}))[0] == 404
    for params in (library, {"library_id": "lib_x"}, {"starting_after_id": "x"}, {"ids": "x"}):
        assert (await refused(house, "GET", "faces", params=params))[0] == 404, params
    assert (await refused(house, "GET", mine, params=library))[0] == 404
    assert (await refused(house, "PATCH", mine, params=library, json={}))[0] == 404
    ours = {"library_id": to_prefixed("lib", ORG)}
    assert (await ask(house, "PATCH", mine, params=ours, json={}))[0] == 200
    assert (await done(house, "GET", "faces", params={"ids": their_face}))["data"] == []


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"limit": "0"}, ["query", "limit"]),
        ({"limit": "201"}, ["query", "limit"]),
        ({"limit": "-1"}, ["query", "limit"]),
        ({"limit": "ten"}, ["query", "limit"]),
        ({"limit": "1e99"}, ["query", "limit"]),
        ({"include": "everything"}, ["query", "include", 0]),
        ({"include": "cluster_assignment,exif"}, ["query", "include", 1]),
        ({"ids": ",".join(["face_2222222222222222222222"] * 201)}, ["query", "ids"]),
    ],
)
async def test_what_is_wrong_is_said_as_fastapi_says_it(
    house: House, params: dict[str, str], where: list[str | int]
) -> None:
    status, detail = await refused(house, "GET", "faces", params=params)

    assert status == 422
    assert [it["loc"] for it in detail] == [where]
    assert all(it["msg"] and it["type"] for it in detail)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 100_000])
async def test_a_body_that_is_none_is_422(house: House, body: bytes) -> None:
    record = await visit(house)

    status, detail = await refused(house, "PATCH", f"faces/{face_of(record)}", data=body)

    assert (status, detail[0]["loc"]) == (422, ["body"])


async def test_the_other_methods_and_paths(house: House) -> None:
    assert (await refused(house, "PUT", "faces"))[0] == 405
    assert (await refused(house, "GET", "faces/a/b"))[0] == 404
