"""What every operation of the house family shares: its key, its fields, its problems."""

import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from inspect import getdoc
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from aiohttp import web
from pydantic import ValidationError

from facewatch import errors
from facewatch.api.audit import concerns_asked, concerns_shown
from facewatch.api.deps import Deps
from facewatch.api.family import Role, Route, body_of, origin, refused
from facewatch.api.house.wire import Shape, Thing
from facewatch.domain.audit import Action
from facewatch.domain.ids import to_ruuid
from facewatch.ports.access import ApiKey

In = TypeVar("In", bound=Shape)

_IN_PATH = re.compile(r"{(\w+)}")
_BODILESS = frozenset({"GET", "DELETE"})


def resource(
    method: str,
    path: str,
    handler: Callable[[Deps, ApiKey, In], Awaitable[Shape | None]],
    needs: Role = Role.VIEWER,
    status: int = 200,
    *,
    action: Action | None,
) -> Route:
    """*method* *path*: what was asked comes in, the handler's shape goes out.

    What is asked is one shape: fields that the path names come from there, the others from the
    query of a GET or DELETE (a list's field may stand there several times), and from the JSON
    body of anything else, where a number is no string. With *status* 201 the answer says where
    the new thing is; a handler that gives nothing answers 204.

    Its audit entry names the ids in the question and of the answer; what else it is about, the
    handler says with `audit.concerns`.
    """
    hints = get_type_hints(handler)
    asked: type[In] = next(hint for name, hint in hints.items() if name not in _OURS)
    gives = None if hints["return"] is type(None) else hints["return"]
    named = set(_IN_PATH.findall(path))
    lists = {name for name, field in asked.model_fields.items() if _is_list(field.annotation)}

    bodiless = method in _BODILESS
    takes = None if bodiless or named >= asked.model_fields.keys() else asked

    async def answer(deps: Deps, caller: ApiKey, request: web.Request) -> web.Response:
        given = _query(request, lists) if bodiless else await _body(request, optional=not takes)
        if taken := named & given.keys():
            raise errors.InvalidRequest(f"{min(taken)} stands in the path", "send it there only")
        message = _read(asked, {**given, **request.match_info}, strict=not bodiless)
        concerns_asked(message)
        result = await handler(deps, caller, message)
        if result is None:
            return web.Response(status=204)
        concerns_shown(result)
        response = web.Response(
            status=status, text=result.model_dump_json(), content_type="application/json"
        )
        if status == 201 and isinstance(result, Thing):
            response.headers["Location"] = f"{request.path}/{to_ruuid(result.id)}"
        return response

    return Route(
        *(method, path, answer, needs, action),
        about=getdoc(handler) or "",
        takes=takes,
        query=asked if bodiless or named else None,
        gives=gives,
        status=204 if gives is None else status,
        name=f"v1_{handler.__name__}",
    )


_OURS = frozenset({"deps", "caller", "return"})


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))


def _read(asked: type[In], given: Mapping[str, Any], *, strict: bool) -> In:
    try:
        if strict:
            return asked.model_validate_json(json.dumps(given), strict=True)
        return asked.model_validate(given)
    except ValidationError as error:
        raise refused(error) from None


def _query(request: web.Request, lists: Collection[str]) -> Mapping[str, Any]:
    given: dict[str, Any] = {}
    for name in request.query:
        values = request.query.getall(name)
        if len(values) > 1 and name not in lists:
            raise errors.InvalidRequest(f"{name} stands there {len(values)} times", "send one")
        given[name] = values if name in lists else values[0]
    return given


async def _body(request: web.Request, *, optional: bool) -> Mapping[str, Any]:
    if request.query:
        raise errors.InvalidRequest("nothing is asked in this query", "send it in the body")
    try:
        text = (await body_of(request)).decode()  # of bytes it would take UTF-16 as well
        body = json.loads(text or ("{}" if optional else ""))
    except (ValueError, RecursionError) as error:
        raise errors.InvalidRequest(f"the body is not JSON: {error}", "send an object") from None
    if not isinstance(body, dict):
        raise errors.InvalidRequest("the body is no JSON object", "send an object")
    return body


def credential(request: web.Request) -> str:
    """The secret in ``x-auth-apikey``, or in ``Authorization: Bearer``.

    Raises:
        Unauthenticated: neither is there.
        Forbidden: no key of ours is spelled so.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    secret = request.headers.get("x-auth-apikey") or bearer
    if not secret:
        raise errors.Unauthenticated(
            "no API key was shown", "send it as x-auth-apikey, or as Authorization: Bearer"
        )
    if not secret.isascii():
        raise errors.Forbidden("the API key holds characters that no key has")
    return secret


def failure(request: web.Request, error: Exception) -> web.Response:
    """How this family says no: a problem as RFC 9457 writes it."""
    match error:
        case errors.Unauthenticated():
            return _problem(401, "Unauthorized", str(error), _challenge(request))
        case errors.Forbidden():
            return _problem(403, "Forbidden", str(error))
        case errors.InvalidRequest():
            return _problem(400, "Bad Request", str(error))
        case errors.NotFound():
            return _problem(404, "Not Found", str(error))
        case errors.AlreadyExists() | errors.InUse():
            return _problem(409, "Conflict", str(error))
        case errors.TooManyRequests():
            later = {"Retry-After": str(error.again_s)}
            return _problem(429, "Too Many Requests", str(error), later)
        case errors.Busy():
            return _problem(503, "Service Unavailable", str(error), {"Retry-After": "10"})
        case errors.StoreTrouble():
            again = {"Retry-After": "1"}
            return _problem(503, "Service Unavailable", "a store is down; try again", again)
        case errors.FacewatchError():
            return _problem(422, "Unprocessable Content", str(error))
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            said = f"{request.method} is not allowed here; use {allowed}"
            return _problem(405, error.reason, said, {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return _problem(413, error.reason, "the body is too large; send less")
        case web.HTTPNotFound():
            return _problem(404, error.reason, "there is nothing at this path")
        case web.HTTPException():
            return _problem(error.status, error.reason, error.text or error.reason)
        case _:
            said = "unexpected; the log knows the X-Request-Id"
            return _problem(500, "Internal Server Error", said)


def _problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.json_response(
        {"title": title, "status": status, "detail": detail},
        status=status,
        headers=headers,
        content_type="application/problem+json",
    )


def _challenge(request: web.Request) -> dict[str, str]:
    where = f"{origin(request)}/.well-known/oauth-protected-resource"
    return {"WWW-Authenticate": f'Bearer resource_metadata="{where}"'}
