"""A caller of /api/v1 over a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from facewatch.api.deps import Deps
from facewatch.api.server import application, serving
from facewatch.domain.ids import OrgId


@dataclass
class Caller:
    """Somebody with a key; *at* is where they ask."""

    client: aiohttp.ClientSession
    deps: Deps
    secret: str

    async def ask(self, method: str, path: str, **given: Any) -> tuple[int, Any]:
        async with self.client.request(
            method, f"/api/v1{path}", headers={"x-auth-apikey": self.secret}, **given
        ) as answer:
            text = await answer.text()
            return answer.status, await answer.json(content_type=None) if text else None

    async def get(self, path: str, **params: Any) -> Any:
        status, answer = await self.ask("GET", path, params=params)
        assert status == 200, answer
        return answer

    async def made(self, path: str, **body: Any) -> Any:
        async with self.client.post(
            f"/api/v1{path}", json=body, headers={"x-auth-apikey": self.secret}
        ) as answer:
            made = await answer.json(content_type=None)
            assert answer.status == 201, made
            assert answer.headers["Location"] == f"/api/v1{path}/{made['id']}"
        return made

    async def changed(self, path: str, **body: Any) -> Any:
        status, answer = await self.ask("PATCH", path, json=body)
        assert status == 200, answer
        return answer

    async def removed(self, path: str) -> None:
        assert await self.ask("DELETE", path) == (204, None)

    async def refused(self, status: int, method: str, path: str, **body: Any) -> str:
        """The words of a problem with this status."""
        found, problem = await self.ask(method, path, json=body)
        assert found == status, problem
        detail: str = problem["detail"]
        return detail

    async def another(self, role: str, org: OrgId | None = None) -> "Caller":
        org = org or (await self.deps.keys.authenticate(self.secret)).org  # type: ignore[union-attr]
        _, secret = await self.deps.keys.create(org, role, role)
        return Caller(self.client, self.deps, secret)


@asynccontextmanager
async def an_admin(deps: Deps, org: OrgId) -> AsyncIterator[Caller]:
    _, secret = await deps.keys.create(org, "tests", "admin")
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url) as client,
    ):
        yield Caller(client, deps, secret)
