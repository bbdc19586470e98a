"""What every operation of the Rhombus family shares: its key, its messages, its errors."""

from collections.abc import Awaitable, Callable, Mapping
from inspect import getdoc
from typing import TypeVar, get_type_hints

from aiohttp import web
from pydantic import ValidationError

from facewatch import errors
from facewatch.api.audit import concerns_asked, concerns_shown
from facewatch.api.deps import DEPS, Deps
from facewatch.api.family import Role, Route, body_of, origin, refused
from facewatch.api.rhombus.wire import Message, milliseconds
from facewatch.domain.audit import Action
from facewatch.ports.access import ApiKey

SCHEMES = frozenset({"api-token", "api", "partner-api-token", "partner-api"})

In = TypeVar("In", bound=Message)


def operation(
    path: str,
    message: type[In],
    handler: Callable[[Deps, ApiKey, In], Awaitable[Message]],
    needs: Role = Role.VIEWER,
    *,
    action: Action | None,
) -> Route:
    """POST *path*: a *message* comes in, the handler's message goes out.

    Its audit entry names the ids in the question and of the one object in the answer; what else
    it is about, the handler says with `audit.concerns`.
    """

    async def answer(deps: Deps, caller: ApiKey, request: web.Request) -> web.Response:
        try:
            parsed = message.model_validate_json(await body_of(request))
        except ValidationError as error:
            raise refused(error) from None
        concerns_asked(parsed)
        result = await handler(deps, caller, parsed)
        concerns_shown(result)
        return _json(200, result.model_dump_json(by_alias=True))

    return Route(
        *("POST", path, answer, needs, action),
        about=getdoc(handler) or "",
        takes=message,
        gives=get_type_hints(handler)["return"],
    )


def credential(request: web.Request) -> str:
    """The secret in ``x-auth-apikey``, beside an ``x-auth-scheme`` that the contract knows.

    Raises:
        Unauthenticated: one of the two is missing, or the scheme is another.
        Forbidden: no key of ours is spelled so.
    """
    secret = request.headers.get("x-auth-apikey")
    if not secret or request.headers.get("x-auth-scheme") not in SCHEMES:
        raise errors.Unauthenticated("no x-auth-apikey with a known x-auth-scheme")
    if not secret.isascii():
        raise errors.Forbidden("the API key holds characters that no key has")
    return secret


def failure(request: web.Request, error: Exception) -> web.Response:
    """How this family says no; a domain failure is a 200 that says so."""
    match error:
        case errors.Unauthenticated():
            return _json(401, '{"authenticationFailed":true}', _challenge(request))
        case errors.Forbidden():
            now = milliseconds(request.app[DEPS].now.clock())
            return web.json_response(
                {"status": 403, "error": "Forbidden", "timestamp": now, "msg": "Access Denied"},
                status=403,
            )
        case errors.InvalidRequest():
            return _refusal(400, "Bad Request", str(error))
        case errors.TooManyRequests():
            return web.Response(
                status=429,
                text="Too many api requests. Enhance your calm.",
                content_type="text/plain",
                headers={"Retry-After": str(error.again_s)},
            )
        case errors.StoreTrouble():
            again = {"Retry-After": "1"}
            return _refusal(503, "Service Unavailable", "a store is down; try again", again)
        case errors.FacewatchError():
            return web.json_response({"error": True, "errorMsg": str(error)})
        case web.HTTPException():
            return _http(request, error)
        case _:
            return _refusal(
                500, "Internal Server Error", "unexpected; the log knows the X-Request-Id"
            )


def _http(request: web.Request, error: web.HTTPException) -> web.Response:
    match error:
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            said = f"{request.method} is not allowed here; use {allowed}"
            return _refusal(405, error.reason, said, {"Allow": allowed})
        case web.HTTPRequestEntityTooLarge():
            return _refusal(413, error.reason, "the body is too large; send less")
        case web.HTTPNotFound():
            return _refusal(404, error.reason, "there is no such operation; look at the path")
        case _:
            return _refusal(error.status, error.reason, error.text or error.reason)


def _refusal(
    status: int, error: str, msg: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.json_response({"error": error, "msg": msg}, status=status, headers=headers)


def _challenge(request: web.Request) -> dict[str, str]:
    where = f"{origin(request)}/.well-known/oauth-protected-resource"
    return {"WWW-Authenticate": f'Bearer resource_metadata="{where}"'}


def _json(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text, content_type="application/json", headers=headers)
