"""A family of doors: operations that share one style of key, answer and error.

A new operation is one wire model, one handler and one line in its module's ``ROUTES``; who may
call it, how it fails and how it is counted is settled here and in `server` for all of them.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from aiohttp import web

from facewatch.api.deps import Deps
from facewatch.errors import InvalidRequest
from facewatch.ports import ApiKey


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


Answer: TypeAlias = Callable[[Deps, ApiKey, web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation behind a key."""

    method: str
    path: str
    answer: Answer
    needs: Role


@dataclass(frozen=True, slots=True)
class Family:
    """Routes, how a caller shows a key to them, and how they say no.

    Attributes:
        prefix: Every path of the family begins with it.
        credential: The secret that a request shows; raises Unauthenticated.
        failure: The answer to a request that raised.
    """

    name: str
    prefix: str
    routes: Sequence[Route]
    credential: Callable[[web.Request], str]
    failure: Callable[[web.Request, Exception], web.Response]
