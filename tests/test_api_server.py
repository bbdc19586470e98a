"""The way in that every family shares: ids, locks, limits, errors, draining."""

import asyncio
import errno
import gzip
import io
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from facewatch.api.audit import Journal
from facewatch.api.deps import Deps
from facewatch.api.family import Family, Role, Style
from facewatch.api.rhombus.operation import credential, failure, operation
from facewatch.api.rhombus.wire import Message
from facewatch.api.server import application, serving
from facewatch.domain.audit import AuditEntry, AuditFilter, AuditId
from facewatch.domain.events import EventRecord, FaceEvent
from facewatch.domain.ids import EventId, KeyId, OrgId, new_id, to_ruuid
from facewatch.errors import AddressInUse, DatabaseUnavailable, InvalidSettings, NotFound
from facewatch.flow.metrics import Metrics
from facewatch.ports.access import ApiKey

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
GET_EVENT = "/api/faceRecognition/faceEvent/getFaceEvent"
HEADERS = {"x-auth-apikey": "operator-key", "x-auth-scheme": "api-token"}
UNASKED: Any = None
"""What no test here asks."""


class FewKeys:
    """``<role>-key`` opens with that role."""

    async def create(
        self, org: OrgId, name: str, role: str, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        raise NotImplementedError

    def remembered(self, secret: str) -> ApiKey | None:
        return None

    async def authenticate(self, secret: str) -> ApiKey | None:
        role, _, rest = secret.partition("-")
        if rest != "key":
            return None
        return ApiKey(KeyId(new_id()), OrgId(UUID(int=1)), "door", role, NOW, None, None)

    async def all(self, org: OrgId) -> list[ApiKey]:
        return []

    async def revoke(self, org: OrgId, key: UUID) -> None:
        raise NotFound("no such key")


class Entries:
    """An audit log in memory."""

    def __init__(self) -> None:
        self.all: list[AuditEntry] = []

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        self.all.extend(entries)

    async def page(
        self, org: OrgId, wanted: AuditFilter, limit: int, before: AuditId | None = None
    ) -> list[AuditEntry]:
        return self.all[::-1][:limit]

    async def prune(self, before: datetime) -> int:
        return 0


class NoBlobs:
    async def put(self, key: str, body: bytes, content_type: str) -> None:
        raise NotImplementedError

    async def get(self, key: str) -> bytes:
        raise NotFound("no such object")

    async def delete(self, keys: Sequence[str]) -> None:
        raise NotImplementedError

    async def ready(self) -> str:
        return "empty"


class Failing:
    """An event log that fails in a way of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def add(self, records: Sequence[EventRecord]) -> None:
        raise self.error

    async def get(self, org: OrgId, event: EventId) -> FaceEvent:
        raise self.error


def deps_with(events: Failing | None = None) -> Deps:
    parts: dict[str, Any] = {
        part.name: UNASKED
        for part in fields(Deps)
        if part.default is MISSING and part.default_factory is MISSING
    }
    asked: dict[str, Any] = {
        "events": events or Failing(NotFound("there is no such face event")),
        "settings": (),
        "threshold": 0.7,
        "blobs": NoBlobs(),
        "keys": FewKeys(),
        "readiness": {},
        "metrics": Metrics.on(),
        "clock": lambda: NOW,
        "audit": Journal(Entries(), Metrics.on()),
    }
    return Deps(**(parts | asked))


@asynccontextmanager
async def service(
    deps: Deps | None = None, families: Sequence[Family] = ()
) -> AsyncIterator[aiohttp.ClientSession]:
    deps = deps or deps_with()
    app = application(deps, families) if families else application(deps)
    async with (
        serving(app, "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=HEADERS) as client,
    ):
        yield client


def one_event() -> dict[str, str]:
    return {"eventUuid": to_ruuid(new_id())}


class Nothing(Message):
    pass


def family(*routes: object) -> Family:
    style = Style(lambda _route: "Test", lambda _route, _side: None, {}, ())
    return Family("test", "/test/", routes, credential, failure, style)  # type: ignore[arg-type]


async def test_every_answer_names_its_request_and_so_does_its_log_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="facewatch.api")
    async with service() as client:
        async with client.post(GET_EVENT, json=one_event()) as ours:
            ids = [ours.headers["X-Request-Id"]]
        async with client.get("/healthz", headers={"X-Request-Id": "caller-7"}) as theirs:
            ids.append(theirs.headers["X-Request-Id"])
        async with client.get("/healthz", headers={"X-Request-Id": "a b\tc"}) as odd:
            ids.append(odd.headers["X-Request-Id"])

    assert ids[1] == "caller-7"
    assert "a b" not in ids[2]
    assert len(set(ids)) == 3
    lines = [record.getMessage() for record in caplog.records if record.name == "facewatch.api"]
    assert [line[: len(name) + 2] for line, name in zip(lines, ids, strict=True)] == [
        f"[{name}]" for name in ids
    ]


async def test_a_key_never_reaches_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with service() as client:
        for secret in ("operator-key", "s3cret-and-wrong"):
            headers = {"x-auth-apikey": secret}
            async with client.post(GET_EVENT + f"?k={secret}", json={}, headers=headers):
                pass

    assert "POST" in caplog.text
    assert "operator-key" not in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_bug_is_a_500_without_its_trace_and_a_log_line_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with (
        service(deps_with(Failing(ZeroDivisionError("inner secret")))) as client,
        client.post(GET_EVENT, json=one_event()) as answer,
    ):
        text = await answer.text()
        body = await answer.json()
        name = answer.headers["X-Request-Id"]

    assert answer.status == 500
    assert set(body) == {"error", "msg"}
    assert "secret" not in text
    assert "Traceback" not in text
    line = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert line.getMessage().startswith(f"[{name}]")
    assert line.exc_info is not None
    assert line.exc_info[0] is ZeroDivisionError


async def test_a_store_that_is_down_is_a_503_that_says_try_again() -> None:
    down = DatabaseUnavailable("Postgres at db.internal:5432 does not answer", "start it")
    async with (
        service(deps_with(Failing(down))) as client,
        client.post(GET_EVENT, json=one_event()) as answer,
    ):
        body = await answer.json()

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert "db.internal" not in body["msg"]


async def test_another_method_is_a_405_that_names_the_right_one() -> None:
    async with service() as client, client.get(GET_EVENT) as answer:
        body = await answer.json()

    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert body == {"error": "Method Not Allowed", "msg": "GET is not allowed here; use POST"}


@pytest.mark.parametrize("path", ["/api/faceRecognition/faceEvent/nope", "/nope", "/media/nope"])
async def test_a_path_that_nobody_owns_is_a_404_in_json(path: str) -> None:
    async with service() as client, client.post(path, json={}) as answer:
        assert answer.status == 404
        assert set(await answer.json()) == {"error", "msg"}


async def test_a_role_opens_its_own_doors_and_those_below() -> None:
    async def nothing(deps: Deps, caller: ApiKey, message: Nothing) -> Nothing:
        return message

    routes = [
        operation(f"/test/{role}", Nothing, nothing, needs=role, action=None) for role in Role
    ]
    opened: dict[str, list[str]] = {}
    async with service(families=[family(*routes)]) as client:
        for role in ("viewer", "operator", "admin", "janitor"):
            headers = {"x-auth-apikey": f"{role}-key"}
            for needs in Role:
                async with client.post(f"/test/{needs}", json={}, headers=headers) as answer:
                    assert answer.status in (200, 403)
                    if answer.status == 200:
                        opened.setdefault(role, []).append(needs)

    assert opened == {
        "viewer": ["viewer"],
        "operator": ["viewer", "operator"],
        "admin": ["viewer", "operator", "admin"],
    }


async def test_a_body_beyond_the_limit_is_refused_and_the_service_goes_on() -> None:
    async with service() as client:
        large = b'{"eventUuid":"' + b"A" * 10_000_000 + b'"}'
        async with client.post(GET_EVENT, data=io.BytesIO(large)) as answer:
            assert answer.status == 413
            assert set(await answer.json()) == {"error", "msg"}
        async with client.post(GET_EVENT, json=one_event()) as answer:
            assert answer.status == 200


async def test_a_compressed_bomb_is_refused_before_it_unfolds() -> None:
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=1)
    async with (
        service() as client,
        client.post(GET_EVENT, data=bomb, headers={"Content-Encoding": "gzip"}) as answer,
    ):
        assert answer.status == 413


async def test_a_body_that_is_not_what_its_header_says_is_a_400() -> None:
    async with (
        service() as client,
        client.post(GET_EVENT, data=b"plain", headers={"Content-Encoding": "gzip"}) as answer,
    ):
        assert answer.status == 400


async def test_a_caller_that_hangs_up_in_mid_body_is_no_bug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, logger="facewatch.api")
    async with serving(application(deps_with()), "127.0.0.1", 0) as url:
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        writer.write(f"POST {GET_EVENT} HTTP/1.1\r\nHost: x\r\n{head}".encode())
        writer.write(b"Content-Length: 50\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(5):
            while not caplog.records:  # noqa: ASYNC110 - the log has nothing to wait on
                await asyncio.sleep(0.01)

    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_port_in_use_is_named_with_what_to_do() -> None:
    app = application(deps_with())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=rf"127\.0\.0\.1:{port}.*http\.port"):
            async with serving(app, "127.0.0.1", port):
                pass


async def test_an_address_of_another_machine_is_named_with_what_to_do() -> None:
    with pytest.raises(InvalidSettings, match=r"192\.0\.2\.1:8080.*http\.host") as caught:
        async with serving(application(deps_with()), "192.0.2.1", 8080):
            pass

    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EADDRNOTAVAIL


async def test_a_request_that_runs_is_answered_before_the_service_ends() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(deps: Deps, caller: ApiKey, message: Nothing) -> Nothing:
        entered.set()
        await go_on.wait()
        return message

    app = application(deps_with(), [family(operation("/test/slow", Nothing, slow, action=None))])
    async with aiohttp.ClientSession(headers=HEADERS) as client, asyncio.timeout(5):
        async with serving(app, "127.0.0.1", 0) as url:
            running = asyncio.create_task(client.post(url + "/test/slow", json={}))
            await entered.wait()
            asyncio.get_running_loop().call_later(0.1, go_on.set)
        assert (await running).status == 200
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get(url + "/healthz")


async def test_requests_are_counted_by_operation_and_not_by_what_callers_invent() -> None:
    deps = deps_with()
    async with service(deps) as client:
        for path in (GET_EVENT, "/invented/1", "/invented/2"):
            async with client.post(path, json=one_event()):
                pass
        async with client.get("/metrics") as answer:
            text = await answer.text()

    assert f'operation="{GET_EVENT}",status="200"}} 1.0' in text
    assert 'operation="unknown",status="404"} 2.0' in text
    assert "invented" not in text
