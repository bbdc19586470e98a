"""For whoever runs the service: is it alive, can it work, how much does it do. No key is needed."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from inspect import getdoc

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from facewatch.api.deps import DEPS, Probe
from facewatch.api.family import OpenRoute, origin
from facewatch.domain.ids import OrgId
from facewatch.domain.urls import redact
from facewatch.errors import FacewatchError
from facewatch.ports.cameras import CameraStatuses

_PATIENCE_S = 2.0


class Alive(BaseModel):
    """The process answers."""

    alive: bool


class Part(BaseModel):
    """How one part of the service is, in a few words."""

    ready: bool
    detail: str


class Readiness(BaseModel):
    """Whether every part can work."""

    ready: bool
    parts: dict[str, Part]


class ProtectedResource(BaseModel):
    """RFC 9728."""

    resource: str
    resource_name: str
    bearer_methods_supported: list[str]


async def healthz(request: web.Request) -> web.Response:
    """200 while the process answers at all."""
    return _said(Alive(alive=True))


async def readyz(request: web.Request) -> web.Response:
    """200 when every part can work, else 503; each part says how it is."""
    probes = request.app[DEPS].now.readiness
    found = await asyncio.gather(*map(_asked, probes.values()))
    parts = dict(zip(probes, found, strict=True))
    ready = all(part.ready for part in found)
    return _said(Readiness(ready=ready, parts=parts), status=200 if ready else 503)


async def _asked(probe: Probe) -> Part:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return Part(ready=True, detail=redact(await probe()))
    except FacewatchError as error:
        return Part(ready=False, detail=redact(str(error)))
    except TimeoutError:
        return Part(ready=False, detail=f"no answer within {_PATIENCE_S:g} s")


def camera_summary(statuses: CameraStatuses, org: OrgId) -> Probe:
    """How many cameras are in which state. A camera that is gone leaves the service ready."""

    async def summary() -> str:
        counts = Counter(status.state.value for status in await statuses.all(org))
        return ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "none"

    return summary


async def metrics(request: web.Request) -> web.Response:
    """Everything that is counted, in Prometheus' text format."""
    text = generate_latest(request.app[DEPS].now.metrics.registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def ping(_request: web.Request) -> web.Response:
    """Whether somebody answers, as Gumnut's clients ask: `pong`."""
    return web.Response(text="pong")


async def protected_resource(request: web.Request) -> web.Response:
    """What a 401 points to (RFC 9728): only we give out keys, and none is a bearer token."""
    return _said(
        ProtectedResource(
            resource=origin(request), resource_name="facewatch", bearer_methods_supported=[]
        )
    )


def _said(message: BaseModel, status: int = 200) -> web.Response:
    text = message.model_dump_json()
    return web.Response(text=text, status=status, content_type="application/json")


def _open(
    path: str,
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
    gives: type[BaseModel] | str,
    statuses: Sequence[int] = (200,),
) -> OpenRoute:
    return OpenRoute(path, answer, answer.__name__, getdoc(answer) or "", gives, statuses)


ROUTES = [
    _open("/healthz", healthz, Alive),
    _open("/readyz", readyz, Readiness, (200, 503)),
    _open("/metrics", metrics, "text/plain"),
    _open("/api/server/ping", ping, "text/plain"),
    _open("/.well-known/oauth-protected-resource", protected_resource, ProtectedResource),
]
