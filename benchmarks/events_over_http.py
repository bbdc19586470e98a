"""A `facewatch serve` over a year of events, and somebody who asks it."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from a_year import LARGE
from asked_of_events import PAGE, VARIANTS, Ask, Base, Question

from facewatch.domain.events import EventFilter
from facewatch.domain.ids import to_ruuid

_ROOT = Path(__file__).parent.parent
_BASE = "/api/faceRecognition/faceEvent/"


@asynccontextmanager
async def service(base: Base, home: Path) -> AsyncIterator[str]:
    """A `facewatch serve` over *base*, with a home of its own; its URL."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("FACEWATCH_")},
        "FACEWATCH_HOME": str(home),
        "FACEWATCH_DATABASE_URL": base.dsn,
        "FACEWATCH_MODELS_DIRECTORY": str(_ROOT / ".home" / "models"),
        "FACEWATCH_HTTP_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "facewatch", "serve"),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(60):
            while not (found := re.search(r"answers at (\S+)", said)):
                line = await process.stderr.readline()
                if not line:
                    raise SystemExit(f"facewatch serve ended:\n{said}")
                said += line.decode()
        reading = asyncio.create_task(process.stderr.read())  # a full pipe would stop it
        yield found[1]
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
        reading.cancel()


@dataclass
class Client:
    """Somebody with a key to each org of a service."""

    session: aiohttp.ClientSession
    base: Base
    keys: dict[int, str]
    turned: dict[tuple[str, int], str | None] = field(default_factory=dict)

    async def ask(self, operation: str, org: int, body: object) -> Any:
        headers = {"x-auth-apikey": self.keys[org], "x-auth-scheme": "api-token"}
        async with self.session.post(_BASE + operation, json=body, headers=headers) as answer:
            said = await answer.json()
        if answer.status != 200 or said.get("error"):
            raise SystemExit(f"{operation} {json.dumps(body)}: {answer.status} {said}")
        return said

    async def page(self, question: Question, n: int, size: int, key: str | None = None) -> Any:
        page = {"maxPageSize": size} | ({"lastEvaluatedKey": key} if key else {})
        body = {"searchFilter": spelled(question.variants[n]), "pageRequest": page}
        return await self.ask("findFaceEventsByOrg", question.org, body)

    async def turn_pages(self, question: Question) -> None:
        """To the key of the deep page that the store was asked for, in larger steps."""
        for n in range(VARIANTS):
            left, key = (self.base.deep[question.name, n][1] - 1) * PAGE, None
            while left:
                size = min(left, 1000)
                page = await self.page(question, n, size, key)
                key, left = page.get("lastEvaluatedKey"), left - size
            self.turned[question.name, n] = key


def spelled(wanted: EventFilter) -> dict[str, object]:
    """As Rhombus' clients ask for it."""
    assert wanted.since
    assert wanted.until
    listed = {
        "deviceUuids": [to_ruuid(id) for id in wanted.cameras or ()],
        "locationUuids": [to_ruuid(id) for id in wanted.locations or ()],
        "faceNames": sorted(wanted.names or ()),
        "labels": sorted(wanted.labels or ()),
    }
    single = {
        "faceNameContains": wanted.name_part,
        "hasName": wanted.has_name,
        "hasEmbedding": wanted.has_template,
    }
    window = {
        "rangeStart": int(wanted.since.timestamp() * 1000),
        "rangeEnd": int(wanted.until.timestamp() * 1000),
    }
    return {"timestampFilter": window, **listed} | {
        k: v for k, v in single.items() if v is not None
    }


def through_api(client: Client, question: Question, deep: bool) -> Ask:
    def ask(n: int) -> Awaitable[object]:
        n %= VARIANTS
        key = client.turned[question.name, n] if deep else None
        return client.page(question, n, PAGE, key)

    return ask


def one_through_api(client: Client) -> Ask:
    ids = client.base.ids
    return lambda n: client.ask("getFaceEvent", LARGE, {"eventUuid": to_ruuid(ids[n % len(ids)])})
