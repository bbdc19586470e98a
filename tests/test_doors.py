"""What holds for every operation of every family, those that are yet to come included."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from factories import ORG, some_deps

from facewatch.api.deps import Deps
from facewatch.api.family import Family, Files, Role, Route
from facewatch.api.limit import Limits
from facewatch.api.server import FAMILIES, application, serving
from facewatch.domain.audit import Action, AuditFilter, Outcome
from facewatch.domain.ids import new_id, to_ruuid
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys

DOORS = [(family, route) for family in FAMILIES if family.signer is None for route in family.routes]
"""Those that a key opens; a signed link is tested where it is made."""


@asynccontextmanager
async def service(deps: Deps) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-scheme": "api-token"}) as client,
    ):
        yield client


async def knock(
    client: aiohttp.ClientSession, route: Route, key: str = "", **more: Any
) -> tuple[int, Any, aiohttp.ClientResponse]:
    path = re.sub(r"{\w+}", to_ruuid(new_id()), route.path)
    headers = {**({"x-auth-apikey": key} if key else {}), **more.pop("headers", {})}
    async with client.request(route.method, path, headers=headers, **more) as response:
        plain = response.content_type == "text/plain"
        body = await (response.text() if plain else response.json(content_type=None))
    assert response.headers["X-Request-Id"]
    assert "Traceback" not in str(body)
    return response.status, body, response


def said(family: Family, response: aiohttp.ClientResponse, body: Any) -> str:
    """In which shape the family says no, once it is the right one; it does so always."""
    if family.name == "house":
        assert response.content_type == "application/problem+json", response.url
        assert body["status"] == response.status
        return "problem"
    if family.name == "gumnut":
        assert set(body) == {"detail"}, response.url
        return "detail"
    return "rhombus"


async def test_without_a_key_every_door_is_a_401(database: Database, tmp_path: Path) -> None:
    async with service(some_deps(database, tmp_path)) as client:
        for family, route in DOORS:
            status, body, response = await knock(client, route)
            assert status == 401, route.path
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            if said(family, response, body) == "rhombus":
                assert body == {"authenticationFailed": True}


async def test_with_an_unknown_key_every_door_stays_shut(
    database: Database, tmp_path: Path
) -> None:
    async with service(some_deps(database, tmp_path)) as client:
        for family, route in DOORS:
            status, body, response = await knock(client, route, "fw_unknown")
            shape = said(family, response, body)
            assert status == (401 if shape == "detail" else 403), route.path
            if shape == "rhombus":
                assert set(body) == {"status", "error", "timestamp", "msg"}
                assert (body["error"], body["msg"]) == ("Forbidden", "Access Denied")


async def test_who_may_not_or_names_another_org_is_refused_and_noted(
    database: Database, tmp_path: Path
) -> None:
    keys, deps = PostgresKeys(database), some_deps(database, tmp_path)
    _, admin = await keys.create(ORG, "admin", "admin")
    _, viewer = await keys.create(ORG, "viewer", "viewer")
    expected = []
    async with service(deps) as client:
        for family, route in DOORS:
            org = {"x-auth-org": to_ruuid(new_id())}
            status, body, response = await knock(client, route, admin, headers=org)
            said(family, response, body)
            tries = [status]
            if route.needs is not Role.VIEWER:
                status, _, _ = await knock(client, route, viewer)
                tries.append(status)
            assert set(tries) == {403}, route.path
            expected += [route.action or Action.ACCESS_REFUSED] * len(tries)
        entries = await deps.audit.page(ORG, AuditFilter(), 1000)

    assert sorted(it.action for it in entries) == sorted(expected)
    assert {it.outcome for it in entries} == {Outcome.REFUSED}


async def test_beyond_its_limit_an_org_is_told_to_wait_and_nothing_is_done(
    database: Database, tmp_path: Path
) -> None:
    _, secret = await PostgresKeys(database).create(ORG, "admin", "admin")
    deps = some_deps(database, tmp_path, limits=Limits(0.1, 1, clock=lambda: 0.0))
    deps.limits.admit(ORG)
    async with service(deps) as client:
        for family, route in DOORS:
            status, body, response = await knock(client, route, secret)
            assert (status, response.headers["Retry-After"]) == (429, "10"), route.path
            if said(family, response, body) == "rhombus":
                assert response.content_type == "text/plain"
                assert body == "Too many api requests. Enhance your calm."
        assert await deps.audit.page(ORG, AuditFilter(), 10) == []

    turned_away = deps.metrics.registry.get_sample_value(
        "facewatch_limited_total", {"whose": "org"}
    )
    assert turned_away == len(DOORS)


async def test_a_body_that_is_none_is_refused(database: Database, tmp_path: Path) -> None:
    _, secret = await PostgresKeys(database).create(ORG, "admin", "admin")
    deps = some_deps(database, tmp_path)
    json = {"Content-Type": "application/json"}
    asked = 0
    async with service(deps) as client:
        for family, route in DOORS:
            if route.takes in (None, Files):
                continue
            status, body, response = await knock(client, route, secret, headers=json, data=b"{")
            shape = said(family, response, body)
            assert status == (422 if shape == "detail" else 400), route.path
            assert body["msg"] if shape == "rhombus" else body["detail"]
            asked += route.action is not None
        entries = await deps.audit.page(ORG, AuditFilter(), 1000)

    assert [it.outcome for it in entries] == [Outcome.INVALID] * asked
