"""/api/v1/people over a socket: lists, changes, two who are one and one who is two."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from factories import (
    NOON,
    ORG,
    a_template,
)
from house_api import House, a_visit, known, open_house

from facewatch.domain.ids import (
    EventId,
    OrgId,
    first_id,
    from_ruuid,
    new_id,
    to_prefixed,
    to_ruuid,
)
from facewatch.gallery.live import LiveGallery
from facewatch.people.gallery import Galleries
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys
from facewatch.store.orgs import PostgresOrgs


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


@pytest.fixture
async def theirs(house: House, tmp_path: Path) -> tuple[OrgId, str]:
    """Another org with an operator's key."""
    org = OrgId(new_id())
    await house.sql.execute("INSERT INTO org (id, name) VALUES ($1, 'theirs')", org)
    _, secret = await PostgresKeys(house.database).create(org, "theirs", "operator")
    return org, secret


# --- one person -------------------------------------------------------------------------------


async def test_somebody_is_made_read_changed_and_forgotten(house: House) -> None:
    async with house.client.post(
        "/api/v1/people", json={"name": " Ann ", "labels": ["staff", "staff"]}
    ) as answer:
        made = await answer.json()
        assert (answer.status, answer.headers["Location"]) == (201, f"/api/v1/people/{made['id']}")
    path = f"people/{made['id']}"
    assert {name: made[name] for name in ("name", "email", "labels", "matchmakers", "events")} == {
        "name": "Ann",
        "email": None,
        "labels": ["staff"],
        "matchmakers": 0,
        "events": 0,
    }
    face = await house.enrolled(made["id"])
    event = await house.seen(made["id"], face)
    shown = await house.done("GET", path)
    assert (shown["matchmakers"], shown["events"]) == (1, 1)
    assert shown["last_seen"] == {
        "event": event,
        "camera": to_ruuid(house.camera.id),
        "at": "2026-11-21T12:00:02Z",
    }

    changed = await house.done(
        "PATCH", path, json={"name": "Anna", "email": "a@x.org", "labels": ["vip"]}
    )
    assert (changed["name"], changed["email"], changed["labels"]) == ("Anna", "a@x.org", ["vip"])
    again = await house.done("PATCH", path, json={"email": None})
    assert (again["name"], again["email"], again["labels"]) == ("Anna", None, ["vip"])
    assert (await house.event(event))["faceName"] == "Anna"

    assert await house.ask("DELETE", path) == (204, {})
    assert (await house.refused("GET", path))[0] == 404
    assert (await house.refused("DELETE", path))[0] == 404
    assert not (await house.event(event)).get("faceName")
    assert (await house.people.gallery(ORG, "sface"))[1] == []


async def test_somebody_without_a_name_is_listed_named_and_forgotten(house: House) -> None:
    ann = await house.person("Ann")
    await house.done("PATCH", f"people/{ann}", json={"name": None})

    assert (await house.done("GET", "people"))["items"] == []
    (unnamed,) = (await house.done("GET", "people?named=false"))["items"]
    assert (unnamed["id"], unnamed["name"]) == (ann, None)
    assert "error" in await house.rhombus("person/getPerson", personUuid=ann)
    await house.done("PATCH", f"people/{ann}", json={"name": "Ann"})
    assert (await house.done("GET", "people"))["items"][0]["id"] == ann
    await house.done("PATCH", f"people/{ann}", json={"name": None})
    await house.done("DELETE", f"people/{ann}")
    assert (await house.done("GET", "people?named=false"))["items"] == []


async def test_pages_of_people_neither_skip_nor_repeat(house: House) -> None:
    made = [await house.person(f"person {n}") for n in range(7)]
    found, cursor = [], ""
    while True:
        page = await house.done("GET", f"people?limit=3{cursor}")
        found += [it["id"] for it in page["items"]]
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
        # whoever is forgotten meanwhile does not move the page
        await house.done("DELETE", f"people/{page['cursor']}")

    assert found == made[::-1]


