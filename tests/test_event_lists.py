"""Which index leads to each list of events, in a year of them as the benchmark draws it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from a_year import fill, number
from asked_of_events import questions
from factories import NOON

from facewatch.domain.events import EventFilter
from facewatch.domain.ids import OrgId
from facewatch.store.database import Database, open_database, statements
from facewatch.store.events import PostgresFaceEvents

LED_BY = {
    "a week": "face_event_org",
    "an hour": "face_event_org",
    "a year": "face_event_org",
    "common name": "face_event_person",
    "rare name": "face_event_person",
    "label": "face_event_person",
    "name contains ann": "face_event_person",
    "camera": "face_event_camera",
    "camera, an hour": "face_event_camera",
    "location": "face_event_location",
    "room": "face_event_location",
    "has a name": "face_event_known",
    "has no name": "face_event_org",
    "no template": "face_event_unembedded",
    "common name, quiet camera": "face_event_camera_person",
    "label, quiet camera": "face_event_camera_person",
    "common name, room": "face_event_location_person",
    "has a name, quiet camera": "face_event_camera",
    "small org, a year": "face_event_org",
    "small org, has a name": "face_event_known",
}
PAIRS = {"face_event_camera_person", "face_event_location_person"}


@pytest.fixture(scope="module")
def year(postgres: str) -> Iterator[str]:
    """The DSN of a database with the year."""
    dsn = postgres.replace("/facewatch?", "/year?")
    with asyncio.Runner() as run:
        run.run(said(postgres, "CREATE DATABASE year TEMPLATE template"))
        run.run(fill(dsn, 10_000, NOON))
        yield dsn
        run.run(said(postgres, "DROP DATABASE year WITH (FORCE)"))


async def said(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(params=["custom", "generic"])
async def sql(year: str, request: pytest.FixtureRequest) -> AsyncIterator[asyncpg.Connection]:
    """Plans for the very values, or for any: Postgres takes either once it knows a statement."""
    connection = await asyncpg.connect(year)
    await connection.execute(f"SET plan_cache_mode = force_{request.param}_plan")
    yield connection
    await connection.close()


async def test_each_question_is_led_by_its_index(year: str, sql: asyncpg.Connection) -> None:
    found: dict[str, set[str]] = {}
    async with open_database(year) as database:
        for question in await questions(sql, NOON):
            org = OrgId(await number(sql, "org", 0, question.org))
            for wanted in question.variants:
                led = found.setdefault(question.name, set())
                led |= await led_by(sql, database, org, wanted)

    small = {"face_event_person"}  # leads as well where a month shows few people
    spared = {q: led - small if LED_BY[q] in PAIRS else led for q, led in found.items()}
    assert spared == {question: {index} for question, index in LED_BY.items()}


async def test_the_events_of_a_page_and_their_candidates_are_read_by_id(
    sql: asyncpg.Connection,
) -> None:
    """Of the months only that of the page; of the people only the candidates."""
    org = await number(sql, "org", 0)
    rows = await sql.fetch(
        "SELECT id FROM face_event WHERE org = $1 ORDER BY id DESC LIMIT 11", org
    )
    ids = [row["id"] for row in rows]

    plan = await planned_for(sql, "face_events", {"org": org, "ids": ids})

    scans = [node for node in nodes(plan) if "Relation Name" in node]
    assert {node["Relation Name"] for node in scans} == {"face_event_202611", "person"}
    assert "Seq Scan" not in {node["Node Type"] for node in scans}


async def led_by(
    sql: asyncpg.Connection, database: Database, org: OrgId, wanted: EventFilter
) -> set[str]:
    """By which indexes of face_event the list is read; "Seq Scan" where by none."""
    statement, values = await PostgresFaceEvents(database)._search(org, wanted)
    plan = await planned_for(sql, statement, {**values, "limit": 11})
    parents = dict(
        await sql.fetch(
            "SELECT c.relname, p.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " JOIN pg_class p ON p.oid = i.inhparent WHERE p.relname LIKE 'face_event%'"
        )
    )
    indexes = {parents.get(node.get("Index Name")) for node in nodes(plan)}
    walked = {
        node["Node Type"]
        for node in nodes(plan)
        if node["Node Type"] == "Seq Scan" and node["Relation Name"].startswith("face_event")
    }
    return {index for index in indexes if index} | walked


async def planned_for(
    sql: asyncpg.Connection, statement: str, values: dict[str, object]
) -> dict[str, Any]:
    """The plan as plan_cache_mode has it: to arguments of EXPLAIN itself it would not apply."""
    known = statements()[statement]
    await sql.execute(f"PREPARE asked AS {known.sql}")
    given = ", ".join(map(literal, known.arguments(values)))
    (plan,) = await sql.fetchrow(f"EXPLAIN (FORMAT JSON) EXECUTE asked ({given})")
    await sql.execute("DEALLOCATE asked")
    found: dict[str, Any] = json.loads(plan)[0]["Plan"]
    return found


def literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return "'{" + ",".join(map(str, value)) + "}'"
    return str(value) if isinstance(value, int) else f"'{value}'"


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes(child))]
