"""What every operation of the Gumnut family shares: its key, its fields, its failures."""

import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from inspect import getdoc
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from aiohttp import web
from pydantic import ValidationError

from facewatch import errors
from facewatch.api.audit import concerns_asked, concerns_shown
from facewatch.api.deps import Deps
from facewatch.api.family import Role, Route, body_of, origin
from facewatch.api.gumnut.wire import NO_SUCH_ID, InLibrary, Shape
from facewatch.domain.audit import Action
from facewatch.ports.access import ApiKey

In = TypeVar("In", bound=InLibrary)
Wrong = list[dict[str, Any]]


class Unprocessable(errors.InvalidRequest):
    """What was sent cannot be done; *wrong* says what and where, as FastAPI does."""

    def __init__(self, wrong: Wrong) -> None:
        super().__init__(wrong[0]["msg"])
        self.wrong = wrong


class NoCriterion(errors.InvalidRequest):
    """A search says nothing of what it looks for."""


@dataclass(frozen=True, slots=True)
class Call:
    """Who asks, and by which name they reached us: ``http://host:port``."""

    key: ApiKey
    origin: str


_IN_PATH = re.compile(r"{(\w+)}")
_BODILESS = frozenset({"GET", "DELETE"})
_OURS = frozenset({"deps", "call", "return"})


def resource(
    method: str,
    path: str,
    handler: Callable[[Deps, Call, In], Awaitable[Shape]],
    needs: Role = Role.VIEWER,
    status: int = 200,
    *,
    action: Action,
) -> Route:
    """*method* *path*: what was asked comes in, the handler's shape goes out.

    Fields that the path names come from there; the others from the query of a GET or DELETE (a
    list's values each by themselves, or with commas between), and from the JSON body of anything
    else, of which *library_id* may stand in the query. An id that is spelled as none of ours
    means nothing that there is: 404.
    """
    hints = get_type_hints(handler)
    asked: type[In] = next(hint for name, hint in hints.items() if name not in _OURS)
    named = set(_IN_PATH.findall(path))
    lists = {name for name, field in asked.model_fields.items() if _is_list(field.annotation)}
    bodiless = method in _BODILESS

    async def answer(deps: Deps, key: ApiKey, request: web.Request) -> web.Response:
        given = _query(request, lists)
        where = dict.fromkeys(given, "query")
        if not bodiless:
            body = await _body(request)
            given = {name: it for name, it in given.items() if name == "library_id"} | body
            where |= dict.fromkeys(asked.model_fields, "body")
        where |= dict.fromkeys(named, "path")
        message = read(asked, {**given, **request.match_info}, where)
        concerns_asked(message)
        message.refuse_foreign(key.org)
        result = await handler(deps, Call(key, origin(request)), message)
        concerns_shown(result)
        response = web.Response(
            status=status, text=result.model_dump_json(), content_type="application/json"
        )
        if status == 201:
            response.headers["Location"] = f"{request.path}/{result.model_dump()['id']}"
        return response

    return Route(
        *(method, path, answer, needs, action),
        about=getdoc(handler) or "",
        takes=None if bodiless else asked,
        query=asked if bodiless or named else None,
        gives=hints["return"],
        status=status,
        name=f"gumnut_{handler.__name__}",
    )


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _query(request: web.Request, lists: Collection[str]) -> dict[str, Any]:
    """Of a field that stands there several times the last counts, unless it is a list."""
    given: dict[str, Any] = {}
    for name in request.query:
        values = request.query.getall(name)
        parts = [part.strip() for value in values for part in value.split(",")]
        given[name] = [part for part in parts if part] if name in lists else values[-1]
    return given


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads((await body_of(request)).decode())  # of bytes it takes UTF-16 as well
    except (ValueError, RecursionError) as error:
        raise Unprocessable([wrong(["body"], "json_invalid", f"no JSON: {error}")]) from None
    if not isinstance(body, dict):
        raise Unprocessable([wrong(["body"], "dict_type", "must be a JSON object")])
    return body


def read(asked: type[In], given: Mapping[str, Any], where: Mapping[str, str]) -> In:
    """*given* as a message; *where* says what part of the request each field came in.

    Raises:
        Unprocessable: a field is not as it must be.
        NotFound: all that is wrong is an id that nothing can have.
    """
    try:
        return asked.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
    if all(it["type"] == NO_SUCH_ID for it in found):
        raise errors.NotFound(f"{found[0]['loc'][0]}: {found[0]['msg']}")
    raise Unprocessable(
        [
            wrong([where.get(str(it["loc"][0]), "query"), *it["loc"]], it["type"], it["msg"])
            for it in found
        ]
    )


def wrong(loc: list[Any], kind: str, said: str) -> dict[str, Any]:
    return {"loc": loc, "msg": said, "type": kind}


def failure(request: web.Request, error: Exception) -> web.Response:
    """How this family says no: a *detail*, in words, or with 422 a list of what is wrong where."""
    match error:
        case errors.Unauthenticated() | errors.UnknownKey():
            return _no(401, str(error), {"WWW-Authenticate": "Bearer"})
        case errors.Forbidden():
            return _no(403, str(error))
        case Unprocessable():
            return _no(422, error.wrong)
        case NoCriterion():
            return _no(400, str(error))
        case errors.NotFound():
            return _no(404, str(error))
        case errors.AlreadyExists() | errors.InUse():
            return _no(409, str(error), {"x-should-retry": "false"})
        case errors.TooManyRequests():
            return _no(429, str(error), {"Retry-After": str(error.again_s)})
        case errors.Busy():
            return _no(503, str(error), {"Retry-After": "10"})
        case errors.StoreTrouble():
            return _no(503, "a store is down; try again", {"Retry-After": "1"})
        case errors.FacewatchError():
            return _no(422, [wrong(["body"], "value_error", str(error))])
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            said = f"{request.method} is not allowed here; use {allowed}"
            return _no(405, said, {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return _no(413, "the body is too large; send less")
        case web.HTTPNotFound():
            return _no(404, "there is nothing at this path")
        case web.HTTPException():
            return _no(error.status, error.text or error.reason)
        case _:
            return _no(500, "unexpected; the log knows the X-Request-Id")


def _no(status: int, detail: str | Wrong, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response({"detail": detail}, status=status, headers=headers)
