"""What is written down about each request, and how it is read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from factories import ORG, a_camera, a_record, some_deps

from facewatch.api.audit import Journal
from facewatch.api.deps import Deps
from facewatch.api.server import application, serving
from facewatch.domain.audit import Action, AuditEntry, AuditFilter, AuditId, Outcome
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import OrgId, new_id, to_ruuid
from facewatch.errors import DatabaseUnavailable
from facewatch.flow.metrics import Metrics
from facewatch.ports.access import ApiKey
from facewatch.store.audit import PostgresAuditLog
from facewatch.store.cameras import PostgresCameras
from facewatch.store.database import Database, connected, statements
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.keys import PostgresKeys
from facewatch.store.people import PostgresPeople
from facewatch.store.secrets import Vault

RHOMBUS = "/api/faceRecognition"


@dataclass
class House:
    """A running service and an operator's key to it."""

    client: aiohttp.ClientSession
    database: Database
    deps: Deps
    key: ApiKey
    event: EventRecord

    async def ask(self, operation: str, message: object = None, **headers: str) -> dict[str, Any]:
        path = operation if operation.startswith("/") else f"{RHOMBUS}/{operation}"
        async with self.client.post(path, json=message or {}, headers=headers) as answer:
            said: dict[str, Any] = await answer.json()
            return said

    async def entries(self, **wanted: Any) -> list[AuditEntry]:
        return await self.deps.audit.page(ORG, AuditFilter(**wanted), 1000)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    camera = a_camera()
    await PostgresCameras(database, Vault(tmp_path)).add(camera)
    event = a_record(camera.id)
    await PostgresFaceEvents(database).add([event])
    key, secret = await PostgresKeys(database).create(ORG, "tests", "operator")
    deps = some_deps(database, tmp_path, clock=lambda: datetime.now(UTC))
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token", "User-Agent": "door/1"}
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        yield House(client, database, deps, key, event)


async def test_a_look_says_who_what_when_and_from_where(house: House) -> None:
    before = datetime.now(UTC)
    sent = {"X-Request-Id": "look-1"}
    await house.ask("faceEvent/getFaceEvent", {"eventUuid": to_ruuid(house.event.id)}, **sent)

    (entry,) = await house.entries()

    assert (entry.key, entry.key_name, entry.org) == (house.key.id, "tests", ORG)
    assert (entry.action, entry.outcome) == (Action.FACE_EVENT_VIEWED, Outcome.DONE)
    assert entry.subjects == (house.event.id,)
    assert before <= entry.at <= datetime.now(UTC)
    assert (entry.remote, entry.agent, entry.request) == ("127.0.0.1", "door/1", "look-1")


async def test_who_was_made_and_who_was_shown_are_subjects(house: House) -> None:
    made = await house.ask("person/createPerson", {"name": "Ada"})
    await house.ask(
        "faceEvent/updateFaceEvent",
        {"eventUuid": to_ruuid(house.event.id), "personName": "Ada"},
    )

    named, created = await house.entries()
    person = (await PostgresPeople(house.database).named(ORG, "Ada")).id

    assert made["person"]["uuid"] == to_ruuid(person)
    assert (created.action, created.subjects) == (Action.FACE_PERSON_CREATED, (person,))
    assert (named.action, named.subjects) == (
        Action.FACE_EVENT_UPDATED,
        (house.event.id, person),
    )
    assert [it.id for it in await house.entries(subject=person)] == [named.id, created.id]