async def test_a_prefix_finds_names_whatever_their_case(house: House) -> None:
    names = ["Ann", "ANNA", "anton", "Bob", "a%b", "Änne", "a😀"]
    for name in names:
        await house.person(name)

    async def called(prefix: str) -> set[str]:
        page = await house.done("GET", "people", params={"prefix": prefix})
        return {it["name"] for it in page["items"]}

    assert await called("ann") == {"Ann", "ANNA"}
    assert await called("A") == {"Ann", "ANNA", "anton", "a%b", "a😀"}
    assert await called("a%") == {"a%b"}
    assert await called("än") == {"Änne"}
    assert await called("_") == set()
    assert await called("a\0") == set()


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "people?limit=0", None, 400),
        ("GET", "people?limit=1001", None, 400),
        ("GET", "people?cursor=zzz", None, 400),
        ("GET", "people?named=false&prefix=a", None, 400),
        ("GET", "people/AAAAAAAAAAAAAAAAAAAAAA", None, 404),
        ("GET", "people/nobody", None, 400),
        ("POST", "people", {}, 400),
        ("POST", "people", {"name": " "}, 400),
        ("POST", "people", {"name": "a\0"}, 400),
        ("POST", "people", {"name": 7}, 400),
        ("POST", "people", {"name": "Ann", "labels": ["x" * 201]}, 400),
        ("POST", "people", {"name": "Bob"}, 409),
        ("PATCH", "people/AAAAAAAAAAAAAAAAAAAAAA", {"name": "Zoe"}, 404),
        ("POST", "people/AAAAAAAAAAAAAAAAAAAAAA/merge", {"others": []}, 400),
        ("POST", "people/AAAAAAAAAAAAAAAAAAAAAA/split", {}, 400),
        ("POST", "people/AAAAAAAAAAAAAAAAAAAAAA/split", {"faces": ["face_1"]}, 400),
    ],
)
async def test_what_cannot_be_done_is_said(
    house: House, method: str, path: str, sent: object, status: int
) -> None:
    await house.person("Bob")

    answered, why = await house.refused(method, path, json=sent)

    assert (answered, bool(why)) == (status, True)


