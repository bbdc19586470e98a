"""The HTTP service: one way in for every family of doors."""

import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from time import perf_counter
from typing import Any

from aiohttp import web

from facewatch import errors
from facewatch.api import docs, gumnut, house, media, ops, rhombus, trace
from facewatch.api.access import AccessLog
from facewatch.api.deps import DEPS, Current, Deps
from facewatch.api.family import Family, Route, may
from facewatch.api.gumnut import links
from facewatch.api.trace import log
from facewatch.domain.audit import Action
from facewatch.domain.ids import KeyId, to_ruuid
from facewatch.flow.metrics import Metrics
from facewatch.ports.access import ApiKey

FAMILIES = (rhombus.FAMILY, links.FAMILY, media.FAMILY, house.FAMILY, gumnut.FAMILY)

_LARGEST_BODY_BYTES = 1 << 20
_LONGEST_LINE_BYTES = 1 << 17
"""Whoever asks with 10,000 characters is told in their family's words that it is too much."""
_DRAIN_S = 5.0
_LINGER_S = 1.0

_KEY = web.RequestKey("key", KeyId)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(deps: Deps, families: Sequence[Family] = FAMILIES) -> web.Application:
    """Every door of *families*, and those of operation, which need no key."""
    access = AccessLog()

    async def told(_app: web.Application) -> None:
        access.write()

    app = web.Application(
        middlewares=[_answered(deps, families, access)], client_max_size=_LARGEST_BODY_BYTES
    )
    app[DEPS] = current = Current(deps)
    app.on_cleanup.append(told)
    open_routes = [*ops.ROUTES, *docs.ROUTES]
    app[docs.DESCRIPTION] = docs.description(families, open_routes)
    app.add_routes(docs.PAGE)
    for open_route in open_routes:
        app.router.add_get(open_route.path, open_route.answer)
    for family in families:
        for route in family.routes:
            app.router.add_route(route.method, route.path, _opened(current, family, route))
    return app


def exchange(app: web.Application, deps: Deps) -> None:
    """From the next request on *app* answers with *deps*, but for what requests have in common."""
    before = app[DEPS].now
    app[DEPS].now = replace(
        deps,
        audit=before.audit,
        limits=before.limits,
        look=before.look,
        intake=before.intake,
    )


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Answer on *host*:*port* (0 picks a free port) while the block runs; gives the URL.

    On the way out no new request is let in, those that run have five seconds to end, and the audit
    log is written.

    Raises:
        AddressInUse: somebody listens there already.
        InvalidSettings: this machine cannot listen there.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=trace.server_log,
        shutdown_timeout=_DRAIN_S,
        lingering_time=_LINGER_S,
        max_line_size=_LONGEST_LINE_BYTES,
    )
    async with app[DEPS].now.audit.kept():
        await runner.setup()
        try:
            await _listen(runner, host, port)
            yield _url(runner)
        finally:
            await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise errors.AddressInUse(
                f"another process listens on {host}:{port}",
                "stop it, or choose another port with http.port (FACEWATCH_HTTP_PORT)",
            ) from error
        raise errors.InvalidSettings(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            "choose an address of this machine with http.host, and an http.port of 1024 or more",
        ) from error


def _url(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _opened(current: Current, family: Family, route: Route) -> _Handler:
    """*route* behind its lock."""

    async def handler(request: web.Request) -> web.StreamResponse:
        deps = current.now
        key = await _caller(deps, family, request)
        request[_KEY] = key.id
        deps.limits.admit(key.org)
        refusal = _refusal(key, route, request)
        action = route.action or (Action.ACCESS_REFUSED if refusal else None)
        if action is None:
            return await route.answer(deps, key, request)
        await deps.audit.room()
        with deps.audit.noting(action, key, request):
            if refusal:
                raise refusal
            return await route.answer(deps, key, request)

    return handler


async def _caller(deps: Deps, family: Family, request: web.Request) -> ApiKey:
    """Whose secret or signature *request* shows.

    Raises:
        UnknownKey: nobody's.
        TooManyRequests: too many from there were nobody's; it was not even looked up.
    """
    secret = None if family.signer else family.credential(request)
    if secret is not None and (known := deps.keys.remembered(secret)):
        return known
    deps.limits.may_guess(request.remote)
    if secret is not None:
        found = await deps.keys.authenticate(secret)
    else:
        assert family.signer is not None
        found = await family.signer(deps, request)
    if found:
        return found
    deps.limits.guessed(request.remote)
    deps.metrics.unknown_keys.inc()
    what = "API key is unknown" if secret is not None else "signature is not ours, or its key is"
    raise errors.UnknownKey(f"the {what}, expired or revoked")


def _refusal(key: ApiKey, route: Route, request: web.Request) -> errors.Forbidden | None:
    """Why *key* may not do this, or not in the name of that org; None if it may."""
    if not may(key, route.needs):
        return errors.Forbidden(f"a key of role {key.role} may not do this")
    org = request.headers.get("x-auth-org")
    if org is not None and org != to_ruuid(key.org):
        return errors.Forbidden("x-auth-org names another org than the key's")
    return None


def _answered(
    deps: Deps, families: Sequence[Family], access: AccessLog
) -> Callable[..., Awaitable[web.StreamResponse]]:
    """The middleware that gives each request an id, an answer whatever happens, and a log line."""

    @web.middleware
    async def answered(request: web.Request, handler: _Handler) -> web.StreamResponse:
        start = perf_counter()
        name = trace.begin(request)
        family = _family(families, request)
        try:
            response = await handler(request)
        except Exception as error:  # noqa: BLE001 - the one place; a bug is logged, not shown
            _note(error, deps.metrics)
            response = family.failure(request, error)
        response.headers[trace.HEADER] = name
        took_s = perf_counter() - start
        _count(deps.metrics, family, request, response.status, took_s)
        access.note(request, response.status, took_s, request.get(_KEY, "-"))
        return response

    return answered


def _family(families: Sequence[Family], request: web.Request) -> Family:
    """Whose style an answer has; the first family speaks for paths that nobody owns."""
    for family in families:
        if request.path.startswith(family.prefix):
            return family
    return families[0]


def _note(error: Exception, metrics: Metrics) -> None:
    """Log what an operator would act on; what a caller did wrong is in the access line."""
    match error:
        case errors.TooManyRequests():
            metrics.limited.labels(error.whose).inc()
        case errors.StoreTrouble() | errors.Forbidden():
            log.warning("%s", error)
        case errors.FacewatchError() | web.HTTPException():
            pass
        case _:
            log.exception("unexpected %s", type(error).__name__, exc_info=error)


@lru_cache
def _series(metrics: Metrics, family: str, operation: str, status: int) -> tuple[Any, Any]:
    """The counter and the histogram of such answers; finding them by label takes a while."""
    return (
        metrics.requests.labels(family, operation, status),
        metrics.request_seconds.labels(family, operation),
    )


def _count(
    metrics: Metrics, family: Family, request: web.Request, status: int, took_s: float
) -> None:
    resource = request.match_info.route.resource
    operation = resource.canonical if resource else "unknown"
    requests, seconds = _series(metrics, family.name, operation, status)
    requests.inc()
    seconds.observe(took_s)
