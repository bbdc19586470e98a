"""/api/v1 over a socket: shapes, keys and problems."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from factories import ORG, some_deps

from facewatch.api.server import application, serving
from facewatch.domain.ids import to_ruuid
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys


@pytest.fixture
async def admin(database: Database, tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    _, secret = await PostgresKeys(database).create(ORG, "tests", "admin")
    async with (
        serving(application(some_deps(database, tmp_path)), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-apikey": secret}) as client,
    ):
        yield client


async def test_an_org_settles_its_threshold_and_goes_back_to_the_default(
    admin: aiohttp.ClientSession,
) -> None:
    for sent, kept in [
        ({"match_threshold": 0.9}, 0.9),
        ({}, 0.9),
        ({"match_threshold": None}, 0.7),
    ]:
        async with admin.patch("/api/v1/org", json=sent) as response:
            answer = await response.json()
        assert answer == {"id": to_ruuid(ORG), "name": "default", "match_threshold": kept}


@pytest.mark.parametrize(
    "sent",
    [
        '{"match_threshold": 2}',
        '{"treshold": 0.5}',
        "[]",
        "{",
        '{"match_threshold": NaN}',
        "[" * 99999,
    ],
)
async def test_what_is_no_such_change_is_a_problem_that_says_so(
    admin: aiohttp.ClientSession, sent: str
) -> None:
    async with admin.patch("/api/v1/org", data=sent) as response:
        problem = await response.json(content_type="application/problem+json")
    assert response.status == problem["status"] == 400
    assert problem["detail"]


async def test_a_key_may_come_as_a_bearer_token_and_a_viewer_may_only_look(
    admin: aiohttp.ClientSession, database: Database
) -> None:
    _, secret = await PostgresKeys(database).create(ORG, "screen", "viewer")
    bearer = {"Authorization": f"Bearer {secret}", "x-auth-apikey": ""}
    async with admin.get("/api/v1/org", headers=bearer) as response:
        assert response.status == 200
    async with admin.patch("/api/v1/org", json={}, headers=bearer) as response:
        assert response.status == 403
    async with admin.get("/api/v1/org", headers={"x-auth-apikey": ""}) as response:
        assert response.status == 401
        assert "resource_metadata" in response.headers["WWW-Authenticate"]
