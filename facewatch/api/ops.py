"""For whoever runs the service: is it alive, can it work, how much does it do. No key is needed."""

import asyncio
from collections import Counter

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from facewatch.api.deps import DEPS, Probe
from facewatch.api.family import origin
from facewatch.domain.ids import OrgId
from facewatch.domain.urls import redact
from facewatch.errors import FacewatchError
from facewatch.ports import CameraStatuses

_PATIENCE_S = 2.0


async def healthz(request: web.Request) -> web.Response:
    """200 while the process answers at all."""
    return web.json_response({"alive": True})


async def readyz(request: web.Request) -> web.Response:
    """200 when every part can work, else 503; each part says how it is."""
    probes = request.app[DEPS].readiness
    found = await asyncio.gather(*map(_asked, probes.values()))
    parts = {
        name: {"ready": ready, "detail": detail}
        for name, (ready, detail) in zip(probes, found, strict=True)
    }
    ready = all(ready for ready, _ in found)
    return web.json_response({"ready": ready, "parts": parts}, status=200 if ready else 503)


async def _asked(probe: Probe) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return True, redact(await probe())
    except FacewatchError as error:
        return False, redact(str(error))
    except TimeoutError:
        return False, f"no answer within {_PATIENCE_S:g} s"


def camera_summary(statuses: CameraStatuses, org: OrgId) -> Probe:
    """How many cameras are in which state. A camera that is gone leaves the service ready."""

    async def summary() -> str:
        counts = Counter(status.state.value for status in await statuses.all(org))
        return ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "none"

    return summary


async def metrics(request: web.Request) -> web.Response:
    """Everything that is counted, in Prometheus' text format."""
    text = generate_latest(request.app[DEPS].metrics.registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def protected_resource(request: web.Request) -> web.Response:
    """What a 401 points to (RFC 9728): only we give out keys, and none is a bearer token."""
    said = {
        "resource": origin(request),
        "resource_name": "facewatch",
        "bearer_methods_supported": [],
    }
    return web.json_response(said)


ROUTES = [
    web.get("/healthz", healthz),
    web.get("/readyz", readyz),
    web.get("/metrics", metrics),
    web.get("/.well-known/oauth-protected-resource", protected_resource),
]
