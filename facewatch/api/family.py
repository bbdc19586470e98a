"""A family of doors: operations that share one style of key, answer and error.

A new operation is one wire model, one handler and one line in its module's ``ROUTES``; who may
call it, how it fails, how it is counted and how it is described to programs is settled here and
in `server` for all of them.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from aiohttp import web
from pydantic import BaseModel, ValidationError

from facewatch.api.deps import Deps
from facewatch.domain.audit import Action
from facewatch.errors import InvalidRequest
from facewatch.ports.access import ApiKey


class Role(StrEnum):
    """What a key may do; each role may do all that the one before it may."""

    VIEWER = "viewer"
    """Look."""
    OPERATOR = "operator"
    """Look, enrol, name, correct."""
    ADMIN = "admin"
    """All of that, and keys, settings and the audit log."""


_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")
_RANKS = {role.value: rank for rank, role in enumerate(Role)}


def may(key: ApiKey, needs: Role) -> bool:
    """Whether the role of *key* reaches *needs*; a role that we do not know reaches nothing."""
    return _RANKS.get(key.role, -1) >= _RANKS[needs]


def origin(request: web.Request) -> str:
    """Scheme and host by which the caller reached us."""
    host = request.host if _HOST.fullmatch(request.host) else "localhost"
    return f"{request.scheme}://{host}"


async def body_of(request: web.Request) -> bytes:
    """The whole body, decompressed; aiohttp answers 413 beyond the limit.

    Raises:
        InvalidRequest: it broke off, or is not compressed as its header says.
    """
    try:
        return await request.read()
    except (web.RequestPayloadError, ConnectionError) as error:
        raise InvalidRequest(f"the body cannot be read: {error}", "send it again") from error


def picture(request: web.Request, body: bytes, media_type: str) -> web.Response:
    """Pixels that a client may keep, if it asks each time whether it may still show them."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    response = web.Response(
        headers={"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}
    )
    response.etag = tag
    if any(theirs.value in (tag, "*") for theirs in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.content_type = media_type
    response.body = body
    return response


def refused(error: ValidationError) -> InvalidRequest:
    """What is wrong with a message, and where; nothing of the message itself."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"]))
    return InvalidRequest(f"{where}: {first['msg']}" if where else first["msg"])


Answer: TypeAlias = Callable[[Deps, ApiKey, web.Request], Awaitable[web.StreamResponse]]


class Files:
    """What a route takes that is sent files, as ``multipart/form-data``."""


@dataclass(frozen=True, slots=True)
class Route:
    """One operation behind a key.

    Attributes:
        path: As aiohttp takes it: ``/api/v1/cameras/{camera}``.
        action: What the audit log calls it; None where it neither changes anything nor looks at
            people.
        about: What it does, for whoever reads the API's description.
        takes: What its body holds; None where it has none.
        query: The parameters of its path and query; fields that the path names are the path's.
        gives: What its answer holds: JSON of a model, or bytes of a media type; None with 204.
        form: Its body is ``multipart/form-data`` with the fields of *takes*.
        status: Of the answer when all is well: 200, 201 with a Location, or 204.
        again: Of the answer when it was done before; None where that makes no difference.
        name: What programs call it; else it is the end of its path.
    """

    method: str
    path: str
    answer: Answer
    needs: Role
    action: Action | None
    about: str
    takes: type[BaseModel] | type[Files] | None = None
    query: type[BaseModel] | None = None
    gives: type[BaseModel] | str | None = "application/octet-stream"
    status: int = 200
    name: str = ""
    form: bool = False
    again: int | None = None


@dataclass(frozen=True, slots=True)
class OpenRoute:
    """One operation that needs no key: GET *path*, described as a `Route` is.

    Attributes:
        statuses: With which it answers so.
    """

    path: str
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]]
    name: str
    about: str
    gives: type[BaseModel] | str
    statuses: Sequence[int] = (200,)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One way in which a family says no.

    Attributes:
        when: For whoever reads the API's description.
        gives: JSON of a model, or bytes of a media type.
        media_type: Of the JSON.
    """

    status: int
    when: str
    gives: type[BaseModel] | str
    media_type: str = "application/json"


API_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": "x-auth-apikey",
    "description": "A key as `facewatch key create` prints it.",
}
"""The way to show a key that every family has, in OpenAPI's words."""


class Side(StrEnum):
    """Which of an operation's two messages is meant."""

    REQUEST = "Request"
    RESPONSE = "Response"


@dataclass(frozen=True, slots=True)
class Style:
    """How the routes of a family are described to programs, in OpenAPI's words.

    Attributes:
        tag: What a route is listed under.
        title: What a route's message is called; None where its model's own name stands.
        security: Ways to show a key, by name; any one will do.
        parameters: What every request has to say beside them.
        refusals: Of every route, one a status.
        failure: What a 200 holds that says no.
    """

    tag: Callable[[Route], str]
    title: Callable[[Route, Side], str | None]
    security: Mapping[str, Mapping[str, str]]
    refusals: Sequence[Refusal]
    parameters: Sequence[Mapping[str, object]] = ()
    failure: type[BaseModel] | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """Routes, how a caller shows a key to them, and how they say no.

    Attributes:
        prefix: Every path of the family begins with it, or with one of them.
        credential: The secret that a request shows; raises Unauthenticated.
        failure: The answer to a request that raised.
        style: How all this is described.
        signer: Whose signature a request bears, in place of a secret; None where it is nobody's.
    """

    name: str
    prefix: str | tuple[str, ...]
    routes: Sequence[Route]
    credential: Callable[[web.Request], str]
    failure: Callable[[web.Request, Exception], web.Response]
    style: Style
    signer: Callable[[Deps, web.Request], Awaitable[ApiKey | None]] | None = None
