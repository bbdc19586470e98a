"""Finding events by how they look, over a real socket and a real Postgres."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from factories import (
    NOON,
    ORG,
    a_camera,
    a_decision,
    a_record,
    a_template,
    an_enrolment,
    photo_keys,
    some_deps,
    turned,
)

from facewatch.api.deps import Deps
from facewatch.api.rhombus.embedding import Embedding, Encoding
from facewatch.api.server import application, serving
from facewatch.domain.events import EventRecord
from facewatch.domain.faces import Template
from facewatch.domain.ids import CameraId, OrgId, new_id, to_prefixed, to_ruuid
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, connected
from facewatch.store.secrets import Vault

BASE = "/api/faceRecognition/faceEvent/"
PROBE = a_template(1)
LONG_AGO = NOON - timedelta(days=200)


@dataclass
class House:
    client: aiohttp.ClientSession
    deps: Deps
    camera: CameraId

    async def ask(self, operation: str, **body: Any) -> Any:
        async with self.client.post(BASE + operation, json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def alike(self, **body: Any) -> list[str]:
        """Who is like PROBE, as ids."""
        embedding = Embedding.of(PROBE, "sface", 0.9).model_dump(by_alias=True)
        answer = await self.ask("findSimilarFaceEventsByEmbedding", embedding=embedding, **body)
        return [event["uuid"] for event in answer["faceEvents"]]

    async def seen(self, *templates: Template | None, **given: Any) -> list[str]:
        records = self.records(*templates, **given)
        await self.deps.events.add(records)
        return [to_ruuid(record.id) for record in records]

    def records(self, *templates: Template | None, **given: Any) -> list[EventRecord]:
        at = given.pop("at", LONG_AGO)
        given = {"decision": None} | given
        return [
            a_record(self.camera, at - timedelta(minutes=n), template=template, **given)
            for n, template in enumerate(templates)
        ]


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    await PostgresCameras(database, Vault(tmp_path)).add(camera := a_camera())
    deps = some_deps(database, tmp_path)
    _, secret = await deps.keys.create(ORG, "tests", "viewer")
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        yield House(client, deps, camera.id)


async def test_other_visits_of_all_time_that_look_alike_newest_first(house: House) -> None:
    at_the_default = house.deps.lookalikes.similarity(0.7)
    ids = await house.seen(
        PROBE,
        turned(PROBE, 0.6),
        turned(PROBE, at_the_default - 0.01),
        turned(PROBE, at_the_default + 0.01),
    )

    answer = await house.ask("findSimilarFaceEvents", faceEventUuid=ids[0])

    assert [event["uuid"] for event in answer["faceEvents"]] == [ids[1], ids[3]]
    assert answer["faceEvents"][0]["similarity"] == pytest.approx(
        house.deps.lookalikes.confidence(0.6), abs=1e-3
    )
    assert 0.7 < answer["faceEvents"][1]["similarity"] < 0.74
    assert "lastEvaluatedKey" not in answer


async def test_the_threshold_is_the_least_similarity(house: House) -> None:
    near, far = await house.seen(turned(PROBE, 0.65), turned(PROBE, 0.51))

    assert await house.alike(searchFilter={"faceMatchDistanceThreshold": 0.9}) == [near]
    assert await house.alike(searchFilter={"faceMatchDistanceThreshold": 0}) == [near, far]
    assert await house.alike(searchFilter={"faceMatchDistanceThreshold": 1}) == []
    assert await house.alike(searchFilter={"faceMatchDistanceThreshold": None}) == [near, far]
    assert await house.alike(searchFilter={"embeddingConfidenceThreshold": 0.99}) == []


async def test_filters_narrow_it_as_they_do_every_list(house: House) -> None:
    ann = await house.deps.people.create(ORG, "Ann")
    [named] = await house.seen(PROBE, decision=a_decision(ann.id))
    [unknown] = await house.seen(PROBE, at=NOON - timedelta(days=300))

    assert await house.alike(searchFilter={"faceNames": ["Ann"]}) == [named]
    assert await house.alike(searchFilter={"hasName": False}) == [unknown]
    assert await house.alike(searchFilter={"deviceUuids": [to_ruuid(new_id())]}) == []
    window = {"rangeEnd": (NOON - timedelta(days=250)).isoformat()}
    assert await house.alike(searchFilter={"timestampFilter": window}) == [unknown]


async def test_pages_neither_skip_nor_repeat_while_events_arrive(house: House) -> None:
    ids = await house.seen(*[turned(PROBE, 0.7, n) for n in range(9)])
    page: dict[str, Any] = {"maxPageSize": 4}
    sizes, walked = [], []
    while True:
        answer = await house.ask(
            "findSimilarFaceEventsByEmbedding",
            embedding=Embedding.of(PROBE, "sface", 0.9).model_dump(by_alias=True),
            pageRequest=page,
        )
        sizes.append(len(answer["faceEvents"]))
        walked += [event["uuid"] for event in answer["faceEvents"]]
        if "lastEvaluatedKey" not in answer:
            break
        page = {"maxPageSize": 4, "lastEvaluatedKey": answer["lastEvaluatedKey"]}
        await house.seen(PROBE, at=NOON)

    assert walked == ids
    assert sizes == [4, 4, 1]


async def test_a_page_key_is_for_its_own_question(house: House) -> None:
    first, second, *_ = await house.seen(*[PROBE] * 5)
    asked: dict[str, Any] = {"faceEventUuid": first, "pageRequest": {"maxPageSize": 2}}
    key = (await house.ask("findSimilarFaceEvents", **asked))["lastEvaluatedKey"]
    page = {"maxPageSize": 2, "lastEvaluatedKey": key}
    spoilt = key[:10] + ("A" if key[10] != "A" else "B") + key[11:]

    assert (await house.ask("findSimilarFaceEvents", **asked | {"pageRequest": page}))["faceEvents"]
    for other in (
        {"faceEventUuid": second, "pageRequest": page},
        {
            "faceEventUuid": first,
            "pageRequest": page,
            "searchFilter": {"faceMatchDistanceThreshold": 0.8},
        },
        {"faceEventUuid": first, "pageRequest": page | {"lastEvaluatedKey": spoilt}},
    ):
        async with house.client.post(BASE + "findSimilarFaceEvents", json=other) as answer:
            assert answer.status == 400


async def test_a_matchmaker_finds_whom_it_shows(house: House) -> None:
    ann = await house.deps.people.create(ORG, "Ann")
    enrolment = an_enrolment(template=PROBE)
    await house.deps.people.enrol(ORG, ann.id, enrolment, photo_keys("ann"))
    [seen, _] = await house.seen(turned(PROBE, 0.6), a_template(7))
    face = to_prefixed("face", enrolment.face)

    answer = await house.ask("findSimilarFaceEventsByFaceMatchmaker", faceId=face)
    assert [event["uuid"] for event in answer["faceEvents"]] == [seen]

    await house.deps.people.forget(ORG, ann.id)
    answer = await house.ask("findSimilarFaceEventsByFaceMatchmaker", faceId=face)
    assert answer == {
        "error": True,
        "errorMsg": "there is no matchmaker with this faceId; check the id",
    }


async def test_an_embedding_may_be_spelled_in_fixed_point(house: House) -> None:
    [seen] = await house.seen(PROBE)
    embedding = Embedding.of(PROBE, "sface", 0.9, Encoding.Q_8_24).model_dump(by_alias=True)

    answer = await house.ask("findSimilarFaceEventsByEmbedding", embedding=embedding)

    assert [event["uuid"] for event in answer["faceEvents"]] == [seen]
    assert answer["faceEvents"][0]["similarity"] > 0.99


@pytest.mark.parametrize("body", [{}, {"embedding": {}}, {"embedding": {"encodedEmbedding": "?"}}])
async def test_what_is_no_embedding_is_refused_in_words(house: House, body: Any) -> None:
    answer = await house.ask("findSimilarFaceEventsByEmbedding", **body)
    assert answer["error"] is True


async def test_a_visit_without_a_template_says_so(house: House) -> None:
    [blind] = await house.seen(None)

    answer = await house.ask("findSimilarFaceEvents", faceEventUuid=blind)

    assert answer["error"] is True
    assert "no look of this event was fit to compare" in answer["errorMsg"]


async def test_what_is_another_orgs_is_not_there(house: House, dsn: str) -> None:
    ann = await house.deps.people.create(ORG, "Ann")
    enrolment = an_enrolment(template=PROBE)
    await house.deps.people.enrol(ORG, ann.id, enrolment, photo_keys("ann"))
    [ours] = await house.seen(PROBE)
    other = OrgId(new_id())
    async with connected(dsn) as sql:
        await sql.execute("INSERT INTO org (id, name) VALUES ($1, 'theirs')", other)
    _, secret = await house.deps.keys.create(other, "theirs", "admin")
    house.client.headers["x-auth-apikey"] = secret

    assert await house.alike(searchFilter={"faceMatchDistanceThreshold": 0}) == []
    theirs = await house.ask("findSimilarFaceEvents", faceEventUuid=ours)
    nobodys = await house.ask("findSimilarFaceEvents", faceEventUuid=to_ruuid(new_id()))
    assert theirs == nobodys
    face = to_prefixed("face", enrolment.face)
    theirs = await house.ask("findSimilarFaceEventsByFaceMatchmaker", faceId=face)
    nobodys = await house.ask(
        "findSimilarFaceEventsByFaceMatchmaker", faceId=to_prefixed("face", new_id())
    )
    assert theirs == nobodys


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "0.7"])
async def test_a_threshold_beyond_its_bounds_is_a_400(house: House, threshold: object) -> None:
    body = {"searchFilter": {"faceMatchDistanceThreshold": threshold}}
    async with house.client.post(BASE + "findSimilarFaceEvents", json=body) as answer:
        assert answer.status == 400
        assert "faceMatchDistanceThreshold" in (await answer.json())["msg"]