async def test_each_way_to_end_is_said(house: House) -> None:
    _, viewer = await PostgresKeys(house.database).create(ORG, "v", "viewer")
    await house.ask("faceEvent/getFaceEvent", {"eventUuid": to_ruuid(new_id())})
    await house.ask("faceEvent/getFaceEvent", {"eventUuid": 7})
    await house.ask("person/createPerson", {"name": "Ada"}, **{"x-auth-apikey": viewer})
    await house.ask("person/createPerson", {"name": " "})
    await house.ask("person/findPeopleByOrg", **{"x-auth-org": to_ruuid(new_id())})
    await house.ask("person/findPeopleByOrg", **{"x-auth-org": to_ruuid(ORG)})
    await house.ask("person/findPeopleByOrg", **{"x-auth-apikey": "fw_unknown"})

    # of one millisecond, so in no order
    assert sorted(it.outcome for it in await house.entries()) == sorted(
        [
            Outcome.ABSENT,
            Outcome.INVALID,
            Outcome.REFUSED,
            Outcome.UNDONE,
            Outcome.REFUSED,
            Outcome.DONE,
        ]
    )


async def test_every_request_is_one_entry_however_many_come_at_once(house: House) -> None:
    async def some(count: int) -> None:
        for _ in range(count):
            await house.ask("faceEvent/getFaceEvent", {"eventUuid": to_ruuid(house.event.id)})

    await asyncio.gather(*(some(25) for _ in range(16)))

    entries = await house.entries()
    assert len(entries) == 400
    assert [it.id for it in entries] == sorted((it.id for it in entries), reverse=True)


async def test_entries_are_found_by_key_action_and_window(house: House) -> None:
    now = house.deps.clock()
    await house.ask("person/findPeopleByOrg")
    await house.ask("person/createPerson", {"name": "Ada"})
    created, listed = await house.entries()

    assert await house.entries(key=house.key.id) == [created, listed]
    assert await house.entries(key=house.key.id, action=Action.FACE_PEOPLE_VIEWED) == [listed]
    assert await house.entries(action=Action.FACE_PERSON_CREATED) == [created]
    assert await house.entries(since=now, until=now + timedelta(hours=1)) == [created, listed]
    assert await house.entries(until=now) == []
    assert await house.entries(subject=new_id()) == []


async def test_of_another_org_nothing_is_read(house: House) -> None:
    await house.ask("person/findPeopleByOrg")
    assert await house.deps.audit.page(OrgId(new_id()), AuditFilter(), 9) == []


async def as_admin(house: House, query: str = "") -> tuple[int, dict[str, Any]]:
    _, secret = await PostgresKeys(house.database).create(ORG, "chief", "admin")
    path = f"/api/v1/audit{query}"
    async with house.client.get(path, headers={"x-auth-apikey": secret}) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_an_admin_reads_the_log_in_pages(house: House) -> None:
    for name in "abcde":
        await house.ask("person/createPerson", {"name": name})
    query, seen = "?limit=2&action=FACE_PERSON_CREATED", []
    while query:
        status, page = await as_admin(house, query)
        assert status == 200
        seen += page["items"]
        cursor = page["cursor"]
        query = f"?limit=2&action=FACE_PERSON_CREATED&cursor={cursor}" if cursor else ""

    assert len(seen) == len({it["id"] for it in seen}) == 5
    assert seen == sorted(seen, key=lambda it: it["at"], reverse=True)
    assert set(seen[0]) == {
        *("id", "at", "key", "key_name", "action", "subjects"),
        *("outcome", "remote", "agent", "request"),
    }
    _, about = await as_admin(house, f"?subject={seen[0]['subjects'][0]}")
    assert about["items"] == [seen[0]]
    (viewed, *_) = await house.entries(action=Action.AUDIT_VIEWED)
    assert viewed.key_name == "chief"


async def test_only_an_admin_reads_it_and_a_try_is_noted(house: House) -> None:
    async with house.client.get("/api/v1/audit") as answer:
        assert answer.status == 403
    assert [it.outcome for it in await house.entries()] == [Outcome.REFUSED]


@pytest.mark.parametrize(
    "query", ["?limit=0", "?limit=1001", "?action=x", "?since=now", "?key=1", "?cursor=a", "?x=1"]
)
async def test_a_question_that_is_none_is_a_problem(house: House, query: str) -> None:
    status, problem = await as_admin(house, query)
    assert (status, problem["status"]) == (400, 400)