async def test_a_viewer_may_look_and_change_nothing(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    _, viewer = await PostgresKeys(house.database).create(ORG, "screen", "viewer")
    for method, path, sent in (
        ("POST", "people", {"name": "Eve"}),
        ("PATCH", f"people/{ann}", {"name": "Eve"}),
        ("DELETE", f"people/{ann}", None),
        ("POST", f"people/{ann}/merge", {"others": [bob]}),
        ("POST", f"people/{ann}/split", {"events": [bob]}),
        ("POST", "suggestions/merges/dismiss", {"people": [ann, bob]}),
        ("POST", "suggestions/names/dismiss", {"event": ann, "person": bob}),
        ("POST", "suggestions/matchmakers/dismiss", {"event": ann, "person": bob}),
    ):
        assert (await house.ask(method, path, key=viewer, json=sent))[0] == 403
    for path in ("people", f"people/{ann}", "suggestions/merges", "suggestions/names"):
        assert (await house.ask("GET", path, key=viewer))[0] == 200


async def test_another_org_s_people_are_like_none(house: House, theirs: tuple[OrgId, str]) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    face = await house.enrolled(ann)
    event = await house.seen(ann, face)
    _, key = theirs
    _, made = await house.ask("POST", "people", key=key, json={"name": "Ann"})
    theirs_ann = made["id"]
    for method, path, sent in (
        ("GET", "people/{}", None),
        ("PATCH", "people/{}", {"name": "Eve"}),
        ("DELETE", "people/{}", None),
        ("POST", "people/{}/merge", {"others": [theirs_ann]}),
        ("POST", f"people/{theirs_ann}/merge", {"others": ["{}"]}),
        ("POST", "people/{}/split", {"events": [event]}),
        ("POST", f"people/{theirs_ann}/split", {"events": [event]}),
        ("POST", f"people/{theirs_ann}/split", {"faces": [to_prefixed("face", face)]}),
        ("POST", "suggestions/merges/dismiss", {"people": [theirs_ann, "{}"]}),
        ("POST", "suggestions/names/dismiss", {"event": event, "person": theirs_ann}),
        ("POST", "suggestions/matchmakers/dismiss", {"event": event, "person": theirs_ann}),
    ):
        answers = []
        for person in (ann, to_ruuid(new_id())):
            body = json.loads(json.dumps(sent).replace("{}", person))
            status, problem = await house.ask(method, path.format(person), key=key, json=body)
            answers.append((status, problem["detail"].replace(person, "...")))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404
    assert len((await house.ask("GET", "people", key=key))[1]["items"]) == 1
    assert {it["name"] for it in (await house.done("GET", "people"))["items"]} == {"Ann", "Bob"}
    assert await house.found(bob) == []


# --- two who are one --------------------------------------------------------------------------


async def test_merging_moves_everything_and_the_old_id_means_the_new_one(house: House) -> None:
    ann = await house.person("Ann", labels=["staff"])
    anna = await house.person("Anna", labels=["staff", "vip"], email="a@x.org")
    faces = [await house.enrolled(ann, 1), await house.enrolled(anna, 2)]
    seen = [await house.seen(ann, faces[0]), await house.seen(anna, faces[1])]
    said = await house.seen(None)
    await house.rhombus("faceEvent/updateFaceEvent", eventUuid=said, personUuid=anna)
    revision, _ = await house.people.gallery(ORG, "sface")

    merged = await house.done("POST", f"people/{ann}/merge", json={"others": [anna]})

    assert (merged["id"], merged["name"], merged["email"]) == (ann, "Ann", "a@x.org")
    assert (merged["labels"], merged["matchmakers"], merged["events"]) == (["staff", "vip"], 2, 3)
    assert await house.done("GET", f"people/{anna}") == merged
    assert [it["id"] for it in (await house.done("GET", "people"))["items"]] == [ann]
    now, gallery = await house.people.gallery(ORG, "sface")
    assert now > revision
    assert {(it.face, it.person) for it in gallery} == {(face, known(ann)) for face in faces}
    # the other contract
    for uuid in (*seen, said):
        event = await house.event(uuid)
        assert (event["personUuid"], event["faceName"]) == (ann, "Ann")
    assert (await house.event(seen[1]))["selectedPersonMatch"]["faceId"] == to_prefixed(
        "face", faces[1]
    )
    assert set(await house.found(anna)) == set(await house.found(ann)) == {*seen, said}
    person = (await house.rhombus("person/getPerson", personUuid=anna))["person"]
    assert (person["uuid"], person["name"]) == (ann, "Ann")
    matchmakers = await house.rhombus("matchmaker/findFaceMatchmakersByPerson", personUuid=anna)
    assert {it["personUuid"] for it in matchmakers["faceMatchmakers"]} == {ann}
    assert len(matchmakers["faceMatchmakers"]) == 2
    labels = await house.rhombus("person/findPersonLabelsByOrg")
    assert labels["labelsByPerson"] == {ann: ["staff", "vip"]}
    # the freed name
    await house.person("Anna")


async def test_somebody_who_was_seen_often_is_merged_in_batches(house: House) -> None:
    ann, anna = await house.person("Ann"), await house.person("Anna")
    await house.seen(anna, await house.enrolled(anna))
    await house.sql.execute(
        "INSERT INTO face_event SELECT (jsonb_populate_record(e, jsonb_build_object("
        "    'id', first_id($1::timestamptz + n * interval '1 ms')))).*"
        "  FROM face_event e, generate_series(1, 4500) AS n",
        NOON,
    )

    merged = await house.done("POST", f"people/{ann}/merge", json={"others": [anna]})

    assert (merged["events"], merged["matchmakers"]) == (4501, 1)
    for table in ("face_event", "face"):
        owners = await house.sql.fetch(f"SELECT DISTINCT person FROM {table}")
        assert [row["person"] for row in owners] == [known(ann)]


async def test_the_name_is_kept_as_told(house: House) -> None:
    ann, anna, bob = [await house.person(name) for name in ("Ann", "Anna", "Bob")]
    merge = f"people/{ann}/merge"

    assert (await house.refused("POST", merge, json={"others": [anna], "name": "Bob"}))[0] == 409
    assert (await house.done("GET", f"people/{anna}"))["id"] == anna
    merged = await house.done("POST", merge, json={"others": [anna], "name": "Anna"})
    assert merged["name"] == "Anna"
    await house.done("PATCH", f"people/{bob}", json={"name": None})
    merged = await house.done("POST", f"people/{bob}/merge", json={"others": [ann]})
    assert (merged["id"], merged["name"]) == (bob, "Anna")


async def test_merging_again_changes_nothing_and_chains_have_one_end(house: House) -> None:
    a, b, c, d = [await house.person(name) for name in "ABCD"]
    event = await house.seen(a, await house.enrolled(a))
    await house.done("POST", f"people/{b}/merge", json={"others": [a]})
    once = await house.done("POST", f"people/{c}/merge", json={"others": [b]})
    revision, _ = await house.people.gallery(ORG, "sface")

    for into, other in ((c, a), (c, b), (b, a), (a, b), (a, c)):
        again = await house.done("POST", f"people/{into}/merge", json={"others": [other]})
        assert again == once
    assert (await house.people.gallery(ORG, "sface"))[0] == revision
    # a merged id is as good as the one that it means
    whole = await house.done("POST", f"people/{a}/merge", json={"others": [d, b]})
    assert (whole["id"], whole["name"]) == (c, "C")
    rows = await house.sql.fetch("SELECT merged_into FROM person WHERE merged_into IS NOT NULL")
    assert {row["merged_into"] for row in rows} == {known(c)}
    assert (await house.event(event))["personUuid"] == c
    # whom they all mean can be forgotten by any of their ids
    await house.done("DELETE", f"people/{a}")
    assert (await house.refused("GET", f"people/{c}"))[0] == 404


async def test_nobody_is_merged_with_themselves_or_the_erased(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    status, why = await house.refused("POST", f"people/{ann}/merge", json={"others": [ann]})
    assert (status, "themselves" in why) == (422, True)
    await house.done("DELETE", f"people/{bob}")
    for into, other in ((ann, bob), (bob, ann)):
        status, why = await house.refused("POST", f"people/{into}/merge", json={"others": [other]})
        assert (status, "was erased on 20" in why) == (404, True)


async def test_what_the_recorder_writes_of_a_merged_person_is_the_other_s(house: House) -> None:
    """Merges, and the visits that are decided meanwhile at the gallery of before."""
    people = [await house.person(f"P{n}") for n in range(6)]
    faces = [await house.enrolled(it, n) for n, it in enumerate(people)]
    records = [
        a_visit(house.camera.id, person, face) for person, face in zip(people, faces, strict=True)
    ] * 4
    records = [replace(r, id=EventId(new_id(NOON))) for r in records]

    async def merge(into: str, other: str) -> None:
        await house.done("POST", f"people/{into}/merge", json={"others": [other]})

    async with asyncio.timeout(30):
        await asyncio.gather(
            *(house.events.add(records[n : n + 3]) for n in range(0, 24, 3)),
            *(merge(people[n], people[n + 1]) for n in range(5)),
            *(merge(people[5], people[n]) for n in range(3)),
        )

    left = {(await house.done("GET", f"people/{it}"))["id"] for it in people}
    assert len(left) == 1
    owners = await house.sql.fetch("SELECT DISTINCT person FROM face_event")
    assert {row["person"] for row in owners} == {known(it) for it in left}
    (alone,) = left
    assert (await house.done("GET", f"people/{alone}"))["events"] == 24
    _, gallery = await house.people.gallery(ORG, "sface")
    assert {it.person for it in gallery} == {known(alone)}


async def test_a_running_worker_follows_a_merge_and_a_split_within_a_second(house: House) -> None:
    ann, bob = await house.person("Ann"), await house.person("Bob")
    face = await house.enrolled(bob, 1)
    gallery = LiveGallery(128, "sface")
    galleries = Galleries(gallery, {}, house.people, PostgresOrgs(house.database), "sface")

    async def seen_as() -> str:
        await galleries.catch_up(ORG)
        (hit,) = gallery.search(ORG, a_template(1), 5)
        return to_ruuid(hit.person)

    rung = house.database.listen("gallery")
    assert await anext(rung) == ""
    assert await seen_as() == bob
    await house.done("POST", f"people/{ann}/merge", json={"others": [bob]})
    async with asyncio.timeout(1):
        assert await anext(rung) == str(ORG)
        assert await seen_as() == ann
    new = await house.done(
        "POST", f"people/{ann}/split", json={"faces": [to_prefixed("face", face)]}
    )
    async with asyncio.timeout(1):
        assert await anext(rung) == str(ORG)
        assert await seen_as() == new["id"]
    await rung.aclose()


async def test_lists_of_people_and_suggestions_use_their_index(house: House) -> None:
    sql = house.sql
    await house.seen(None)
    await sql.execute(
        "INSERT INTO person (id, org, name)"
        " SELECT gen_random_uuid(), $1, CASE WHEN n % 2 = 0 THEN 'person ' || n END"
        "   FROM generate_series(1, 10000) AS n",
        ORG,
    )
    await sql.execute(
        "INSERT INTO face_event SELECT (jsonb_populate_record(e, jsonb_build_object("
        "    'id', first_id($1::timestamptz + n * interval '1 ms')))).*"
        "  FROM face_event e, generate_series(1, 5000) AS n",
        NOON,
    )
    await sql.execute("ANALYZE person, face_event")
    (nearly,) = await sql.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'face_event_nearly'::regclass"
    )
    page = {"org": ORG, "before": None, "limit": 10}
    since = {"since": first_id(NOON), "before": EventId(new_id()), "least": 0.5, "limit": 10}
    for statement, index, values in (
        ("register_named", "person_named", page),
        ("register_unnamed", "person_unnamed", page),
        ("register_called", "person_called", page | {"prefix": "person 49"}),
        ("near_misses", nearly["name"], {"org": ORG, **since}),
    ):
        known_as = house.database._statements[statement]
        rows = await sql.fetch(f"EXPLAIN {known_as.sql}", *known_as.arguments(values))
        plan = "\n".join(row[0] for row in rows)
        assert index in plan, plan
        assert "Seq Scan" not in plan


async def test_merging_correcting_enrolling_and_forgetting_at_once_end_all(house: House) -> None:
    people = [await house.person(f"P{n}") for n in range(5)]
    events = [await house.seen(it, await house.enrolled(it, n)) for n, it in enumerate(people)]
    ids = [EventId(from_ruuid(event)) for event in events]

    async def enrol(n: int) -> int:
        await house.enrolled(people[n], 10 + n)
        return 200

    async def asked(method: str, path: str, sent: object = None) -> int:
        return (await house.ask(method, path, json=sent))[0]

    async def corrected(event: EventId, person: str) -> int:
        await house.events.assign(ORG, event, known(person))
        return 200

    async with asyncio.timeout(30):
        statuses = await asyncio.gather(
            *(asked("POST", f"people/{people[0]}/merge", {"others": [it]}) for it in people[1:4]),
            *(asked("POST", f"people/{people[3]}/merge", {"others": [it]}) for it in people[:3]),
            *(corrected(event, people[1]) for event in ids),
            *(enrol(n) for n in range(4)),
            asked("DELETE", f"people/{people[4]}"),
            asked("POST", f"people/{people[2]}/merge", {"others": [people[4]]}),
            asked("POST", f"people/{people[1]}/split", {"events": [events[1]], "name": "New"}),
            return_exceptions=True,
        )

    for status in statuses:
        assert status in (200, 204, 404) or isinstance(status, Exception), statuses
        if isinstance(status, Exception):
            assert "there is no" in str(status), status
    dangling = await house.sql.fetchval(
        "SELECT count(*) FROM face_event e JOIN person p ON p.id = e.person"
        " WHERE p.merged_into IS NOT NULL OR p.erased_at IS NOT NULL"
    )
    assert dangling == 0
    assert (
        await house.sql.fetchval(
            "SELECT count(*) FROM matchmaker m JOIN person p ON p.id = m.person"
            " WHERE m.revision_removed IS NULL"
            "   AND (p.merged_into IS NOT NULL OR p.erased_at IS NOT NULL)"
        )
        == 0
    )