async def test_old_entries_go_with_their_subjects(house: House) -> None:
    await house.ask("person/createPerson", {"name": "Ada"})
    (entry,) = await house.entries()
    log = PostgresAuditLog(house.database)

    assert await log.prune(entry.at) == 0
    assert await log.prune(datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert await house.entries() == await house.entries(subject=entry.subjects[0]) == []


async def test_a_batch_that_is_added_again_changes_nothing(house: House) -> None:
    await house.ask("person/createPerson", {"name": "Ada"})
    (entry,) = await house.entries()
    other = replace(entry, id=AuditId(new_id()))

    for _ in range(2):
        await PostgresAuditLog(house.database).add([entry, other])

    assert await house.entries(subject=entry.subjects[0]) == [other, entry]


class Down:
    """A log that takes nothing until it is *up*."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.taken: list[AuditEntry] = []

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        if not self.up.is_set():
            raise DatabaseUnavailable("Postgres is down")
        self.taken.extend(entries)

    async def page(
        self, org: OrgId, wanted: AuditFilter, limit: int, before: AuditId | None = None
    ) -> list[AuditEntry]:
        return self.taken

    async def prune(self, before: datetime) -> int:
        return 0


async def test_while_the_database_is_down_entries_wait_up_to_a_bound(
    database: Database, tmp_path: Path
) -> None:
    """At the bound a request is refused before it shows anything; afterwards nothing is lost."""
    _, secret = await PostgresKeys(database).create(ORG, "tests", "operator")
    log = Down()
    journal = Journal(log, Metrics.on(), bound=3, patience_s=1.0)
    deps = some_deps(database, tmp_path, audit=journal)
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    path = f"{RHOMBUS}/person/findPeopleByOrg"
    statuses = []
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        for _ in range(4):
            async with client.post(path, json={}) as answer:
                statuses.append(answer.status)
        log.up.set()
        async with asyncio.timeout(10):
            while len(log.taken) < 3:  # noqa: ASYNC110 - the log rings no bell
                await asyncio.sleep(0.01)
        async with client.post(path, json={}) as answer:
            statuses.append(answer.status)

    assert statuses == [200, 200, 200, 503, 200]
    assert len(log.taken) == 4  # a clean stop has written the last one


@pytest.mark.parametrize(
    ("statement", "given", "index"),
    [
        ("audit_page", {}, "audit_entry_pkey"),
        ("audit_page_of_action", {"action": "FACE_EVENT_DELETED"}, "audit_entry_action"),
        ("audit_page_of_key", {"key": UUID(int=7), "action": None}, "audit_entry_key"),
        (
            "audit_page_of_subject",
            {"subject": UUID(int=7), "key": None, "action": None},
            "audit_subject_pkey",
        ),
    ],
)
async def test_each_way_of_reading_has_its_index(
    dsn: str, statement: str, given: dict[str, Any], index: str
) -> None:
    known = statements()[statement]
    values = {"org": ORG, "since": UUID(int=0), "before": UUID(int=1 << 127), "limit": 100, **given}
    async with connected(dsn) as connection:
        await connection.execute(
            "INSERT INTO audit_entry SELECT $1, gen_random_uuid(), now(), gen_random_uuid(), 'key',"
            " 'FACE_EVENT_VIEWED', ARRAY[gen_random_uuid()], 'done', '', '', ''"
            " FROM generate_series(1, 5000)",
            ORG,
        )
        await connection.execute(
            "INSERT INTO audit_subject SELECT org, subjects[1], id FROM audit_entry"
        )
        await connection.execute("ANALYZE audit_entry, audit_subject")
        rows = await connection.fetch(f"EXPLAIN {known.sql}", *known.arguments(values))

    plan = "\n".join(row[0] for row in rows)
    assert index in plan
    assert "Sort" not in plan
